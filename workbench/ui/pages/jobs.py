"""The Jobs page: work under way, and what an earlier server left behind."""

from typing import Any

import gradio as gr

from workbench.ui.components.component import script_component
from workbench.ui.context import PRIVATE, Context
from workbench.ui.pages.header import page_header

COLUMNS = ("Kind", "State", "Request", "Id")
TONES = {"running": "good", "failed": "bad", "interrupted": "bad"}


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("Jobs", "What is being made or measured here. After a restart, interrupted work goes on by itself.")
    table = script_component("table", elem_id="jobs-table")
    refresh = gr.Button("Refresh", elem_id="refresh", scale=0)

    def jobs_table() -> dict[str, Any]:
        jobs = context.jobs.all() if context.jobs else []
        rows = [[job.kind, {"text": job.state, "tone": TONES.get(job.state)}, job.says, job.id] for job in jobs]
        note = "" if rows else "Nothing is under way, and nothing was interrupted."
        return {"caption": "Jobs", "columns": COLUMNS, "rows": rows, "note": note}

    quiet = {"show_progress": "hidden", **PRIVATE}
    blocks.load(jobs_table, None, table, **quiet)
    refresh.click(jobs_table, None, table, **quiet)
