"""What an annotator is sent tells no system: copies that are alike, and attempts to tell them apart."""
