"""Page components written in JavaScript: a constant template, and data that only reaches it as `value`."""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from workbench.requests.numbers import MAX_SEED
from workbench.ui.context import PRIVATE

ROOT = "(window.gradio_config?.root ?? '')"  # in a page's script: where the app lies, behind a proxy too
FORM = f"import({ROOT} + '/ui/js/form.js')"
# said when a new result is asked for on a page whose address is written with the result alone
NEW_ENTRY = f"() => import({ROOT} + '/ui/js/link.js').then((link) => {{ link.openEntry(); return []; }})"
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


# in the script of a page's frame: what is typed before the page's link has filled the form
WATCH_TYPING = """window.typed = {};
const remember = ({ target }) => {
  const field = target.closest?.('.block[id]')?.id;
  if (field && 'value' in target) window.typed[field] = target.value;
};
document.addEventListener('input', remember, true);
window.formIsFilled = () => { window.formFilled = true; document.removeEventListener('input', remember, true); };"""
# a press before the page's link has filled the form waits for it: what is made is what the form says then
FORM_FILLED = """async () => {
  const latest = performance.now() + 30000;
  while (!window.formFilled && performance.now() < latest) await new Promise((next) => setTimeout(next, 10));
  return [];
}"""


def keep_typed(filled: Any, fields: Sequence[Any]) -> None:
    """After the event `filled`, in which the page's link fills the form: what a visitor has typed by then stays, and
    what waits for FORM_FILLED goes on."""
    texts = [field for field in fields if _takes_typing(field) and field.elem_id]
    script = f"""(...shown) => {{
  window.formFilled = true;
  window.formIsFilled?.();
  const kept = window.typed ?? {{}};
  const typed = (field, now) => (typeof now === 'number' ? Number(kept[field]) : kept[field]);
  return {json.dumps([field.elem_id for field in texts])}.map((field, i) =>
    field in kept ? typed(field, shown[i]) : {{ __type__: 'update' }});
}}"""
    filled.then(None, texts, texts, js=script, show_progress="hidden", **PRIVATE)


def _takes_typing(field: Any) -> bool:
    return isinstance(field, (gr.Textbox, gr.Number)) or getattr(field, "allow_custom_value", False)


def pressed(button: gr.Button, status: Any, stop: gr.Button) -> Any:
    """The event that carries out a press of a page's main button: the page says at once that it has started, and
    then waits until its link has filled the form."""
    quiet = {"show_progress": "hidden", **PRIVATE}
    started = button.click(None, None, [status, stop], js=STARTED, **quiet)
    return started.then(None, None, None, js=FORM_FILLED, **quiet)


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
