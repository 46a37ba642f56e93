"""Serves the workbench on port 7860, as `python -m workbench app` does. Hugging Face Spaces run this file."""

import os
import sys

from workbench.__main__ import main

if __name__ == "__main__":
    # a Space is reached from outside its container; on one's own machine the app stays local
    place = ["--host", "127.0.0.1"]
    if "SPACE_ID" in os.environ:
        place = ["--host", "0.0.0.0", "--framed-by", "https://huggingface.co"]
        place += ["--allowed-host", os.environ.get("SPACE_HOST", "localhost")]
        # nothing but its proxy reaches a Space, from an address of a private network
        for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"):
            place += ["--behind-proxy", network]
    sys.exit(main(["app", *place, *sys.argv[1:]]))
