"""What is changed inside Gradio 6.31.0, each with its reason. Look at every one again when its version moves.

Imported before gradio itself, and importing it imports gradio patched.
"""

import inspect
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jinja2 import FunctionLoader

from workbench.ui.access.refusals import shown


@contextmanager
def _without_interface_files() -> Iterator[None]:
    """Inside, gradio cannot tell where its classes are written. Otherwise its import writes a type stub beside every
    component, each time anew, which takes half of it."""

    def no_file(thing: object) -> str:
        raise OSError("not looked for")

    kept: Any = inspect.getfile
    inspect.getfile = no_file
    try:
        yield
    finally:
        inspect.getfile = kept


with _without_interface_files():
    import gradio as gr
    from gradio.routes import App, templates

MANIFEST = '<link rel="manifest" href="/manifest.json" />'
NO_ICON = '<link rel="icon" href="data:,">'
EVENT_STREAM = '<script src="./ui/js/event_stream.js"></script>'  # its reason is told there


def _change_the_page() -> None:
    """Gradio's page names a manifest at the server's root, and no icon, for which a browser then asks that root: both
    lie outside the prefix of a proxy. Its client loses answers, which a script that runs before it prevents. What is
    mounted as `head` comes too late for either, a script puts it there."""
    pages = templates.env.loader

    def page(name: str) -> tuple[str, str | None, Any]:
        source, path, is_current = pages.get_source(templates.env, name)
        return source.replace(MANIFEST, NO_ICON + EVENT_STREAM), path, is_current

    templates.env.loader = FunctionLoader(page)


_change_the_page()


@contextmanager
def no_servers() -> Iterator[None]:
    """Inside, the end of a page's block makes no server. Gradio makes a whole one there for each page, of all pages
    so far, which takes half of the start; mounting makes the one that serves."""
    kept = vars(App)["create_app"], gr.Blocks.get_config_file
    App.create_app = staticmethod(lambda *args, **kwargs: None)
    gr.Blocks.get_config_file = lambda self: {}
    try:
        yield
    finally:
        App.create_app, gr.Blocks.get_config_file = kept


def count_as_launched(blocks: gr.Blocks) -> None:
    """Only a launched app checks which files its components are given, and a mounted one never counts as launched."""
    blocks.has_launched = True


def give_tools_clients(blocks: gr.Blocks, client: Any) -> None:
    """`client` makes what tools call the app by. Gradio's own are nobody's, so that roles would not hold for them."""
    blocks.mcp_server_obj._get_or_create_client = client(blocks.mcp_server_obj).client


def give_tools_files(blocks: gr.Blocks, schema: Any, convert: Any) -> None:
    """`schema` says how tools take files, and `convert` takes them. Gradio's own cannot take lists of them."""
    server = blocks.mcp_server_obj
    server.simplify_filedata_schema, server.convert_strings_to_filedata = schema, convert


def tell_unreadable_inputs(blocks: gr.Blocks) -> None:
    """What a call gives for a field, and the field cannot take, is told in a sentence that names both. Gradio tells a
    program the checks of its own code, with a traceback in the log, and a page nothing."""
    read = blocks.preprocess_data

    async def read_or_tell(block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return await read(block_fn, inputs, *args, **kwargs)
        except gr.Error as refused:  # a choice that is none; Gradio has a sentence for it
            refused.print_exception = False
            raise
        except Exception as error:
            logging.getLogger(__name__).info("inputs of %s: %s", block_fn.api_name, error)
            raise gr.Error(_misfit(block_fn.inputs, inputs), print_exception=False) from error

    vars(blocks)["preprocess_data"] = read_or_tell


def _misfit(fields: Sequence[Any], values: Sequence[Any]) -> str:
    """Which value does not fit its field, and what would."""
    for field, value in zip(fields, values, strict=False):
        model, name = getattr(field, "data_model", None), getattr(field, "label", None) or "a field"
        try:
            if model is not None and value is not None:
                model.model_validate(value, context={"validate_meta": True})
            elif model is None:
                field.preprocess(value)
        except Exception:
            files = model is not None and "gradio.FileData" in json.dumps(model.model_json_schema())
            way = "upload the file, and send what the upload answers" if files else "the API page says what is taken"
            return f"{name} is {shown(value)}, which it cannot be; {way}"
    if len(values) != len(fields):
        return f"the call has {len(values)} values for {len(fields)} fields; the API page says what is taken"
    return "the call cannot be read; the API page says what is taken"


def forget_calls(blocks: gr.Blocks) -> None:
    """The state of a call that names no session ends with the call.

    Gradio names such a session as the call and would keep it, with the settings of every component of the app, until
    as many others have come as visitors are remembered; each would push a visitor out.
    """
    queue, holder = blocks._queue, blocks.state_holder
    reset = queue.reset_iterators  # what ends every call, however it went

    async def reset_and_forget(event_id: str) -> None:
        await reset(event_id)
        with holder.lock:
            holder.session_data.pop(event_id, None)
            holder.time_last_used.pop(event_id, None)

    queue.reset_iterators = reset_and_forget
