"""The Studies page: preference studies made, checked for leaks, frozen and handed to annotators."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from models.types import RequestError
from workbench.common.words import counted
from workbench.requests.links.people import invitation_link
from workbench.requests.links.studies import BETWEEN, FIELDS, draft_query
from workbench.ui.components.component import FORM_FILLED, form_script, keep_typed, script_component
from workbench.ui.components.prompts import prompts_field
from workbench.ui.components.updates import PATIENT
from workbench.ui.context import PRIVATE, Context, sentence
from workbench.ui.pages.header import page_header
from workbench.ui.pages.studies import view
from workbench.votes.bodies import Refused
from workbench.votes.questions import QUESTIONS
from workbench.votes.studies import DEFAULT_STUDY, PAIRINGS, SAMPLINGS, StudyFault, study_from_json

# what makes or changes a study; reviewers may not
STUDY_QUEUE = {"concurrency_id": "studies", "concurrency_limit": 1}
NEW = "A new study"
TITLED = {
    "id": "Id",
    "title": "Title",
    "systems": "Systems",
    "prompts": "Prompts",
    "seeds": "Seeds",
    "frames": "Frames",
    "questions": "Questions",
    "own_questions": "Questions in your words",
    "pairing": "Pairs of systems",
    "sampling": "Next pair",
    "votes_per_pair": "Votes per pair",
    "pairs_per_annotator": "Pairs per person",
    "degraded": "Checks: degraded copy",
    "identical": "Checks: same clip twice",
    "reveal": "Reveal",
    "instructions": "Instructions",
    "consent": "Consent",
}
# the address says which study is open and what of the form is not as it is kept
WRITE_LINK = form_script(
    f"""(study, kept, ...fields) => {{
      const before = JSON.parse(kept || '{{}}'), said = {{ study: study === '{NEW}' ? '' : study }};
      {json.dumps(FIELDS)}.forEach((name, i) => {{
        const text = Array.isArray(fields[i]) ? fields[i].join('{BETWEEN}') : String(fields[i] ?? '');
        if (text !== before[name]) said[name] = text;
      }});
      return said;
    }}""",
    "changed",
)
WRONG = ["wb-wrong"]  # marks a field that holds what cannot be
FOLLOW_SECONDS = 0.7
NOBODY = ("", "")
TITLES = {
    "target": "the first system against each other one",
    "all": "every two systems",
    "uncertainty": "the pair that tells most",
    "balanced": "the pair with fewest votes",
    "uniform": "any pair",
}
MOST_INVITED = 200
Update = dict[Any, Any]


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header(
        "Studies",
        "Make a preference study, check that nothing gives the sides away, freeze its protocol, invite people.",
    )
    voting = context.voting
    table = script_component("table", elem_id="studies")
    with gr.Row(equal_height=False):
        study = gr.Dropdown([NEW], value=NEW, label="Study", scale=4, min_width=240, elem_id="study")
        save = gr.Button("Save", variant="primary", scale=1, elem_id="save", min_width=100)
        pilot = gr.Button("Pilot one prompt", scale=1, elem_id="pilot", min_width=150)
    with gr.Row():
        leaks = gr.Button("Check for leaks", size="sm", min_width=130, elem_id="leaks")
        freeze = gr.Button("Freeze the protocol", size="sm", min_width=150, elem_id="freeze")
        remake = gr.Button("Make the clips again", size="sm", min_width=160, elem_id="remake")
        again = gr.Button("Review", size="sm", min_width=80, elem_id="again")
    status = script_component("status", elem_id="status")
    leak_table = script_component("table", elem_id="leak-table")
    kept = gr.Textbox(visible="hidden", label="As it is kept")
    following = gr.State(NOBODY)
    with gr.Column(elem_classes="wb-make wb-study"):
        with gr.Column(elem_classes="wb-make-form"):
            fields = form()
        with gr.Column(elem_classes="wb-make-more"):
            fields |= further_fields()
        with gr.Column(elem_classes="wb-make-result"):
            preview = script_component("preview", view.previewed(view.form_of(view.USUAL)), elem_id="preview")
    with gr.Row(equal_height=False):
        names = gr.Textbox(
            label="Invite annotators", info="One name per line.", lines=3, max_lines=12, elem_id="names"
        )
        invite = gr.Button("Make links", elem_id="invite", scale=0, min_width=140)
    invitations = script_component("table", elem_id="invitations")

    def rows() -> dict[str, Any]:
        store = voting.store
        records = sorted(store.studies.all(), key=lambda record: (record.id != DEFAULT_STUDY, record.id))
        return view.listed(
            [(each, voting.clips.progress(each), store.studies.count_pairs(each.id, each.version)) for each in records]
        )

    def choices() -> list[str]:
        return [NEW, *(row[0] for row in rows()["rows"])]

    def told(identity: str, text: str = "") -> dict[str, Any]:
        record = voting.study(identity)
        return view.described(
            record, voting.clips.progress(record), voting.changed_weights(record), text, voting.clips.missing(record)
        )

    def opened(request: gr.Request) -> Update:
        """The study that the address names, with what the address says was changed and is not saved."""
        query, known = request.query_params, choices()
        wanted = query.get("study") if query.get("study") in known else NEW
        shown = {study: gr.update(choices=known, value=wanted), table: rows()} | chosen(wanted)
        try:
            draft = view.draft_of(query)
        except Exception as error:
            return shown | failed(error)
        if draft:
            shown |= {fields[name]: value for name, value in draft.items()}
            shown[following] = NOBODY
            shown[status] = {"state": "idle", "text": f"Not saved yet: {', '.join(TITLED[name] for name in draft)}."}
        if query.get("study") and wanted == NEW:
            shown[status] = {"state": "error", "text": f"Study {query['study'][:60]!r} is not here; choose another."}
        return shown

    def chosen(identity: str) -> Update:
        """Fill the form from a study; of a new one it stays as it is, to be changed into another."""
        if identity == NEW:
            line = {"state": "idle", "text": "To save this as another study, change the id first."}
            return {status: line, kept: json.dumps(draft_query(view.form_of(view.USUAL))), following: NOBODY}
        try:
            found = study_from_json(voting.study(identity).definition)
            if found.clips:
                line = {"state": "idle", "text": "Its clips were made elsewhere; change it by `studies add FILE`."}
                return {status: told(identity) | line, leak_table: {}, invitations: {}}
            filled = view.form_of(found)
            values = {fields[name]: gr.update(value=value, **plain(name)) for name, value in filled.items()}
            values |= {kept: json.dumps(draft_query(filled)), following: (identity, "")}
            return values | {status: told(identity), leak_table: {}, invitations: {}}
        except Exception as error:
            return failed(error)

    def saved(*values: Any) -> Update:
        try:
            context.check_writable()
            filled = dict(zip(FIELDS, values, strict=True))
            before = voting.store.studies.get(filled["id"])
            made = view.study_of(filled, study_from_json(before.definition) if before else None)
            record = voting.add_study(made)
            version = before.version if before else None
            word = {None: "Saved.", record.version: "Saved; the protocol is as it was."}.get(
                version, "The protocol differs: a new version. Votes so far stay with theirs."
            )
            shown = {study: gr.update(choices=choices(), value=made.id), table: rows(), leak_table: {}}
            filled = view.form_of(made)
            shown |= {kept: json.dumps(draft_query(filled)), following: (made.id, word)}
            shown |= {fields[name]: gr.update(value=value, **plain(name)) for name, value in filled.items()}
            return shown | {status: told(made.id, f"{word} The clips are being made.")}
        except Exception as error:
            return failed(error)

    def piloted(*values: Any) -> Update:
        """A study of the first prompt alone, which people can try before anything is fixed; its votes count apart."""
        try:
            context.check_writable()
            small = view.pilot_of(view.study_of(dict(zip(FIELDS, values, strict=True))))
            voting.add_study(small)
            shown = {study: gr.update(choices=choices()), table: rows(), following: (small.id, "")}
            return shown | {status: told(small.id, "The clips of the pilot are being made.")} | unmarked()
        except Exception as error:
            return failed(error)

    async def followed(whom: tuple[str, str], *values: Any) -> AsyncIterator[Update]:
        """Tell how many clips a study has until all are made, then show two of them in the preview. `whom` is the
        study, and what was said when it was saved."""
        identity, word = whom
        if not identity:
            yield {status: gr.update()}  # without one, Gradio would empty the fields
            return
        try:
            record = await asyncio.to_thread(voting.study, identity)
            moment, start = time.monotonic(), await asyncio.to_thread(voting.clips.progress, record)
            done = start
            while done.ready < done.planned and not done.error and voting.clips.making(record):
                text = f"{done.ready} of {counted(done.planned, 'clip')} of {identity!r} made"
                share = done.ready / done.planned
                yield {status: {"state": "running", "text": text, "progress": share}}
                await asyncio.sleep(FOLLOW_SECONDS)
                done = await asyncio.to_thread(voting.clips.progress, record)
            took, new = time.monotonic() - moment, done.ready - start.ready
            filled = dict(zip(FIELDS, values, strict=True))
            if done.ready == done.planned:
                word = view.told_pilot(identity, filled, new, took) or f"{word} All clips are made.".strip()
            shown: Update = {preview: view.previewed(filled, await asyncio.to_thread(first_clips, identity))}
            shown |= {status: await asyncio.to_thread(told, identity, word), table: await asyncio.to_thread(rows)}
            yield shown
        except Exception as error:
            yield failed(error)

    def previewed(*values: Any) -> dict[str, Any]:
        filled = dict(zip(FIELDS, values, strict=True))
        known = (filled["id"], view.pilot_name(filled["id"]))
        found = (first_clips(name, filled["prompts"]) for name in known)
        return view.previewed(filled, next(filter(None, found), []))

    def first_clips(identity: str, prompts: str | None = None) -> list[str]:
        """The addresses of two clips that meet, of a study's first prompt; none where there are none, or where the
        form has another first prompt by now."""
        record = voting.store.studies.get(identity) if identity else None
        pairs = voting.store.studies.pairs(record.id, record.version) if record else ()
        pair = next((each for each in pairs if not each.check_kind), None)
        lines = [line.strip() for line in (prompts or "").splitlines() if line.strip()]
        if pair is None or (lines and pair.prompt != lines[0]):
            return []
        files = {(clip.prompt, clip.system): clip.file for clip in voting.store.studies.clips(record.id)}
        both = [
            context.settings.data_dir / files[pair.prompt, system]
            for system in (pair.first_system, pair.second_system)
        ]
        return [context.media.file(path) for path in both] if all(path.is_file() for path in both) else []

    def checked(identity: str) -> Update:
        try:
            found = voting.clips.leaks(voting.study(existing(identity)))
            n = sum(finding.leaks for findings in found.values() for finding in findings)
            telling = counted(n, "channel tells", "channels tell")
            word = f"{telling} the sides apart." if n else "Nothing tells the sides apart."
            return {status: told(identity, word), leak_table: view.leaks_table(found), table: rows()}
        except Exception as error:
            return failed(error)

    def frozen(identity: str) -> Update:
        try:
            context.check_writable()
            record = voting.freeze(existing(identity))
            word = f"Version {record.version} is frozen; its hash goes with every vote from now on."
            return {status: told(identity, word), table: rows()}
        except Exception as error:
            return failed(error)

    def remade(identity: str) -> Update:
        try:
            context.check_writable()
            before = voting.study(existing(identity)).version
            record = voting.remake(identity)
            word = f"Version {record.version}: clips of the weights that changed are being made."
            word = "The clips that are gone are being made again." if record.version == before else word
            return {status: told(identity, word), table: rows()}
        except Exception as error:
            return failed(error)

    def looked(identity: str) -> Update:
        try:
            return {table: rows(), status: told(identity) if identity != NEW else {}}
        except Exception as error:
            return failed(error)

    def invited(identity: str, text: str, request: gr.Request) -> Update:
        try:
            context.check_writable()
            record = voting.study(existing(identity))
            people = list(dict.fromkeys(" ".join(line.split()) for line in (text or "").splitlines() if line.strip()))
            if not 1 <= len(people) <= MOST_INVITED:
                raise RequestError(
                    f"{counted(len(people), 'name is', 'names are')} given; give 1 to {MOST_INVITED}, one per line"
                )
            base = str(request.request.base_url).rstrip("/")
            links = [
                (name, invitation_link(voting.store.people.invite(voting.sessions.named(name).name, record.id), base))
                for name in people
            ]
            return {invitations: view.invitations_table(links), status: told(identity)}
        except Exception as error:
            return failed(error)

    def failed(error: Exception) -> Update:
        """The sentence, beside the buttons and at the field that it is about."""
        text = error.sentence if isinstance(error, Refused) else sentence(error, context.settings.data_dir)
        marked = unmarked()
        field = view.field_of(error) if isinstance(error, StudyFault) else None
        if field in fields:
            marked[fields[field]] = gr.update(info=text, elem_classes=WRONG)
        return {status: {"state": "error", "text": text}, following: NOBODY} | marked

    def unmarked() -> Update:
        return {field: gr.update(**plain(name)) for name, field in fields.items()}

    def plain(name: str) -> dict[str, Any]:
        """A field that holds nothing wrong."""
        return {"info": hints[name], "elem_classes": []}

    hints = {name: field.info for name, field in fields.items()}
    quiet = {"show_progress": "hidden", **PRIVATE}
    quiet |= PATIENT  # saving is pressed again while the last one is still being followed
    free, making = quiet | {"concurrency_limit": None}, quiet | STUDY_QUEUE
    form_fields = [fields[name] for name in FIELDS]
    shown = [study, table, status, leak_table, invitations, kept, following]
    whole = [*shown, *form_fields]
    follow = {"fn": followed, "inputs": [following, *form_fields], "outputs": [status, table, preview, *form_fields]}
    loaded = blocks.load(opened, None, whole, **free)
    loaded.then(**follow, **free)
    keep_typed(loaded, form_fields)
    study.input(chosen, study, whole, **free).then(**follow, **free)
    again.click(looked, study, shown, **free)
    leaks.click(checked, study, whole, **free)
    filled = {"js": FORM_FILLED, **free}
    save.click(None, None, None, **filled).then(saved, form_fields, whole, **making).then(**follow, **free)
    pilot.click(None, None, None, **filled).then(piloted, form_fields, whole, **making).then(**follow, **free)
    freeze.click(frozen, study, whole, **making)
    remake.click(remade, study, whole, **making).then(**follow, **free)
    invite.click(invited, [study, names], whole, **making)
    changes = [field.change for field in form_fields]
    gr.on(changes, previewed, form_fields, preview, **free)
    in_link = [study, kept, *form_fields]
    gr.on([study.change, kept.change, *changes], None, in_link, None, js=WRITE_LINK, **quiet)


def form() -> dict[str, Any]:
    """The fields of a study that everybody fills, by name, at their defaults."""
    usual = view.USUAL
    with gr.Row():
        identity = gr.Textbox(label=TITLED["id"], info="Small letters, digits and -.", elem_id="study-id")
        title = gr.Textbox(usual.title, label=TITLED["title"], info="Annotators see it.", elem_id="study-title")
    systems = gr.Dropdown(
        view.system_choices(),
        multiselect=True,
        label=TITLED["systems"],
        info="Two or more; the others are compared with the first.",
        elem_id="systems",
    )
    prompts = prompts_field(label=TITLED["prompts"], info="One per line.", lines=3)
    with gr.Row():
        seeds = gr.Textbox("7", label=TITLED["seeds"], info="For example 0, 1, 2.", elem_id="seeds", min_width=120)
        frames = gr.Number(
            usual.frames, label=TITLED["frames"], info="Length of each clip.", precision=0, elem_id="frames",
            min_width=120,
        )  # fmt: skip
    questions = gr.CheckboxGroup(
        [(row.title, row.id) for row in QUESTIONS.values()],
        value=list(usual.questions),
        label=TITLED["questions"],
        elem_id="questions",
    )
    own = gr.Textbox(
        label=TITLED["own_questions"],
        info="One per line, id: text, for example “smooth: Which video is smoother?”. The id of a question above "
        "rewords it.",
        lines=2,
        max_lines=6,
        elem_id="own-questions",
    )
    made = {"id": identity, "title": title, "systems": systems, "prompts": prompts, "seeds": seeds}
    return made | {"frames": frames, "questions": questions, "own_questions": own}


def further_fields() -> dict[str, Any]:
    """The rest, which has good defaults."""
    usual = view.USUAL
    offered = {"pairing": PAIRINGS, "sampling": SAMPLINGS}
    made: dict[str, Any] = {}
    with gr.Accordion("Pairs, votes and attention checks", open=False, elem_id="protocol"):
        with gr.Row():
            for name, values in offered.items():
                titled = [(TITLES[each], each) for each in values]
                made[name] = gr.Dropdown(titled, value=getattr(usual, name), label=TITLED[name], elem_id=name)
        with gr.Row():
            for name in ("votes_per_pair", "pairs_per_annotator", "degraded", "identical"):
                made[name] = gr.Number(getattr(usual, name), label=TITLED[name], precision=0, min_width=130)
        made["reveal"] = gr.Checkbox(usual.reveal, label="Reveal the systems after each vote, which then stays")
    with gr.Accordion("What annotators read", open=False):
        made["instructions"] = gr.Textbox(usual.instructions, label=TITLED["instructions"], lines=3)
        made["consent"] = gr.Textbox(usual.consent, label=TITLED["consent"], lines=2)
    return made


def existing(identity: str) -> str:
    """Raises RequestError where no study is chosen yet."""
    if not identity or identity == NEW:
        raise RequestError("no study is chosen; choose one, or save the new one first")
    return identity
