"""The browser application: pages, endpoints and the player. The only package that imports gradio."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

from workbench.ui import gradio_patches
