"""The published networks of VBench's dimensions, small and for inference only; published weights load by name."""
