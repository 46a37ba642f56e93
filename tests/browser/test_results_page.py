"""The Results page: on an empty store, with one vote, with many; its files; its charts in a real browser.

And the Studies page: what its form says is the study; a study made, frozen and handed out.
"""

import io
import json
import re

import httpx
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from eval.preferences.simulation import World, simulate_votes
from eval.preferences.table import COLUMNS, FLAG_COLUMNS, check_votes, empty_table
from models.types import RequestError
from tests.conftest import PATIENCE
from tests.helpers.page_faults import cut_texts
from tests.helpers.tiny_models import tiny_pipeline
from workbench import charts
from workbench.charts.common import contrast
from workbench.clips.generation import GenerationService
from workbench.lab.drawn_study import draw
from workbench.published.preferences import published_preferences
from workbench.requests.links.studies import draft_query, read_draft
from workbench.settings import Settings
from workbench.store import open_store
from workbench.ui.app import build_app
from workbench.ui.live import listening
from workbench.ui.pages.results import view
from workbench.ui.pages.studies import view as studies_view
from workbench.votes.files import VoteTables, write_votes
from workbench.votes.pair_files import pair_table
from workbench.votes.preferences import Filters, study_report
from workbench.votes.studies import default_study, parse_system, study_from_json

HOSTILE = "a <img src=x onerror='window.hacked=1'> ${window.hacked=2} {{value}} `"
SYSTEMS = {"shapes-asd:1:4": 0.9, "shapes-asd:1:0": 0.3, "shapes-self-forcing:1:0": -0.7, HOSTILE: -0.5}


def some_votes(count):
    votes = simulate_votes(World(SYSTEMS, bad=0.3), np.random.default_rng(1), votes=count, annotators=7, prompts=12)
    return check_votes(votes.assign(study="shapes-asd"))


def flags():
    rows = [("v000003", "left", 1.0, "freeze", HOSTILE), ("v000004", "right", 2.0, "flicker", "")]
    return pd.DataFrame(rows, columns=list(empty_table(FLAG_COLUMNS).columns))


TABLES = {
    "empty": (empty_table(COLUMNS), empty_table(FLAG_COLUMNS)),
    "one": (some_votes(30)[:1], empty_table(FLAG_COLUMNS)),
    "many": (some_votes(300), flags()),
}


def test_nothing_is_drawn_of_two_that_nobody_compared():
    votes = some_votes(300)
    first, second = sorted(set(votes["left_system"]) | set(votes["right_system"]))[:2]
    alone = votes[~(votes["left_system"].isin([first, second]) & votes["right_system"].isin([first, second]))]
    report = study_report(alone, flags())
    heat = json.loads(json.dumps(view.matrix(report)))["data"][0]
    names = [row.system for row in report.ratings.rows]
    row, column = names.index(first), names.index(second)
    assert heat["z"][row][column] is None and heat["text"][row][column] == "no votes"
    assert sum(cell is None for line in heat["z"] for cell in line) == len(names) + 2


@pytest.mark.parametrize("name", TABLES)
def test_every_part_is_plain_data(name):
    report = study_report(*TABLES[name])
    target = next((system for _, system in view.targets(report)), "")
    parts = [
        view.headline(report),
        view.bars(report, target),
        view.forest(report),
        view.ratings_table(report),
        view.matrix(report),
        view.duels_table(report),
        view.evidence(report, target),
        view.quality_table(report),
        view.timeline(report),
        view.people_table(report),
        view.files_table("shapes-asd", Filters()),
    ]
    json.dumps(parts, allow_nan=False)
    assert (view.headline(report)["state"] == "done") == (name != "empty")
    tables = [part for part in parts if "columns" in part]
    assert all(len(row) == len(table["columns"]) for table in tables for row in table["rows"])
    drawn = [part for part in parts if "layout" in part]
    assert len(drawn) == {"empty": 0, "one": 5, "many": 5}[name]


def test_an_empty_study_says_what_fills_it():
    told = view.headline(study_report(*TABLES["empty"]))
    assert told["text"] == "No votes yet." and "199 if 60 % do" in told["notices"][0]


def test_one_vote_bounds_nothing_and_says_so():
    report = study_report(*TABLES["one"])
    told = view.headline(report)
    assert any("1 annotator: exploratory" in note for note in told["notices"])
    assert any("(at least" in str(row) or "(at most" in str(row) for row in view.ratings_table(report)["rows"])
    assert view.duels_table(report)["rows"][0][7] == "not known"


def test_bars_add_up_and_mirror():
    report = study_report(*TABLES["many"])
    bars = view.bars(report, "shapes-asd:1:4")["data"]
    assert np.sum([bar["x"] for bar in bars], axis=0) == pytest.approx([100] * 3)
    other = view.bars(report, "shapes-self-forcing:1:0")["data"]
    pair = next(
        duel.rate
        for duel in report.duels
        if {duel.rate.first, duel.rate.second} == {"shapes-asd:1:4", "shapes-self-forcing:1:0"}
    )
    share = 100 * pair.wins / pair.votes
    assert any(abs(x - share) < 1e-9 for x in bars[0]["x"])
    assert any(abs(x - share) < 1e-9 for x in other[-1]["x"])


def test_text_in_charts_is_escaped():
    report = study_report(*TABLES["many"])
    for chart in (
        view.bars(report, HOSTILE),
        view.forest(report),
        view.matrix(report),
        view.evidence(report, HOSTILE),
    ):
        assert "<img" not in json.dumps(chart)


def test_published_figures_are_shown_as_published():
    asd = {row.opponent: row.ours for study in published_preferences()[:2] for row in study.rows}
    assert list(asd.values()) == [67, 79, 78, 85, 50, 81, 98]
    for study in published_preferences():
        assert "arXiv" in study.source and study.link.startswith("https://arxiv.org/abs/")
        for row in study.rows:
            assert row.ours + (row.tie or 0) + row.theirs == pytest.approx(100, abs=0.2)
    shown = [chart for _, chart in view.published_charts()]
    assert len(shown) == len(published_preferences()) and shown[2]["data"][0]["text"] == ["72.5 %", "45 %"]


def test_charts_of_nothing_are_empty():
    assert charts.preference_bars([], "x") == charts.votes_per_day([]) == charts.evidence_path([]) == {}


# the running app


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    settings = Settings(data_dir=folder)
    store = open_store(settings)
    store.import_votes(TABLES["many"][0])
    store.import_votes(TABLES["one"][0].assign(study="one", vote_id="alone"))
    store.import_flags(flags())
    pipelines = {"shapes-asd": tiny_pipeline(0), "shapes-self-forcing": tiny_pipeline(1)}
    made = build_app(GenerationService(folder, pipelines=pipelines), settings)
    made.state.voting.clips.make = draw  # drawn clips, which need no model
    yield made
    made.state.voting.clips.stop()


@pytest.fixture(scope="module")
def server(app):
    with listening(app) as url:
        yield url


@pytest.mark.parametrize("file", [name for name, _ in view.FILES])
def test_files_of_a_study(server, file, tmp_path):
    answer = httpx.get(f"{server}/api/v1/results/shapes-asd/{file}", timeout=120)
    assert answer.status_code == 200 and "attachment" in answer.headers["content-disposition"]
    write_votes(tmp_path / "votes.csv", VoteTables(*TABLES["many"]))
    if file == "votes.csv":
        assert answer.content == (tmp_path / "votes.csv").read_bytes()
    if file == "report.json":
        assert answer.json()["headline"] == study_report(*TABLES["many"], Filters()).headline
    if file == "pairs.csv":
        table = pd.read_csv(io.BytesIO(answer.content))
        pd.testing.assert_frame_equal(table, pair_table(study_report(*TABLES["many"])), check_dtype=False)
    if file == "pairs.json":
        assert pd.read_json(io.BytesIO(answer.content))["n"].sum() == 300


def test_files_are_of_the_votes_on_the_page(server):
    """The links under the table of files give what the filters above it left."""
    report = study_report(*TABLES["many"], Filters(prompt="prompt 3"))
    assert 0 < report.votes < 300
    (row,) = (row for row in view.files_table("shapes-asd", report.filters)["rows"] if row[0]["text"] == "pairs.csv")
    table = pd.read_csv(io.BytesIO(httpx.get(server + row[0]["href"], timeout=120).content))
    assert table["n"].sum() == report.votes


def test_unknown_files_and_studies_are_refused(server):
    assert httpx.get(f"{server}/api/v1/results/shapes-asd/passwd").status_code == 404
    assert httpx.get(f"{server}/api/v1/results/none/votes.csv").status_code == 404


@pytest.fixture(scope="module")
def page(browser):
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(PATIENCE)
    yield opened
    opened.close()


def test_the_page_in_a_browser(server, page):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{server}/results?study=shapes-asd&target=shapes-self-forcing:1:0")
    page.wait_for_selector("#bars .main-svg")
    for part in ("forest", "matrix", "evidence", "days", "published-0"):
        page.wait_for_selector(f"#{part} .main-svg")
    assert "was preferred to" in page.inner_text("#status")
    assert page.locator("#ratings tbody tr").count() == 4
    assert "Self Forcing" in page.input_value("#target input")
    assert "n = " in page.inner_text("#bars") and "How often the system of the row" in page.inner_text("#matrix")
    page.fill("#prompt-words input, #prompt-words textarea", "prompt 3")
    page.keyboard.press("Enter")
    expect(page.locator("#files a", has_text="pairs.csv")).to_have_attribute(
        "href", re.compile("prompt"), timeout=PATIENCE
    )
    page.reload()  # the filter is in the address
    expect(page.locator("#prompt-words input, #prompt-words textarea")).to_have_value("prompt 3", timeout=PATIENCE)
    assert page.evaluate("window.hacked") is None and not errors
    page.goto(f"{server}/results?study=one")
    page.wait_for_selector("#status [data-state=done]")
    assert "exploratory" in page.inner_text("#status")
    page.goto(f"{server}/results?study=nowhere")
    page.wait_for_selector("#status [data-state=error]")
    assert "nowhere" in page.inner_text("#status")
    assert not errors


def test_on_a_phone_no_text_of_a_chart_is_cut_or_covered(server, browser):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(PATIENCE)
    page.goto(f"{server}/results?study=shapes-asd")
    for part in ("bars", "forest", "matrix", "evidence", "days", "published-0"):
        page.wait_for_selector(f"#{part} .main-svg")
    page.wait_for_timeout(500)
    assert cut_texts(page) == []
    page.close()


def test_numbers_on_bars_are_read_on_their_colours():
    bars = view.bars(study_report(*TABLES["many"]), "shapes-asd:1:4")["data"]
    assert len(bars) == 4
    for bar in bars:
        assert contrast(bar["textfont"]["color"], bar["marker"]["color"]) >= 4.5


def test_a_study_is_made_frozen_and_handed_out(app, server, page):
    voting, errors = app.state.voting, []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{server}/studies")
    page.wait_for_selector("#studies table")
    page.fill("#study-id input, #study-id textarea", "by-page")
    for system in ("shapes-asd:1:4", "shapes-self-forcing:1:0"):
        title = next(title for title, name in studies_view.system_choices() if name == system)
        page.fill("#systems input", title)
        page.get_by_role("option", name=title, exact=True).click()
    page.fill("#prompts textarea", "one\ntwo <b>bold</b>")
    page.fill("#frames input", "13")
    status = page.locator("#status")
    page.click("#freeze")
    expect(status).to_contain_text("no study is chosen", timeout=PATIENCE)
    page.fill("#own-questions textarea", "smooth: Which is smoother?")
    expect(page.locator("#preview legend").last).to_have_text("Which is smoother?", timeout=PATIENCE)
    assert "4 clips and 2 pairs" in page.inner_text("#preview .wb-plan")
    page.click("#pilot")  # of the first prompt alone, before anything is saved
    expect(page.locator("#preview video")).to_have_count(2, timeout=PATIENCE)
    assert voting.study("by-page-pilot").title.startswith("Pilot: ")
    page.reload()  # the address holds what is not saved
    expect(status).to_contain_text("Not saved yet: Id", timeout=PATIENCE)
    expect(page.locator("#own-questions textarea")).to_have_value("smooth: Which is smoother?")
    page.fill("#own-questions textarea", "Smoother?")
    page.click("#save")
    expect(page.locator("#own-questions.wb-wrong")).to_contain_text("is unknown", timeout=PATIENCE)
    page.fill("#own-questions textarea", "smooth: Which is smoother?")
    page.click("#save")
    expect(status).to_contain_text("All clips are made.", timeout=PATIENCE)
    expect(page.locator(".wb-wrong")).to_have_count(0)
    record = voting.study("by-page")
    assert study_from_json(record.definition).question_ids() == ("overall", "smooth")
    voting.clips.wait(record)
    page.click("#leaks")
    expect(status).to_contain_text("Nothing tells the sides apart.", timeout=PATIENCE)
    assert page.locator("#leak-table tbody tr").count() > 5
    page.click("#freeze")
    expect(status).to_contain_text("Version 1 is frozen", timeout=PATIENCE)
    assert record.protocol_hash in status.inner_text() and voting.store.studies.get("by-page").frozen_at
    page.fill("#seeds input, #seeds textarea", "7, 8")
    page.click("#save")
    expect(status).to_contain_text("a new version", timeout=PATIENCE)
    newest = voting.store.studies.get("by-page")
    assert (newest.version, newest.frozen_at) == (2, None) and newest.protocol_hash != record.protocol_hash
    voting.clips.wait(newest)
    page.click("#again")
    expect(page.locator("#studies tbody tr").first).to_contain_text("8 of 8", timeout=PATIENCE)
    page.fill("#names textarea", "Ann\nBob\nAnn")
    page.click("#invite")
    expect(page.locator("#invitations tbody tr")).to_have_count(2, timeout=PATIENCE)
    link = page.get_attribute("#invitations tbody a", "href")
    page.get_by_role("link", name="Vote", exact=True).first.click()
    page.wait_for_selector("#name")  # a stranger is asked for a name
    page.goto(link)
    page.wait_for_selector("text=I agree, start")
    assert "invite" not in page.url and page.locator("#name").count() == 0
    assert voting.store.people.named("Ann").role == "annotator" and not errors


# the form of the Studies page


def test_the_form_and_the_study_say_the_same():
    study = default_study()
    form = studies_view.form_of(study)
    assert studies_view.study_of(form) == study and form["prompts"].count("\n") == len(study.prompts) - 1
    assert read_draft(draft_query(form)) == {name: form[name] for name in form if form[name] != ""}
    own = studies_view.study_of(form | {"own_questions": "smooth: Which one?\noverall: Which would you keep?"})
    assert own.questions == ("overall: Which would you keep?", "smooth: Which one?")
    assert studies_view.study_of(studies_view.form_of(own)) == own
    pilot = studies_view.pilot_of(own)
    assert (len(pilot.items()), pilot.questions, pilot.id) == (1, own.questions, own.id + "-pilot")
    pinned = studies_view.study_of(form | {"seeds": "1 2,\n3"}, studies_view.study_of(form | {"weights": ["asd 00"]}))
    assert pinned.seeds == (1, 2, 3) and pinned.weights == ("asd 00",)
    for wrong, word in (
        ({"seeds": "one"}, "seeds is 'one'"),
        ({"systems": None}, "systems is 'None'"),
        ({"votes_per_pair": None}, "votes_per_pair is 'None'"),
        ({"frames": 1.5}, "frames is '1.5'"),
    ):
        with pytest.raises(RequestError, match=re.escape(word)):
            studies_view.study_of(form | wrong)


def test_every_system_on_offer_can_be_made():
    systems = [system for _, system in studies_view.system_choices()]
    assert "shapes-asd:1:4" in systems and len(set(systems)) == len(systems)
    assert all(parse_system(system).stored == system for system in systems)
