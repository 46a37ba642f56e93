"""The tables as queries see them. `migrations` makes them; a test holds the two together.

Times are UTC ISO 8601 text, which sorts as it reads. Nothing here is ever updated but counters and states: a vote is
a row, and an undo is another row.
"""

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, Table, Text

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

# a clip as annotators see it: `file` is the display copy below the data folder, `origin` the clip it was made from
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

# `digest` is of the cookie's secret, which is nowhere on disk
session = Table(
    "session",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("annotator", Text),
    Column("created_at", Text),
    Column("expires_at", Text),
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
