"""Studies: what a file may say, the protocol's hash, pairs, clips that give nothing away."""

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from eval.preferences import pairing
from models.registry import weights_digest
from models.specs import MODELS
from models.types import RequestError
from models.worlds.tabletop.grammar import parse_prompt
from workbench.clips.media import decode_mp4, encode_mp4
from workbench.lab.drawn_study import draw, make_trial, trial_study
from workbench.settings import Settings
from workbench.store import open_store
from workbench.store.records import PairState
from workbench.votes.blindness.leak_check import leak_check, separation
from workbench.votes.pair_choice import choose_pair, values_of
from workbench.votes.questions import ANSWERS
from workbench.votes.studies import DEFAULT_STUDY, default_study, parse_system, read_study, study_from, study_from_json
from workbench.votes.study_clips import StudyClips, degraded
from workbench.votes.voting import VotingService, describe_system

SYSTEMS = ("shapes-asd:1:4", "shapes-asd:1:0", "shapes-self-forcing:1:0", "shapes-self-forcing:2:0")
YAML = """
id: my-study
title: Which looks better?
systems: [shapes-asd:1:4, shapes-self-forcing:1:0]
prompts:
  - a red circle moving right on a black background
seeds: [1, 2]
questions: [overall, motion]
degraded: 0
identical: 0
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text)
    return path


# definition


def test_a_study_is_read_from_yaml(tmp_path):
    study = read_study(write(tmp_path, YAML))
    assert study.systems == ("shapes-asd:1:4", "shapes-self-forcing:1:0") and study.seeds == (1, 2)
    assert study.items() == [(study.prompts[0], 1), (study.prompts[0], 2)] and not study.reveal
    assert study_from_json(study.to_json()) == study


@pytest.mark.parametrize(
    "change, word",
    [
        ("id: 'Big Id'", "small letters"),
        ("title: ''", "title"),
        ("colour: blue", "'colour' is not a setting"),
        ("systems: shapes-asd:1:4", "give a list"),
        ("systems: [shapes-asd:1:4]", "two or more"),
        ("systems: [shapes-asd:1:4, shapes-asd:9:0]", "9 steps"),
        ("systems: [shapes-asd:1:4, nope:1:0]", "unknown model"),
        ("systems: [shapes-asd:1:4, shapes-aad1:1:0]", "makes no video from text"),
        ("systems: [shapes-asd:1:4, shapes-asd]", "is not a system"),
        ("questions: [beauty]", "'beauty' is unknown"),
        ("questions: []", "asks no question"),
        ("questions: ['Smooth: which?']", "no usable id"),
        ("questions: ['smooth:']", "a text of 0 characters"),
        ("questions: [overall, overall]", "asked twice"),
        ("pairing: none", "choose target or all"),
        ("sampling: psychic", "choose uncertainty"),
        ("seeds: [-1]", "whole number"),
        ("seeds: [x]", "whole number"),
        ("seeds: [1, 2, 1]", "'1' twice"),
        ("id: 2026-01-01", "which is no text; write it in quotes"),
        ("title: One\ntitle: Two", "'title' of line .* is given again"),
        ("prompts: []", "no prompts"),
        ("reveal: maybe", "true or false"),
        ("pairs_per_annotator: 0", "1 or more"),
        ("degraded: 30", "are checks"),
        ("frames: 1.5", "whole number"),
        ("instructions: " + "x" * 5000, "5000 characters"),
        ("clips: [{system: a, prompt: p, path: x.mp4}]", "leave the others out"),
        ("id: [", "not YAML"),
    ],
)
def test_a_wrong_study_is_refused_in_one_sentence(tmp_path, change, word):
    name = change.partition(":")[0]
    kept = "\n".join(
        line for line in YAML.splitlines() if not line.startswith((f"{name}:", "  -" if name == "prompts" else "\0"))
    )
    with pytest.raises(RequestError, match=word) as caught:
        read_study(write(tmp_path, f"{kept}\n{change}\n"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "just text", "[1, 2]", "\0"])
def test_what_is_no_study_is_refused(tmp_path, text):
    with pytest.raises(RequestError):
        read_study(write(tmp_path, text))
    with pytest.raises(RequestError, match="cannot be read"):
        read_study(tmp_path / "missing.yaml")


def test_clips_made_elsewhere_need_every_system_for_every_prompt(tmp_path):
    rows = [{"system": s, "prompt": p, "path": f"{s}{p}.mp4"} for s in "xy" for p in "12"]
    study = study_from({"id": "s", "title": "t", "clips": rows})
    assert study.labels() == ("x", "y") and study.items() == [("1", 0), ("2", 0)]
    with pytest.raises(RequestError, match="no clip of 'y' for '2'"):
        study_from({"id": "s", "title": "t", "clips": rows[:-1]})


def test_the_hash_covers_the_protocol_and_nothing_else():
    study = default_study()
    hashes = {replace(study, **change).protocol_hash() for change in CHANGES} | {study.protocol_hash()}
    assert len(hashes) == len(CHANGES) + 1
    assert replace(study, title="Other", id="other").protocol_hash() == study.protocol_hash()


CHANGES = (
    {"seeds": (8,)},
    {"systems": default_study().systems[:-1]},
    {"prompts": default_study().prompts[:-1]},
    {"questions": ("motion",)},
    {"votes_per_pair": 4},
    {"identical": 2},
    {"exclusion": "none"},
    {"stop": "never"},
    {"sampling": "uniform"},
)


def test_the_default_study_is_one_the_models_know():
    study = default_study()
    assert study.id == DEFAULT_STUDY and study_from_json(study.to_json()) == study
    assert all(parse_prompt(prompt) for prompt in study.prompts)
    words = " ".join(study.prompts)
    assert all(word in words for word in ("red", "cyan", "cone", "cylinder", "left", "up", "stone", "night sky"))
    assert len(study.items()) * len(study.opponents()) >= study.pairs_per_annotator


def test_systems_in_words():
    assert parse_system("shapes-asd:1:4").stored == "shapes-asd:1:4"
    assert (describe_system("asd:1:4"), describe_system("shapes-asd:1:4")) == ("ASD 1*", "ASD (shapes) 1*")
    assert describe_system("elsewhere") == "elsewhere"


# pairs


def states(prompts: int, systems: tuple[str, ...] = ("x", "y", "z"), checks: int = 4) -> list[PairState]:
    pairs = [
        PairState(f"{p}{a}{b}", f"prompt {p}", a, b, "", 0)
        for p in range(prompts)
        for a, b in (("x", "y"), ("x", "z"))
        if {a, b} <= set(systems)
    ]
    kinds = [
        PairState(f"{kind}{k}", f"prompt {k}", "x", "x", kind, 0)
        for kind in ("degraded", "identical")
        for k in range(checks)
    ]
    return pairs + kinds


def walk(study, pairs, annotator="ann", steps=100):
    """The pairs that one annotator gets, in order."""
    seen, chosen, rng = set(), [], random.Random(1)
    values = {frozenset("xy"): 1.0, frozenset("xz"): 1.0}
    for _ in range(steps):
        choice = choose_pair(study, pairs, seen, annotator, values, rng)
        if choice is None:
            break
        seen.add(choice.pair.id)
        chosen.append(choice.pair)
    return chosen


@pytest.mark.parametrize("sampling", ["uniform", "balanced", "uncertainty"])
def test_everybody_sees_every_pair_once_and_the_checks_wanted(sampling):
    study = trial_study(8, sampling=sampling, pairs_per_annotator=12, degraded=2, identical=1)
    chosen = walk(study, states(8))
    assert len({pair.id for pair in chosen}) == len(chosen) == 16 + 3
    kinds = Counter(pair.check_kind for pair in chosen[:12])
    assert kinds == {"": 9, "degraded": 2, "identical": 1} and not chosen[0].check_kind


def test_a_prompt_comes_again_only_after_all_others():
    chosen = [pair for pair in walk(trial_study(8), states(8, checks=0)) if not pair.check_kind]
    assert len({pair.prompt for pair in chosen[:8]}) == 8


def test_checks_come_at_places_that_differ_between_annotators():
    study = trial_study(8, pairs_per_annotator=16, degraded=1, identical=1)
    places = {tuple(bool(p.check_kind) for p in walk(study, states(8), f"ann {k}")[:16]) for k in range(8)}
    assert len(places) > 4


def test_balanced_takes_the_pair_with_fewest_votes():
    pairs = [replace(pair, issued=k) for k, pair in enumerate(states(4, checks=0))]
    choice = choose_pair(trial_study(4), pairs, set(), "ann", {}, random.Random(0))
    assert choice.pair.issued == 0 and choice.propensity == 1


def test_uncertainty_draws_as_the_rule_whose_saving_was_measured():
    """Same votes, same odds as `eval.preferences.pairing`; votes reach it by either side, ties and both bad alike."""
    study = trial_study(1, systems=SYSTEMS, pairing="all", sampling="uncertainty")
    pairs = [PairState(f"{a} {b}", "prompt", a, b, "", 0) for a, b in combinations(SYSTEMS, 2)]
    for seed in range(5):
        rng = random.Random(seed)
        tallies = [(*rng.sample(SYSTEMS, 2), rng.choice(tuple(ANSWERS)), rng.randrange(9)) for _ in range(20)]
        counts = {pair: [0, 0, 0] for pair in combinations(SYSTEMS, 2)}
        for left, right, answer, n in tallies:
            turned = (left, right) not in counts
            side = {"a": int(turned), "b": int(not turned)}.get(answer, 2)
            counts[(right, left) if turned else (left, right)][side] += n
        first, second, odds = pairing.choose_pair(pairing.pair_values(SYSTEMS, counts), np.random.default_rng(1))
        picks = [choose_pair(study, pairs, set(), "ann", values_of(study, tallies), rng) for _ in range(60)]
        told = {round(pick.propensity, 9) for pick in picks if pick.pair.id == f"{first} {second}"}
        assert told == {round(odds, 9)}
        assert len({pick.pair.id for pick in picks}) > 1
    assert odds > 0.9 and all(pick.propensity == pytest.approx(0.1 / 6) for pick in picks if pick.propensity < 0.5)


def test_before_any_vote_every_pair_is_alike():
    study = trial_study(1, systems=SYSTEMS[:3], pairing="all", sampling="uncertainty")
    pairs = [PairState(f"{a} {b}", "prompt", a, b, "", 0) for a, b in combinations(SYSTEMS[:3], 2)]
    choice = choose_pair(study, pairs, set(), "ann", values_of(study, ()), random.Random(0))
    assert choice.propensity == pytest.approx(1 / 3)


# clips


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    settings = Settings(data_dir=tmp_path_factory.mktemp("study"))
    record = make_trial(settings, trial_study(8, degraded=1, identical=1))
    store = open_store(settings)
    yield settings, store, record
    store.close()


def test_clips_are_named_by_chance_and_measured(made):
    settings, store, record = made
    clips = store.studies.clips(record.id)
    for clip in clips:
        path = settings.data_dir / clip.file
        assert not any(word in clip.file for word in ("shapes", "asd", "trial")) and path.stat().st_size == clip.bytes
        assert len(decode_mp4(path)[0]) == clip.frames
    assert len({clip.prompt for clip in clips}) == 8


def test_prepared_studies_have_their_pairs_and_no_leak(made):
    settings, store, record = made
    kinds = Counter(pair.check_kind for pair in store.studies.pairs(record.id, record.version))
    assert kinds == {"": 8, "degraded": 2, "identical": 2}
    clips = StudyClips(store, settings.data_dir)
    assert clips.progress(record).ready == clips.progress(record).planned == 16
    (findings,) = clips.leaks(record).values()
    assert [finding.channel for finding in findings if finding.leaks] == []


def test_preparing_again_makes_nothing_new(made):
    settings, store, record = made
    before = {clip.id: (settings.data_dir / clip.file).read_bytes() for clip in store.studies.clips(record.id)}
    StudyClips(store, settings.data_dir, draw).prepare(record)
    assert before == {clip.id: (settings.data_dir / clip.file).read_bytes() for clip in store.studies.clips(record.id)}
    assert len(store.studies.pairs(record.id, 1)) == 12


def test_a_new_version_shares_the_clips(made):
    settings, store, record = made
    study = replace(study_from_json(record.definition), questions=("overall", "motion"))
    newer = store.studies.save(study.id, study.title, study.to_json(), study.protocol_hash())
    StudyClips(store, settings.data_dir).prepare(newer)  # no maker: nothing has to be made
    assert newer.version == 2 and len(store.studies.pairs(record.id, 2)) == 12


def test_clips_of_changed_weights_are_remade_as_a_new_version_and_old_votes_keep_theirs(tmp_path):
    settings = Settings(data_dir=tmp_path)
    store = open_store(settings)
    by = {name: weights_digest(MODELS[name]) for name in ("asd", "self-forcing")}
    made_by = by | {"asd": "0" * 64}  # as if the one model had been trained on since

    def make(system, *request):
        return replace(draw(system, *request), weights=made_by[system.model])

    voting = VotingService(store, settings, StudyClips(store, tmp_path, make))
    first = voting.add_study(trial_study(3))
    voting.clips.wait(first)
    assert voting.changed_weights(first) == {"asd": by["asd"]}
    old = store.studies.pairs(first.id, 1)
    second = voting.remake(first.id)
    with pytest.raises(RequestError, match="weights of asd have changed"):  # the study never mixes weights
        voting.clips.wait(second)
    assert voting.clips.progress(second).ready == 3 and not store.studies.pairs(first.id, 2)
    made_by["asd"] = by["asd"]
    voting.clips.start(second)
    voting.clips.wait(second)
    assert second.version == 2 and second.protocol_hash != first.protocol_hash
    assert voting.clips.weights(second) == by and not voting.changed_weights(second)
    clips = store.studies.clips(first.id)
    assert Counter(clip.system for clip in clips) == {"asd:1:4": 6, "self-forcing:1:0": 3}
    assert store.studies.pairs(first.id, 1) == old and len(store.studies.pairs(first.id, 2)) == 3
    with pytest.raises(RequestError, match="nothing to remake"):
        voting.remake(first.id)
    store.close()


def test_a_spoilt_copy_is_far_worse():
    clip = draw(parse_system("shapes-asd:1:4"), "p", 0, 13).frames
    spoilt = np.stack(list(degraded(clip)))
    assert spoilt.shape == clip.shape and spoilt.dtype == clip.dtype
    moved = (np.abs(np.diff(spoilt.astype(int), axis=0)).max(axis=(1, 2, 3)) > 0).sum()
    assert moved == 2 and np.abs(spoilt.astype(int) - clip).mean() > 5


# leaks


def sides(folder: Path, change=lambda k, frames: frames, fps: float = 12, name: str = "clip") -> list[list[Path]]:
    paths = []
    for side in range(2):
        paths.append([])
        for k in range(8):
            clip = draw(parse_system(("shapes-asd:1:4", "shapes-self-forcing:1:0")[side]), f"p{k}", 0, 13).frames
            path = folder / f"{name if side else 'clip'}{k}{'-b' if side else '-a'}.mp4"
            encode_mp4(change(k, clip) if side else clip, fps if side else 12, path)
            paths[side].append(path)
    return paths


@pytest.mark.parametrize(
    "channel, options",
    [
        ("resolution", {"change": lambda k, frames: frames[:, :30]}),
        ("frame rate", {"fps": 16}),
        ("frames", {"change": lambda k, frames: frames[:-1]}),
        ("size", {"change": lambda k, frames: np.full_like(frames, 60)}),
        (
            "border pixels",
            {"change": lambda k, frames: np.pad(frames[:, 2:-2, 2:-2], ((0, 0), (2, 2), (2, 2), (0, 0)))},
        ),
        ("name", {"name": "baseline "}),
    ],
)
def test_every_channel_that_leaks_is_named(tmp_path, channel, options):
    first, second = sides(tmp_path, **options)
    assert channel in [finding.channel for finding in leak_check(first, second) if finding.leaks]


def test_alike_files_leak_nothing(tmp_path):
    first, second = sides(tmp_path)
    found = {finding.channel for finding in leak_check(first, second) if finding.leaks}
    assert found <= {"name", "size"}  # these are called -a and -b, and are encoded as their pictures need it


def test_separation_by_hand():
    assert separation([3, 4], [1, 2])[0] == 1 and separation([1, 2], [1, 2])[0] == 0.5


def test_a_study_that_leaks_cannot_be_frozen(tmp_path):
    settings = Settings(data_dir=tmp_path)
    record = make_trial(settings, trial_study(8))
    store = open_store(settings)
    voting = VotingService(store, settings, StudyClips(store, tmp_path))
    frozen = voting.freeze(record.id)
    assert frozen.frozen_at and frozen.protocol_hash == record.protocol_hash
    for clip in store.studies.clips(record.id):
        if "self-forcing" in clip.system:
            bordered = np.pad(decode_mp4(tmp_path / clip.file)[0][:, 2:-2, 2:-2], ((0, 0), (2, 2), (2, 2), (0, 0)))
            encode_mp4(bordered, 12, tmp_path / clip.file)
    with pytest.raises(RequestError, match="leak by"):
        voting.freeze(record.id)
