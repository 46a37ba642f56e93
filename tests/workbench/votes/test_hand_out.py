"""Two processes on one data folder choose pairs for fifty annotators as one would."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.helpers.voting_data import SYSTEMS, clip
from workbench.lab.drawn_study import trial_study
from workbench.store.records import Pair

ANNOTATORS, PAIRS, EACH = 25, 50, 2  # annotators of each process; pairs of the study; pairs each annotator asks for
ASKING = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from workbench.settings import Settings
from workbench.store import open_store
from workbench.votes.bodies import VoteBody
from workbench.votes.study_clips import StudyClips
from workbench.votes.voting import VotingService

name, folder, annotators, each, url = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
settings = Settings(data_dir=folder, database_url=url or None, min_watch=0.0)
store = open_store(settings)
voting = VotingService(store, settings, StudyClips(store, folder))
people = [store.people.named(f"{name} {k}") for k in range(annotators)]
print("ready", flush=True)
sys.stdin.readline()

def ask(person):
    for k in range(each):
        given = voting.next_pair(person, "trial").assignment
        told = {"answers": {"overall": "a"}, "watched": 1, "seconds": 1}
        voting.vote(person, VoteBody(assignment=given.id, key=given.id, **told))

with ThreadPoolExecutor(5) as pool:
    list(pool.map(ask, people))
"""


def test_two_processes_hand_every_pair_out_as_often(store, store_settings):
    """Fifty annotators ask for two of fifty pairs each: a hundred hand-outs, exactly two of each pair."""
    folder, url = store_settings.data_dir, store_settings.database_url or ""
    study = trial_study(PAIRS, id="trial")
    record = store.studies.save(study.id, study.title, study.to_json(), study.protocol_hash())
    clips, pairs = [], []
    for k in range(PAIRS):
        two = [clip(f"{k}-{side}", "trial", system, k) for side, system in enumerate(SYSTEMS)]
        clips += two
        for each in two:
            file = folder / each.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()  # clips that are gone are not handed out; nobody looks at these
        pairs.append(Pair(f"pair {k}", "trial", record.version, f"trial {k}", k, two[0].id, two[1].id))
    store.studies.add(clips, pairs)
    command = [sys.executable, "-c", ASKING]
    processes = [
        subprocess.Popen(
            [*command, name, str(folder), str(ANNOTATORS), str(EACH), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        for name in ("one", "two")
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, problems = process.communicate(timeout=120)
        assert process.returncode == 0, problems
    votes = store.votes()
    handed = Counter(tuple(each) for each in votes[["left_clip", "right_clip"]].apply(sorted, axis=1))
    assert len(votes) == 2 * ANNOTATORS * EACH and votes.annotator.nunique() == 2 * ANNOTATORS
    assert {pair.issued for pair in store.studies.pairs("trial", 1)} == {2 * ANNOTATORS * EACH // PAIRS}
    assert set(handed.values()) == {2 * ANNOTATORS * EACH // PAIRS}
