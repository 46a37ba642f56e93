"""A small part of what `bad-inputs` and `chaos` do at length."""

import gc
import json

import httpx
import pytest

from models.types import RequestError
from workbench.__main__ import main
from workbench.clips.generation import GenerationService
from workbench.commands.lab.bad_input_trials import Report, try_commands, try_requests, wrong_words
from workbench.lab.chaos import SMALL_DISK, clips_and_evaluations, connections, full_disk, small_disk
from workbench.lab.chaos_rounds import CYCLE_KILLS, rounds, run_chaos
from workbench.settings import Settings
from workbench.ui.live import live_app


def test_wrong_command_lines_are_refused_in_one_line():
    assert len(wrong_words()) > 1000
    report = Report()
    try_commands(40, 0, report, lambda: None)
    assert report.commands == 40 and report.faults == []


def test_wrong_requests_are_answered_and_the_pages_work_afterwards(tmp_path):
    report = Report()
    settings = Settings(data_dir=tmp_path, min_watch=0.0)
    with live_app(GenerationService(tmp_path), settings) as url:
        try_requests(url, 40, 0, report, lambda: None)
    assert report.requests == 40 and report.faults == [] and len(report.files) >= 2


def test_the_same_requests_again_leave_nothing_in_memory(tmp_path):
    """A call that names no session once left a copy of all components' settings, some 1,500 objects."""
    service, settings = GenerationService(tmp_path), Settings(data_dir=tmp_path, min_watch=0.0)
    with live_app(service, settings) as url, httpx.Client(base_url=url, timeout=60) as client:

        def ask() -> int:
            """Objects after ten calls, half of them with a value too many, and two pages."""
            for data in [[], [1]] * 5:
                call = client.post("/gradio_api/call/models", json={"data": data})
                if call.status_code == 200:
                    client.get(f"/gradio_api/call/models/{call.json()['event_id']}").read()
            client.get("/vote")
            client.get("/generate")
            gc.collect()
            return len(gc.get_objects())

        ask()
        before = ask()
        assert max(ask(), ask(), ask()) - before < 2000


def test_clients_that_leave_hurt_nobody(tmp_path):
    part = connections(tmp_path, 20, 0)
    assert part.acknowledged == 20 and part.faults == []


def test_a_killed_maker_of_clips_loses_nothing(tmp_path):
    part = clips_and_evaluations(tmp_path, 1, 0, lambda: None)
    assert part.acknowledged >= 1 and part.faults == []


def test_votes_on_a_full_disk_are_refused_and_those_acknowledged_are_kept():
    try:
        with small_disk(SMALL_DISK) as disk:
            part = next(full_disk(disk))
    except RequestError as error:
        pytest.skip(str(error))
    assert part.acknowledged == 8 and part.faults == []


def test_more_kills_only_add_rounds():
    whole, more = list(rounds(CYCLE_KILLS, 5)), list(rounds(10 * CYCLE_KILLS, 5))
    assert more[: len(whole)] == whole and sum(each.kills for each in more) == 10 * CYCLE_KILLS
    assert [each.kills for each in rounds(2, 0)] == [1, 1, 0] and [each.kills for each in rounds(0, 0)] == [0]


def test_rounds_of_a_journal_are_told_and_not_tried_again(tmp_path):
    journal = tmp_path / "chaos.jsonl"
    lines = [
        {"round": each.number, "seed": 0, "parts": [{"name": "votes", "kills": each.kills, "acknowledged": 7}]}
        for each in rounds(3, 0)
    ]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"round": 9, "pa')
    parts = list(run_chaos(3, 0, journal))
    assert [part.acknowledged for part in parts] == [7] * 4 and sum(part.kills for part in parts) == 3
    journal.write_text("[]\n")
    with pytest.raises(RequestError, match="is no journal of chaos"):
        list(run_chaos(3, 0, journal))


def test_a_journal_is_never_begun_anew(tmp_path, capsys):
    journal = tmp_path / "chaos.jsonl"
    chaos = ["lab", "chaos", "--kills", "1", "--journal", str(journal)]
    assert main([*chaos, "--resume"]) == 2 and "finds no" in capsys.readouterr().err
    journal.write_text("")
    assert main(chaos) == 2 and "--resume" in capsys.readouterr().err
    assert main(["lab", "chaos", "--resume"]) == 2 and "--journal" in capsys.readouterr().err
