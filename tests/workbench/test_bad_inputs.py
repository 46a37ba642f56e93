"""A small part of what `bad-inputs` and `chaos` do at length."""

from workbench.clips.generation import GenerationService
from workbench.lab.bad_inputs import Report, try_commands, try_requests, wrong_words
from workbench.lab.chaos import clips_and_evaluations, connections
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


def test_clients_that_leave_hurt_nobody(tmp_path):
    part = connections(tmp_path, 20, 0)
    assert part.acknowledged == 20 and part.faults == []


def test_a_killed_maker_of_clips_loses_nothing(tmp_path):
    part = clips_and_evaluations(tmp_path, 1, 0, lambda: None)
    assert part.acknowledged >= 1 and part.faults == []
