"""The head of a page: its name and one sentence."""

import gradio as gr


def page_header(title: str, sentence: str) -> None:
    gr.Markdown(f"# {title}\n{sentence}", elem_classes="wb-page-head", elem_id="content")
