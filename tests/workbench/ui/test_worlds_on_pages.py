"""Pages that offer models of several worlds keep the worlds apart."""

import gradio as gr

from models.registry import watchable
from workbench.ui.context import model_choices
from workbench.ui.pages.insight.page import _form


def test_no_two_models_of_a_list_have_one_name():
    with gr.Blocks():
        form, _ = _form()
    titles = [title for title, _ in form["model"].choices]
    assert len(titles) == len(set(titles)) == len(watchable())
    assert ("ASD", "asd") in form["model"].choices and ("ASD \N{MIDDLE DOT} Shapes world", "shapes-asd") in form[
        "model"
    ].choices
    assert set(form["model"].choices) <= set(model_choices())
