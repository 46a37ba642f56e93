"""Reading videos: decoding, windows of frames, flow."""
