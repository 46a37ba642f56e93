"""The Studies page: preference studies made, checked for leaks, frozen and handed to annotators."""

from typing import Any

import gradio as gr

from models.types import RequestError
from workbench.ui.components.component import form_script, script_component
from workbench.ui.context import PRIVATE, Context, sentence
from workbench.ui.pages.header import page_header
from workbench.ui.pages.studies import view
from workbench.votes.questions import QUESTIONS
from workbench.votes.studies import DEFAULT_STUDY, PAIRINGS, SAMPLINGS, Study, study_from_json
from workbench.votes.voting import Refused

# what makes or changes a study; reviewers may not
STUDY_QUEUE = {"concurrency_id": "studies", "concurrency_limit": 1}
NEW = "A new study"
WRITE_LINK = form_script(f"(study) => ({{ study: study === '{NEW}' ? '' : study }})", "changed")
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
    page_header("Studies", "Make a preference study, check that nothing gives the sides away, fix it, invite people.")
    voting = context.voting
    table = script_component("table", elem_id="studies")
    study = gr.Dropdown([NEW], value=NEW, label="Study", elem_id="study")
    fields = form()
    with gr.Row():
        save = gr.Button("Save", variant="primary", elem_id="save")
        leaks = gr.Button("Check for leaks", elem_id="leaks")
        freeze = gr.Button("Freeze the protocol", elem_id="freeze")
        remake = gr.Button("Make the clips again", elem_id="remake")
        again = gr.Button("Review", elem_id="again")
    status = script_component("status", elem_id="status")
    leak_table = script_component("table", elem_id="leak-table")
    with gr.Row(equal_height=False):
        names = gr.Textbox(label="Invite annotators", info="One name a line.", lines=3, max_lines=12, elem_id="names")
        invite = gr.Button("Make links", elem_id="invite", scale=0, min_width=140)
    invitations = script_component("table", elem_id="invitations")

    def rows() -> dict[str, Any]:
        store = voting.store
        records = sorted(store.studies.all(), key=lambda record: (record.id != DEFAULT_STUDY, record.id))
        return view.listed(
            [(each, voting.clips.progress(each), store.studies.count_pairs(each.id, each.version)) for each in records]
        )

    study.change(None, study, None, js=WRITE_LINK, **PRIVATE)

    def choices() -> list[str]:
        return [NEW, *(row[0] for row in rows()["rows"])]

    def told(identity: str, text: str = "") -> dict[str, Any]:
        record = voting.study(identity)
        return view.described(
            record, voting.clips.progress(record), voting.changed_weights(record), text, voting.clips.missing(record)
        )

    def opened(request: gr.Request) -> Update:
        wanted, known = request.query_params.get("study"), choices()
        shown = {study: gr.update(choices=known, value=wanted if wanted in known else NEW), table: rows()}
        return shown | (chosen(wanted) if wanted in known else {status: {}})

    def chosen(identity: str) -> Update:
        """Fill the form from a study; of a new one it stays as it is, to be changed into another."""
        if identity == NEW:
            return {status: {"state": "idle", "text": "Change the id, and saving makes a study of its own."}}
        try:
            found = study_from_json(voting.study(identity).definition)
            if found.clips:
                line = {"state": "idle", "text": "Its clips were made elsewhere; change it by `studies add FILE`."}
                return {status: told(identity) | line, leak_table: {}, invitations: {}}
            values = {fields[name]: value for name, value in view.form_of(found).items()}
            return values | {status: told(identity), leak_table: {}, invitations: {}}
        except Exception as error:
            return failed(error)

    def saved(*values: Any) -> Update:
        try:
            context.check_writable()
            filled = dict(zip(view.FIELDS, values, strict=True))
            before = voting.store.studies.get(filled["id"])
            made = view.study_of(filled, before and study_from_json(before.definition))
            record = voting.add_study(made)
            word = {None: "Saved.", record.version: "Saved; the protocol is as it was."}.get(
                before and before.version, "The protocol differs: a new version. Votes so far stay with theirs."
            )
            shown = {study: gr.update(choices=choices(), value=made.id), table: rows(), leak_table: {}}
            return shown | {status: told(made.id, f"{word} The clips are being made.")}
        except Exception as error:
            return failed(error)

    def checked(identity: str) -> Update:
        try:
            found = voting.clips.leaks(voting.study(existing(identity)))
            n = sum(finding.leaks for findings in found.values() for finding in findings)
            word = "Nothing tells the sides apart." if not n else f"{n} channels tell the sides apart."
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
                raise RequestError(f"{len(people)} names are given; give 1 to {MOST_INVITED}, one a line")
            base = str(request.request.base_url).rstrip("/")
            links = [
                (name, f"{base}/vote?invite={voting.store.people.invite(voting.named(name).name, record.id)}")
                for name in people
            ]
            return {invitations: view.invitations_table(links), status: told(identity)}
        except Exception as error:
            return failed(error)

    def failed(error: Exception) -> Update:
        text = error.sentence if isinstance(error, Refused) else sentence(error, context.settings.data_dir)
        return {status: {"state": "error", "text": text}}

    quiet = {"show_progress": "hidden", **PRIVATE}
    free, making = quiet | {"concurrency_limit": None}, quiet | STUDY_QUEUE
    form_fields = [fields[name] for name in view.FIELDS]
    shown = [study, table, status, leak_table, invitations]
    blocks.load(opened, None, [*shown, *form_fields], **free)
    study.input(chosen, study, [*shown, *form_fields], **free)
    again.click(looked, study, shown, **free)
    leaks.click(checked, study, shown, **free)
    save.click(saved, form_fields, shown, **making)
    freeze.click(frozen, study, shown, **making)
    remake.click(remade, study, shown, **making)
    invite.click(invited, [study, names], shown, **making)


def form() -> dict[str, Any]:
    """The fields of a study by name, at their defaults."""
    usual = Study(id="", title="Which video is better?")
    titled = {name: [(TITLES[each], each) for each in offered] for name, offered in
              (("pairing", PAIRINGS), ("sampling", SAMPLINGS))}  # fmt: skip
    with gr.Row():
        identity = gr.Textbox(label="Id", info="Small letters, digits and -.", elem_id="study-id")
        title = gr.Textbox(usual.title, label="Title", info="Annotators see it.", elem_id="study-title")
    systems = gr.Dropdown(
        view.system_choices(), multiselect=True, label="Systems", info="The first is the target.", elem_id="systems"
    )
    with gr.Row(equal_height=False):
        prompts = gr.Textbox(label="Prompts", info="One a line.", lines=4, max_lines=16, scale=3, elem_id="prompts")
        seeds = gr.Textbox("7", label="Seeds", info="By comma or space.", elem_id="seeds", min_width=120)
        frames = gr.Number(usual.frames, label="Frames", precision=0, elem_id="frames", min_width=120)
    questions = gr.CheckboxGroup(
        [(row.title, row.id) for row in QUESTIONS.values()],
        value=list(usual.questions),
        label="Questions",
        elem_id="questions",
    )
    with gr.Row():
        pairing = gr.Dropdown(titled["pairing"], value=usual.pairing, label="Pairs of systems", elem_id="pairing")
        sampling = gr.Dropdown(titled["sampling"], value=usual.sampling, label="Next pair", elem_id="sampling")
        votes_per_pair = gr.Number(usual.votes_per_pair, label="Votes per pair", precision=0, min_width=110)
        pairs_per_annotator = gr.Number(usual.pairs_per_annotator, label="Pairs a person", precision=0, min_width=110)
        degraded = gr.Number(usual.degraded, label="Attention checks: degraded copy", precision=0, min_width=110)
        identical = gr.Number(usual.identical, label="Checks: same clip twice", precision=0, min_width=110)
    reveal = gr.Checkbox(usual.reveal, label="Reveal the systems after each vote (a revealed vote cannot be undone)")
    with gr.Accordion("What annotators read", open=False):
        instructions = gr.Textbox(usual.instructions, label="Instructions", lines=3)
        consent = gr.Textbox(usual.consent, label="Consent", lines=2)
    made = {"id": identity, "title": title, "systems": systems, "prompts": prompts, "seeds": seeds}
    made |= {"questions": questions, "pairing": pairing, "sampling": sampling, "votes_per_pair": votes_per_pair}
    made |= {"pairs_per_annotator": pairs_per_annotator, "degraded": degraded, "identical": identical}
    return made | {"frames": frames, "reveal": reveal, "instructions": instructions, "consent": consent}


def existing(identity: str) -> str:
    """Raises RequestError where no study is chosen yet."""
    if not identity or identity == NEW:
        raise RequestError("no study is chosen; choose one, or save the new one first")
    return identity
