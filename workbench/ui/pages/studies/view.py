"""What the Studies page shows and reads: studies as plain data, and a study from the fields of a form."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from models.registry import list_models, unavailable
from workbench.store.records import Clip, StudyRecord
from workbench.votes.leak_check import Finding
from workbench.votes.studies import Study, study_from, study_from_json
from workbench.votes.study_clips import Progress
from workbench.votes.voting import describe_system

LISTED = ("Study", "Version", "Votes", "Protocol (SHA-256)", "Clips", "Pairs", "Vote")
LEAKS = ("Pair", "Channel", "Tells them apart", "What was found")
# the fields of the form that are a study's own, by name; lists are text of one line each
LINES = ("prompts", "seeds")
FIELDS = (
    "id",
    "title",
    "systems",
    *LINES,
    "questions",
    "pairing",
    "sampling",
    "votes_per_pair",
    "pairs_per_annotator",
    "degraded",
    "identical",
    "frames",
    "reveal",
    "instructions",
    "consent",
)
WHOLE = ("votes_per_pair", "pairs_per_annotator", "degraded", "identical", "frames")


def system_choices() -> list[tuple[str, str]]:
    """(title, system) of every model that runs here at every number of steps, with and without FFE."""
    found = []
    for spec in list_models():
        for steps in [] if unavailable(spec) or "t2v" not in spec.tasks else spec.steps:
            firsts = (0, *(first for first in spec.steps if spec.few_step and steps < first <= 4))
            found += [f"{spec.name}:{steps}:{first}" for first in firsts]
    return [(describe_system(system), system) for system in found]


def study_of(form: Mapping[str, Any], before: Study | None = None) -> Study:
    """A study from the form; what the form does not have stays as it was `before`. Raises RequestError naming the
    first field that is wrong."""
    values = dict(form)
    if before:
        values |= {"exclusion": before.exclusion, "stop": before.stop}
        models = {str(system).partition(":")[0] for system in values["systems"] or ()}
        values["weights"] = [line for line in before.weights if line.partition(" ")[0] in models]
    for name in LINES:
        values[name] = [line.strip() for line in (values[name] or "").splitlines() if line.strip()]
    values["seeds"] = [_number(seed) for line in values["seeds"] for seed in line.replace(",", " ").split()]
    values |= {name: _number(values[name]) for name in WHOLE}
    return study_from(values)


def form_of(study: Study) -> dict[str, Any]:
    """The inverse of `study_of`, for studies that the registry's models make."""
    values = {name: getattr(study, name) for name in FIELDS}
    values["prompts"] = "\n".join(study.prompts)
    values["seeds"] = ", ".join(map(str, study.seeds))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _number(value: Any) -> Any:
    """What is a whole number, as one; the rest as it is, to be refused by its name."""
    try:
        return int(value) if int(value) == float(value) else value
    except (TypeError, ValueError):
        return value


def vote_link(study: str, base: str = "") -> str:
    return f"{base}/vote?{urlencode({'study': study})}"


def listed(rows: Sequence[tuple[StudyRecord, Progress, int]]) -> dict[str, Any]:
    """The table of studies: (newest version, clips, pairs to vote on) of each."""
    return {"caption": "Studies", "columns": LISTED, "rows": [_row(*row) for row in rows], "dense": True}


def _row(record: StudyRecord, clips: Progress, pairs: int) -> list[Any]:
    frozen = {"text": f"{record.protocol_hash[:12]} frozen", "tone": "good"}
    loose = {"text": f"{record.protocol_hash[:12]} not frozen"}
    protocol = (frozen if record.frozen_at else loose) | {"mono": True, "title": record.protocol_hash}
    made = {"text": f"{clips.ready} of {clips.planned}", "tone": "bad" if clips.error else None, "title": clips.error}
    return [
        record.id,
        record.version,
        "taken" if record.state == "open" else "closed",
        protocol,
        made,
        pairs,
        {"text": "Vote", "href": vote_link(record.id)},
    ]


def described(
    record: StudyRecord, clips: Progress, changed: Mapping[str, str], text: str = "", gone: Sequence[Clip] = ()
) -> dict[str, Any]:
    """The status line of a study, with everything that should not be overlooked."""
    study = study_from_json(record.definition)
    frozen = f"since {record.frozen_at[:16].replace('T', ' ')} UTC" if record.frozen_at else "no: exploratory"
    facts = [("Version", record.version), ("Protocol", record.protocol_hash), ("Frozen", frozen)]
    facts += [("Clips", f"{clips.ready} of {clips.planned}"), ("Votes planned", planned_votes(study))]
    notices = [f"The clips could not all be made: {clips.error}."] if clips.error else []
    if gone:
        named = ", ".join(f"{describe_system(clip.system)} of {clip.prompt!r}" for clip in gone[:3])
        rest = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
        notices.append(
            f"{len(gone)} clips are gone from the disk: {named}{rest}. Votes go on with the other pairs; put the "
            "files back from a backup, or press 'Make the clips again', which makes those."
        )
    for model in changed:
        notices.append(
            f"The weights of {model} have changed since its clips were made. Votes go on with the clips there are; "
            "'Make the clips again' makes a new version."
        )
    links = [{"label": "Vote page of this study", "url": vote_link(record.id)}]
    links += [{"label": "Results", "url": f"/results?{urlencode({'study': record.id})}"}]
    return {"state": "done", "text": text, "facts": facts, "notices": notices, "links": links}


def planned_votes(study: Study) -> int:
    return len(study.items()) * len(study.opponents()) * study.votes_per_pair


def leaks_table(found: Mapping[tuple[str, str], Sequence[Finding]]) -> dict[str, Any]:
    rows = []
    for (first, second), findings in found.items():
        name = f"{describe_system(first)} against {describe_system(second)}"
        for finding in findings:
            verdict = {"text": "yes", "tone": "bad"} if finding.leaks else {"text": "no", "tone": "good"}
            rows.append([name, finding.channel, verdict, finding.says])
    return {"caption": "Leak check", "columns": LEAKS, "rows": rows, "dense": True}


def invitations_table(links: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """(name, address) of annotators; shown once, since only a digest of the secret is kept."""
    rows = [[name, {"text": address, "href": address, "mono": True}] for name, address in links]
    note = "Copy them now: they cannot be shown again. Whoever has a link votes by that name, for 30 days."
    return {"caption": "Invitations", "columns": ("Annotator", "Link"), "rows": rows, "note": note}
