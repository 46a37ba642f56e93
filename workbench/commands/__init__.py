"""The commands. Adding one is a file with `add_parser` and `run`, and a row in `COMMANDS`."""

from typing import NamedTuple


class Command(NamedTuple):
    """`module` under `workbench.commands`; it is imported only when its command is called, so that help is quick."""

    module: str
    help: str

    @property
    def lab(self) -> bool:
        """Whether developers call it, as `lab COMMAND`."""
        return self.module.startswith("lab.")


def words(name: str) -> list[str]:
    """The words that call a command."""
    return ["lab", name] if COMMANDS[name].lab else [name]


COMMANDS: dict[str, Command] = {
    "app": Command("app", "serve the app in a browser"),
    "models": Command("models", "list the models"),
    "generate": Command("generate", "make clips from prompts"),
    "embed-prompts": Command("embed_prompts", "embed prompts for Wan models ahead"),
    "convert": Command("convert", "read a Wan checkpoint, write another layout"),
    "sweep": Command("sweep", "make and score many clips, resumable"),
    "evaluate": Command("evaluate", "score clips by metrics"),
    "insight": Command("experiments.insight", "what each step changes, what chunks read, what plans cost"),
    "train": Command("training.train", "train a model by a recipe"),
    "train-all": Command("training.train_all", "train all models of the tabletop world"),
    "votes": Command("votes", "export, import and statistics of votes"),
    "studies": Command("studies", "preference studies: add, check, freeze"),
    "accounts": Command("accounts", "people, roles and invitations"),
    "jobs": Command("upkeep.jobs", "work under way, and what was interrupted"),
    "doctor": Command("upkeep.doctor", "check data, clips, weights, encoders"),
    "backup": Command("upkeep.backup", "save the data folder as one file"),
    "restore": Command("upkeep.restore", "make a data folder from a backup"),
    "audit": Command("upkeep.audit", "look installed packages up in a list of known faults"),
    "vote-torture": Command("lab.vote_torture", "kill the app while people vote; no vote may be lost"),
    "sweep-torture": Command("lab.sweep_torture", "kill a sweep at random; every cell must be there once"),
    "chaos": Command("lab.chaos", "kill, cut off and starve everything; nothing may be lost"),
    "bad-inputs": Command("lab.bad_inputs", "wrong input to every command and endpoint"),
    "store-load": Command("lab.timing.store_load", "a large store, timed"),
    "leak-check": Command("lab.checks.leak_check", "try to tell the sides of pairs apart without looking"),
    "vote-load": Command("lab.timing.vote_load", "many annotators voting at once, timed"),
    "publish": Command("training.publish", "turn a training run into an asset"),
    "prompt-following": Command("experiments.prompt_following", "score models on held-out captions"),
    "ablation": Command("experiments.ablation", "ASD x FFE x steps, with intervals"),
    "claims": Command("experiments.claims", "check the papers' claims on the shapes world"),
    "readme": Command("experiments.readme", "put measured tables into the README"),
    "bench": Command("bench", "measure speed"),
    "full-size": Command("lab.timing.full_size", "time a Wan network of full size"),
    "bench-train": Command("lab.timing.bench_train", "measure the speed of training"),
    "bench-vbench": Command("lab.timing.bench_vbench", "time VBench's dimensions against its own code"),
    "bench-reference": Command("lab.timing.bench_reference", "time our sampler against Self Forcing's own code"),
    "bench-evaluate": Command("lab.timing.bench_evaluate", "measure what metrics cost"),
    "few-steps": Command("experiments.few_steps", "distance to real clips by model and steps, with intervals"),
    "texture-reference": Command("lab.checks.texture_reference", "measure the texture of rendered clips"),
    "oracle-fit": Command("lab.checks.oracle_fit", "fit the tabletop oracle to rendered clips"),
    "oracle-check": Command("lab.checks.oracle_check", "check the oracle on rendered clips"),
    "tabletop-oracle": Command("tabletop_oracle", "check the tabletop oracle on rendered clips"),
    "autoencoder-check": Command("lab.checks.autoencoder_check", "check the autoencoder on rendered clips"),
    "teacher-check": Command("lab.checks.teacher_check", "check a teacher on held-out captions"),
    "clip-check": Command("lab.checks.clip_check", "check the shapes CLIP on rendered clips"),
    "mutations": Command("lab.mutations", "see that quick tests notice faults in the code"),
    "first-sight": Command("lab.first_sight", "time from clone to the first visible difference"),
    "screenshots": Command("lab.screenshots", "picture the pages in a real browser"),
}
