"""Page components written in JavaScript: a constant template, and data that only reaches it as `value`."""

import json
from typing import Any

import gradio as gr

from workbench.ui.context import MAX_SEED

ROOT = "(window.gradio_config?.root ?? '')"  # in a page's script: where the app lies, behind a proxy too
FILLED = "() => { window.formFilled = true; }"
FORM = f"import({ROOT} + '/ui/js/form.js')"
STOPPED = "() => document.querySelector('#player .wb-player')?.workbench.settle()"
SEGMENTS = "wb-segments"  # a gr.Radio of this class looks like one bar of buttons
DICE = f"() => Math.floor(Math.random() * {MAX_SEED})"
# said by the browser at once, before the server has answered; cancelling works from here on
STARTED = """() => [
  { state: 'running', fresh: true, text: 'Waiting for the model', progress: 0 },
  { __type__: 'update', interactive: true },
]"""

# A handler that failed before it ran (an unreadable field) has not replaced the status of STARTED. One still running
# was cancelled, and its last progress came after the word of it. Anything else the page says stays.
NOT_STARTED = """(status) => [
  status?.state !== 'running'
    ? status
    : status.fresh
      ? { state: 'error', text: 'The server could not read the form; check its fields, or reload the page.' }
      : { state: 'idle', text: 'Cancelled.' },
  { __type__: 'update', interactive: true },
  { __type__: 'update', interactive: false },
]"""


def form_script(settings: str, name: str) -> str:
    """A page's script that hands what `settings`, a function of the fields, makes of them to form.js: to `changed` or
    to `making`."""
    return f"(...fields) => {{ const values = ({settings})(...fields); {FORM}.then((form) => form.{name}(values)); }}"


def script_component(module: str, value: Any = None, *, options: dict | None = None, **kwargs: Any) -> gr.HTML:
    """Mounts `static/js/<module>.js`. `value` is JSON; the script writes its texts with textContent, never as HTML.

    A function and not a subclass: gradio writes a .pyi file beside the source of every subclass.
    """
    call = f"main.mount({json.dumps(module)}, element, {{ props, watch, trigger }})"
    return gr.HTML(
        value=value,
        html_template='<div class="wb-root"></div>',
        js_on_load=f"import({ROOT} + '/ui/js/main.js').then((main) => {call})",
        apply_default_css=False,
        options=options or {},
        **kwargs,
    )


def json_input(label: str, schema: dict[str, Any]) -> gr.JSON:
    """A JSON parameter of an endpoint that says what it takes; Gradio's own says nothing that a client could check."""
    component = gr.JSON(label=label)
    component.api_info = lambda: schema
    return component


def uploaded_picture(**kwargs: Any) -> gr.Image:
    """An image upload that hands over the file's path unread, so that a bad file is refused in our words.

    No event may have it as an output: gradio would rebuild it as a plain image for that visitor.
    """
    picture = gr.Image(type="filepath", **kwargs)
    picture.preprocess = lambda payload: payload.path if payload else None
    return picture


def uploaded_file(**kwargs: Any) -> gr.File:
    """An upload of one file that hands over its path unread, so that a bad file is refused in our words."""
    file = gr.File(type="filepath", **kwargs)
    file.preprocess = lambda payload: payload.path if payload else None
    return file


def uploaded_files(**kwargs: Any) -> gr.File:
    """An upload of any number of files that hands over their paths unread: bad ones are told in the result."""
    files = gr.File(file_count="multiple", type="filepath", **kwargs)
    files.preprocess = lambda payload: [file.path for file in payload or []]
    return files
