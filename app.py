"""Serves the workbench on port 7860, as `python -m workbench app` does. Hugging Face Spaces run this file."""

import os
import sys

from workbench.__main__ import main

if __name__ == "__main__":
    # a Space is reached from outside its container; on one's own machine the app stays local
    host = "0.0.0.0" if "SPACE_ID" in os.environ else "127.0.0.1"
    sys.exit(main(["app", "--host", host, *sys.argv[1:]]))
