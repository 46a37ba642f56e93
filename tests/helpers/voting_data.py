"""A small study in a store, without any model: for tests of the store and of voting."""

from workbench.store import Store
from workbench.store.records import Ballot, Clip, Pair, StudyRecord

SYSTEMS = ("shapes-asd:1:4", "shapes-self-forcing:1:0")


def small_study(store: Store, prompts: int = 3, study: str = "trial") -> StudyRecord:
    """A study with one pair a prompt; its clips have no files."""
    record = store.studies.save(study, "A trial", "{}", "0" * 64)
    clips, pairs = [], []
    for k in range(prompts):
        mine = [clip(f"{study}-{k}-{side}", study, system, k) for side, system in enumerate(SYSTEMS)]
        clips += mine
        pairs.append(Pair(f"{study}-{k}", study, record.version, f"prompt {k}", k, mine[0].id, mine[1].id))
    store.studies.add(clips, pairs)
    return record


def clip(identity: str, study: str, system: str, seed: int) -> Clip:
    return Clip(identity, study, system, f"prompt {seed}", seed, f"studies/{identity}.mp4", 49, 12.0, 64, 64, 1000)


def ballot(assignment: str, key: str, answer: str = "a", **more) -> Ballot:
    return Ballot(assignment, key, (("overall", answer),), 4.0, 6.0, "test", **more)
