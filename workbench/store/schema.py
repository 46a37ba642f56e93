"""The tables as queries see them. `migrations` makes them; a test holds the two together.

Times are UTC ISO 8601 text, which sorts as it reads. Nothing of a study is ever updated but counters and states: a
vote is a row, and an undo is another row. A metric's value is replaced when it is measured again, and its sums follow.
"""

from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, MetaData, Table, Text

METADATA = MetaData()

# a study's protocol as it was at one version; `definition` is the whole study as JSON
study = Table(
    "study",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("title", Text),
    Column("definition", Text),
    Column("protocol_hash", Text),
    Column("state", Text),
    Column("created_at", Text),
    Column("frozen_at", Text),
)

# a clip as annotators see it: `file` is the display copy below the data folder, `origin` the clip it was made from,
# `weights` the digest of what made that one
clip = Table(
    "clip",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("study", Text),
    Column("system", Text),
    Column("prompt", Text),
    Column("seed", BigInteger),
    Column("file", Text),
    Column("frames", Integer),
    Column("fps", Double),
    Column("width", Integer),
    Column("height", Integer),
    Column("bytes", BigInteger),
    Column("origin", Text),
    Column("created_at", Text),
    Column("weights", Text),
)

# two clips to be judged; `check_kind` "" asks for an opinion, the others have an `expected` answer
pair = Table(
    "pair",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("study", Text),
    Column("version", Integer),
    Column("prompt", Text),
    Column("seed", BigInteger),
    Column("first_clip", Text),
    Column("second_clip", Text),
    Column("check_kind", Text),
    Column("issued", Integer),
)

annotator = Table(
    "annotator",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("role", Text),
    Column("created_at", Text),
)

# who a name of the auth file is; what they may do is in that file alone, and never here
account = Table(
    "account",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("annotator", Text),
    Column("created_at", Text),
)

# `digest` is of the cookie's secret, which is nowhere on disk; `door` is name, invitation or account, and `mark` tells
# which password of the account it was opened with
session = Table(
    "session",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("annotator", Text),
    Column("created_at", Text),
    Column("expires_at", Text),
    Column("door", Text),
    Column("account", Text),
    Column("mark", Text),
)

consent = Table(
    "consent",
    METADATA,
    Column("annotator", Text, primary_key=True),
    Column("study", Text, primary_key=True),
    Column("created_at", Text),
)

# `swapped` 1 shows the pair's second clip on the left
assignment = Table(
    "assignment",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("study", Text),
    Column("version", Integer),
    Column("protocol_hash", Text),
    Column("annotator", Text),
    Column("pair", Text),
    Column("swapped", Integer),
    Column("left_token", Text),
    Column("right_token", Text),
    Column("propensity", Double),
    Column("issued_at", Text),
)

# `attempt` counts the votes of an assignment that were undone before this one
vote = Table(
    "vote",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("assignment", Text),
    Column("key", Text),
    Column("attempt", Integer),
    Column("watched_seconds", Double),
    Column("seconds", Double),
    Column("created_at", Text),
    Column("app_version", Text),
)

answer = Table(
    "answer",
    METADATA,
    Column("vote", Text, primary_key=True),
    Column("question", Text, primary_key=True),
    Column("answer", Text),
)

flag = Table(
    "flag",
    METADATA,
    Column("vote", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("side", Text),
    Column("time_seconds", Double),
    Column("kind", Text),
    Column("comment", Text),
)

undo = Table(
    "undo",
    METADATA,
    Column("vote", Text, primary_key=True),
    Column("created_at", Text),
)

refusal = Table(
    "refusal",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("created_at", Text),
    Column("annotator", Text),
    Column("assignment", Text),
    Column("reason", Text),
    Column("sentence", Text),
    Column("body", Text),
)

# votes that were taken elsewhere and came by a file
imported_vote = Table(
    "imported_vote",
    METADATA,
    Column("vote_id", Text, primary_key=True),
    Column("question", Text, primary_key=True),
    *(Column(name, Text) for name in ("study", "protocol_hash", "assignment", "annotator", "prompt")),
    *(Column(name, Text) for name in ("left_system", "right_system", "answer", "winner", "check_kind")),
    *(Column(name, Text) for name in ("created_at", "app_version", "left_clip", "right_clip")),
    Column("study_version", Integer),
    Column("seed", BigInteger),
    Column("undone", Integer),
    Column("watched_seconds", Double),
    Column("seconds", Double),
)

imported_flag = Table(
    "imported_flag",
    METADATA,
    Column("vote_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("side", Text),
    Column("time_seconds", Double),
    Column("kind", Text),
    Column("comment", Text),
)

invitation = Table(
    "invitation",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("annotator", Text),
    Column("study", Text),
    Column("created_at", Text),
    Column("expires_at", Text),
)

# what must agree before values of clips may be averaged, but for model, steps, FFE, prompt and seed; `id` is its hash
clip_settings = Table(
    "clip_settings",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("weights_digest", Text),
    Column("frames", Integer),
    Column("width", Integer),
    Column("height", Integer),
    Column("fps", Double),
    Column("guidance_scale", Double),
    Column("dtype", Text),
    Column("task", Text),
)

# a clip below the data folder, named by its content; `first_steps` 0 is no FFE, `image_digest` "" is text-to-video
generated_clip = Table(
    "generated_clip",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("model", Text),
    Column("family", Text),
    Column("steps", Integer),
    Column("first_steps", Integer),
    Column("settings", Text),
    Column("prompt", Text),
    Column("seed", BigInteger),
    Column("image_digest", Text),
    Column("path", Text),
    Column("seconds", Double),
    Column("first_frame_seconds", Double),
    Column("forwards", Integer),
    Column("created_at", Text),
    Column("sweep", Text),
)

# `value` None: not scored, and `reason` says why
metric_value = Table(
    "metric_value",
    METADATA,
    Column("clip", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("value", Double),
    Column("reason", Text),
)

# one little-endian float32 a frame, NaN where there is nothing to measure
metric_curve = Table(
    "metric_curve",
    METADATA,
    Column("clip", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("curve", LargeBinary),
)

# the prompts and the groups of values that sums are of, by number: sums are many, and numbers are read fast
measured_prompt = Table(
    "measured_prompt",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("prompt", Text),
)

measured_group = Table(
    "measured_group",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("model", Text),
    Column("steps", Integer),
    Column("first_steps", Integer),
    Column("settings", Text),
    Column("metric", Text),
    Column("version", Text),
)

# `metric_value` summed over seeds, kept in the same transaction: a leaderboard never reads the values
metric_sum = Table(
    "metric_sum",
    METADATA,
    Column("measured_group", Integer, primary_key=True),
    Column("measured_prompt", Integer, primary_key=True),
    Column("n", Integer),
    Column("n_unscored", Integer),
    Column("total", Double),
    Column("total_of_squares", Double),
)

# `plan` is JSON and `id` its hash: the same plan is the same sweep
sweep = Table(
    "sweep",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("plan", Text),
    Column("created_at", Text),
)

# `cell` is the hash of what decides the clip; several sweeps may share a cell and its clip
sweep_cell = Table(
    "sweep_cell",
    METADATA,
    Column("sweep", Text, primary_key=True),
    Column("cell", Text, primary_key=True),
    Column("position", Integer),
    Column("status", Text),
    Column("reason", Text),
    Column("attempts", Integer),
    Column("clip", Text),
)
