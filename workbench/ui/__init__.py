"""The browser application: pages, endpoints and the player. The only package that imports gradio."""

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported


@contextmanager
def _without_interface_files() -> Iterator[None]:
    """Inside, gradio cannot tell where its classes are written. Otherwise its import writes a type stub beside every
    component, each time anew, which takes half of it."""

    def no_file(thing: object) -> str:
        raise OSError("not looked for")

    found, inspect.getfile = inspect.getfile, no_file
    try:
        yield
    finally:
        inspect.getfile = found


with _without_interface_files():
    import gradio  # noqa: F401
