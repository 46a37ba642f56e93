"""The application: joins models and evaluation, owns files and state. gradio only in `ui`, SQL only in `store`."""

__version__ = "0.1.0"
