"""What the Studies page shows and reads: studies as plain data, and a study from the fields of a form."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from models.registry import list_models, unavailable
from workbench.common.words import counted, duration
from workbench.requests.links.people import vote_link
from workbench.requests.links.results import results_link
from workbench.requests.links.studies import FIELDS, LINES, WHOLE, number_or_text, read_draft
from workbench.store.records import Clip, StudyRecord
from workbench.votes.blindness.leak_check import Finding
from workbench.votes.questions import ANSWERS, QUESTIONS, question_title
from workbench.votes.studies import Study, StudyFault, parse_system, study_from, study_from_json
from workbench.votes.study_clips import Progress
from workbench.votes.voting import describe_system

LISTED = ("Study", "Version", "Voting", "Protocol (SHA-256)", "Clips", "Pairs", "Vote")
LEAKS = ("Pair", "Channel", "Tells them apart", "What was found")
USUAL = Study(id="", title="Which video is better?", seeds=(7,))  # what a new form starts with
PILOT, LONGEST_ID = "-pilot", 60


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
    values["questions"] = _questions(values.pop("own_questions"), values["questions"] or ())
    if before:
        values |= {"exclusion": before.exclusion, "stop": before.stop}
        models = {str(system).partition(":")[0] for system in values["systems"] or ()}
        values["weights"] = [line for line in before.weights if line.partition(" ")[0] in models]
    for name in LINES:
        values[name] = [line.strip() for line in (values[name] or "").splitlines() if line.strip()]
    values["seeds"] = [number_or_text(seed) for line in values["seeds"] for seed in line.replace(",", " ").split()]
    values |= {name: number_or_text(values[name]) for name in WHOLE}
    return study_from(values)


def form_of(study: Study) -> dict[str, Any]:
    """The inverse of `study_of`, for studies that the registry's models make."""
    values: dict[str, Any] = {name: getattr(study, name) for name in FIELDS if name != "own_questions"}
    values["questions"] = tuple(name for name in study.question_ids() if name in QUESTIONS) if study.questions else ()
    values["own_questions"] = "\n".join(line for line in study.questions if ":" in line)
    values["prompts"] = "\n".join(study.prompts)
    values["seeds"] = ", ".join(map(str, study.seeds))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _questions(own: str | None, chosen: Sequence[str]) -> list[str]:
    """The chosen questions, worded by the lines of `own` where those name them, and then the lines that ask more."""
    lines = [line.strip() for line in (own or "").splitlines() if line.strip()]
    worded = {line.partition(":")[0].strip(): line for line in lines}
    kept = [worded.pop(name, name) for name in chosen]
    return kept + [line for line in lines if line not in kept]


def draft_of(query: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a form that an address names. Raises RequestError for a side that no study can ask about."""
    found = read_draft(query)
    if query.get("sides"):
        found["systems"] = list(dict.fromkeys(str(parse_system(side)) for side in found["systems"]))
    return found


def pilot_name(study: str) -> str:
    return study[: LONGEST_ID - len(PILOT)] + PILOT


def pilot_of(study: Study) -> Study:
    """The study's first prompt and seed alone, without attention checks, as a study of its own."""
    meetings = len(study.opponents())
    small = replace(study, prompts=study.prompts[:1], seeds=study.seeds[:1], degraded=0, identical=0)
    return replace(
        small,
        id=pilot_name(study.id),
        title=f"Pilot: {study.title}",
        pairs_per_annotator=meetings,
        votes_per_pair=1,
    )


def previewed(form: Mapping[str, Any], clips: Sequence[str] = ()) -> dict[str, Any]:
    """What annotators will see of a form that may not be complete, as the preview takes it; `clips` are the addresses
    of two clips of the first prompt, if they were made."""
    try:
        study = study_of(form)
        plan, ready = planned(study), True
    except StudyFault as fault:
        study, plan, ready = None, f"Not complete: {fault}.", False
    lines = _questions(form["own_questions"], form["questions"] or ())
    asked = study.asked() if study else [QUESTIONS[line] for line in lines if line in QUESTIONS]
    prompts = [line.strip() for line in (form["prompts"] or "").splitlines() if line.strip()]
    return {
        "title": form["title"],
        "instructions": form["instructions"],
        "consent": form["consent"],
        "prompt": prompts[0] if prompts else "",
        "questions": [{"id": question.id, "text": question.text} for question in asked],
        "answers": ANSWERS,
        "clips": list(clips),
        "plan": plan,
        "ready": ready,
    }


def field_of(fault: StudyFault) -> str:
    """The field of the form that is to be mended."""
    return "own_questions" if fault.field == "questions" and ":" in str(fault) else fault.field


def told_pilot(identity: str, form: Mapping[str, Any], made: int, seconds: float) -> str:
    """How long the whole study will take, after a pilot of which `made` clips took `seconds`; "" for no pilot."""
    if not identity.endswith(PILOT) or not made:
        return ""
    try:
        study = study_of(form)
    except StudyFault:
        return ""
    clips = len(study.items()) * len(study.labels())
    whole = duration(seconds / made * clips)
    pilot = f"The pilot's {counted(made, 'clip')} took {duration(seconds)}"
    return f"{pilot}; the study's {counted(clips, 'clip')} will take about {whole}."


def planned(study: Study) -> str:
    """What the study comes to, in a sentence."""
    clips, pairs = len(study.items()) * len(study.labels()), len(study.items()) * len(study.opponents())
    votes = planned_votes(study)
    each = max(1, min(study.pairs_per_annotator - study.degraded - study.identical, pairs))
    people = max(study.votes_per_pair, -(-votes // each))
    return (
        f"{counted(len(study.prompts), 'prompt')}, {counted(len(study.seeds), 'seed')} and "
        f"{counted(len(study.labels()), 'system')} make {counted(clips, 'clip')} and {counted(pairs, 'pair')}; "
        f"{counted(votes, 'vote')} are wanted, which takes {counted(people, 'annotator')}."
    )


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
        record.state,
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
    frozen = (
        f"since {record.frozen_at[:16].replace('T', ' ')} UTC"
        if record.frozen_at
        else "no, so results are exploratory"
    )
    facts = [("Version", record.version), ("Protocol", record.protocol_hash), ("Frozen", frozen)]
    facts += [("Clips", f"{clips.ready} of {clips.planned}"), ("Votes planned", planned_votes(study))]
    facts += [("Questions", ", ".join(question_title(name) for name in study.question_ids()))]
    notices = [f"The clips could not all be made: {clips.error}."] if clips.error else []
    if gone:
        named = ", ".join(f"{describe_system(clip.system)} of {clip.prompt!r}" for clip in gone[:3])
        rest = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
        what = counted(len(gone), "clip is", "clips are")
        notices.append(
            f"{what} missing from the disk: {named}{rest}. Votes go on with the other "
            "pairs; put the files back from a backup, or press 'Make the clips again', which makes those."
        )
    for model in changed:
        notices.append(
            f"The weights of {model} have changed since its clips were made. Votes go on with the clips there are; "
            "'Make the clips again' makes a new version."
        )
    links = [{"label": "Vote page of this study", "url": vote_link(record.id)}]
    links += [{"label": "Results", "url": results_link(record.id)}]
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
