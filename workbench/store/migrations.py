"""The schema by numbered steps. A step is never changed once it has been released: a change is a new step.

The same text serves SQLite and PostgreSQL. All steps that a database lacks run in one transaction.
"""

from sqlalchemy import Connection, text

from models.types import RequestError

STEPS: tuple[tuple[str, ...], ...] = (
    (  # 1: studies, pairs, votes
        """CREATE TABLE study (
            id TEXT NOT NULL, version INTEGER NOT NULL, title TEXT NOT NULL, definition TEXT NOT NULL,
            protocol_hash TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
            created_at TEXT NOT NULL, frozen_at TEXT, PRIMARY KEY (id, version))""",
        """CREATE TABLE clip (
            id TEXT PRIMARY KEY, study TEXT NOT NULL, system TEXT NOT NULL, prompt TEXT NOT NULL, seed BIGINT NOT NULL,
            file TEXT NOT NULL, frames INTEGER NOT NULL, fps DOUBLE PRECISION NOT NULL, width INTEGER NOT NULL,
            height INTEGER NOT NULL, bytes BIGINT NOT NULL, origin TEXT NOT NULL, created_at TEXT NOT NULL)""",
        "CREATE INDEX clip_of_study ON clip (study, prompt, seed)",
        """CREATE TABLE pair (
            id TEXT PRIMARY KEY, study TEXT NOT NULL, version INTEGER NOT NULL, prompt TEXT NOT NULL,
            seed BIGINT NOT NULL, first_clip TEXT NOT NULL REFERENCES clip (id),
            second_clip TEXT NOT NULL REFERENCES clip (id),
            check_kind TEXT NOT NULL CHECK (check_kind IN ('', 'degraded', 'identical')),
            issued INTEGER NOT NULL DEFAULT 0,
            FOREIGN KEY (study, version) REFERENCES study (id, version))""",
        "CREATE UNIQUE INDEX pair_once ON pair (study, version, first_clip, second_clip, check_kind)",
        """CREATE TABLE annotator (
            id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE,
            role TEXT NOT NULL CHECK (role IN ('researcher', 'reviewer', 'annotator')), created_at TEXT NOT NULL)""",
        """CREATE TABLE session (
            digest TEXT PRIMARY KEY, annotator TEXT NOT NULL REFERENCES annotator (id), created_at TEXT NOT NULL,
            expires_at TEXT NOT NULL)""",
        """CREATE TABLE consent (
            annotator TEXT NOT NULL REFERENCES annotator (id), study TEXT NOT NULL, created_at TEXT NOT NULL,
            PRIMARY KEY (annotator, study))""",
        """CREATE TABLE assignment (
            id TEXT PRIMARY KEY, study TEXT NOT NULL, version INTEGER NOT NULL, protocol_hash TEXT NOT NULL,
            annotator TEXT NOT NULL REFERENCES annotator (id), pair TEXT NOT NULL REFERENCES pair (id),
            swapped INTEGER NOT NULL CHECK (swapped IN (0, 1)), left_token TEXT NOT NULL UNIQUE,
            right_token TEXT NOT NULL UNIQUE, propensity DOUBLE PRECISION NOT NULL, issued_at TEXT NOT NULL,
            UNIQUE (annotator, pair))""",
        "CREATE INDEX assignment_of_annotator ON assignment (annotator, study, issued_at)",
        """CREATE TABLE vote (
            id TEXT PRIMARY KEY, assignment TEXT NOT NULL REFERENCES assignment (id), key TEXT NOT NULL UNIQUE,
            attempt INTEGER NOT NULL, watched_seconds DOUBLE PRECISION NOT NULL, seconds DOUBLE PRECISION NOT NULL,
            created_at TEXT NOT NULL, app_version TEXT NOT NULL, UNIQUE (assignment, attempt))""",
        """CREATE TABLE answer (
            vote TEXT NOT NULL REFERENCES vote (id), question TEXT NOT NULL,
            answer TEXT NOT NULL CHECK (answer IN ('a', 'b', 'tie', 'bad')), PRIMARY KEY (vote, question))""",
        """CREATE TABLE flag (
            vote TEXT NOT NULL REFERENCES vote (id), position INTEGER NOT NULL, side TEXT NOT NULL,
            time_seconds DOUBLE PRECISION NOT NULL, kind TEXT NOT NULL, comment TEXT NOT NULL,
            PRIMARY KEY (vote, position))""",
        "CREATE TABLE undo (vote TEXT PRIMARY KEY REFERENCES vote (id), created_at TEXT NOT NULL)",
        """CREATE TABLE refusal (
            id TEXT PRIMARY KEY, created_at TEXT NOT NULL, annotator TEXT, assignment TEXT, reason TEXT NOT NULL,
            sentence TEXT NOT NULL, body TEXT NOT NULL)""",
        "CREATE INDEX refusal_by_time ON refusal (created_at)",
    ),
    (  # 2: votes that come by a file
        """CREATE TABLE imported_vote (
            vote_id TEXT NOT NULL, question TEXT NOT NULL, study TEXT NOT NULL, study_version INTEGER NOT NULL,
            protocol_hash TEXT NOT NULL, assignment TEXT NOT NULL, annotator TEXT NOT NULL, prompt TEXT NOT NULL,
            seed BIGINT NOT NULL, left_system TEXT NOT NULL, right_system TEXT NOT NULL, answer TEXT NOT NULL,
            winner TEXT NOT NULL, check_kind TEXT NOT NULL, watched_seconds DOUBLE PRECISION NOT NULL,
            seconds DOUBLE PRECISION NOT NULL, created_at TEXT NOT NULL, undone INTEGER NOT NULL,
            app_version TEXT NOT NULL, left_clip TEXT NOT NULL, right_clip TEXT NOT NULL,
            PRIMARY KEY (vote_id, question))""",
        """CREATE TABLE imported_flag (
            vote_id TEXT NOT NULL, position INTEGER NOT NULL, side TEXT NOT NULL,
            time_seconds DOUBLE PRECISION NOT NULL, kind TEXT NOT NULL, comment TEXT NOT NULL,
            PRIMARY KEY (vote_id, position))""",
    ),
    (  # 3: invitation links
        """CREATE TABLE invitation (
            digest TEXT PRIMARY KEY, annotator TEXT NOT NULL REFERENCES annotator (id), study TEXT,
            created_at TEXT NOT NULL, expires_at TEXT NOT NULL)""",
    ),
    (  # 4: generated clips, their values, sweeps
        """CREATE TABLE clip_settings (
            id TEXT PRIMARY KEY, weights_digest TEXT NOT NULL, frames INTEGER NOT NULL, width INTEGER NOT NULL,
            height INTEGER NOT NULL, fps DOUBLE PRECISION NOT NULL, guidance_scale DOUBLE PRECISION NOT NULL,
            dtype TEXT NOT NULL, task TEXT NOT NULL CHECK (task IN ('t2v', 'i2v')))""",
        """CREATE TABLE generated_clip (
            id TEXT PRIMARY KEY, model TEXT NOT NULL, family TEXT NOT NULL, steps INTEGER NOT NULL,
            first_steps INTEGER NOT NULL, settings TEXT NOT NULL REFERENCES clip_settings (id), prompt TEXT NOT NULL,
            seed BIGINT NOT NULL, image_digest TEXT NOT NULL, path TEXT NOT NULL, seconds DOUBLE PRECISION NOT NULL,
            first_frame_seconds DOUBLE PRECISION NOT NULL, forwards INTEGER NOT NULL, created_at TEXT NOT NULL,
            sweep TEXT NOT NULL)""",
        """CREATE INDEX generated_clip_by_system
            ON generated_clip (model, steps, first_steps, settings, prompt, seed)""",
        "CREATE INDEX generated_clip_by_prompt ON generated_clip (prompt, seed)",
        "CREATE INDEX generated_clip_by_time ON generated_clip (created_at, id)",
        """CREATE TABLE metric_value (
            clip TEXT NOT NULL REFERENCES generated_clip (id), metric TEXT NOT NULL, version TEXT NOT NULL,
            value DOUBLE PRECISION, reason TEXT NOT NULL, PRIMARY KEY (clip, metric, version),
            CHECK ((value IS NULL) = (reason <> '')))""",
        """CREATE TABLE metric_curve (
            clip TEXT NOT NULL, metric TEXT NOT NULL, version TEXT NOT NULL, curve BYTEA NOT NULL,
            PRIMARY KEY (clip, metric, version))""",
        "CREATE TABLE measured_prompt (id INTEGER PRIMARY KEY, prompt TEXT NOT NULL UNIQUE)",
        """CREATE TABLE measured_group (
            id INTEGER PRIMARY KEY, model TEXT NOT NULL, steps INTEGER NOT NULL, first_steps INTEGER NOT NULL,
            settings TEXT NOT NULL, metric TEXT NOT NULL, version TEXT NOT NULL,
            UNIQUE (model, steps, first_steps, settings, metric, version))""",
        """CREATE TABLE metric_sum (
            measured_group INTEGER NOT NULL REFERENCES measured_group (id),
            measured_prompt INTEGER NOT NULL REFERENCES measured_prompt (id), n INTEGER NOT NULL,
            n_unscored INTEGER NOT NULL, total DOUBLE PRECISION NOT NULL, total_of_squares DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (measured_group, measured_prompt))""",
        """CREATE TABLE sweep (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, plan TEXT NOT NULL, created_at TEXT NOT NULL)""",
        """CREATE TABLE sweep_cell (
            sweep TEXT NOT NULL REFERENCES sweep (id), cell TEXT NOT NULL, position INTEGER NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('waiting', 'done', 'failed')), reason TEXT NOT NULL,
            attempts INTEGER NOT NULL, clip TEXT REFERENCES generated_clip (id), PRIMARY KEY (sweep, cell),
            CHECK ((status = 'done') = (clip IS NOT NULL)))""",
        "CREATE INDEX sweep_cell_of_any ON sweep_cell (cell, status)",
        "CREATE INDEX sweep_cell_of_clip ON sweep_cell (clip, sweep)",
    ),
    (  # 5: the weights behind a study's clips
        "ALTER TABLE clip ADD COLUMN weights TEXT NOT NULL DEFAULT ''",
    ),
    (  # 6: accounts are people of their own; sessions tell how they were opened
        """CREATE TABLE account (
            name TEXT PRIMARY KEY, annotator TEXT NOT NULL UNIQUE REFERENCES annotator (id),
            created_at TEXT NOT NULL)""",
        "DELETE FROM session",
        "ALTER TABLE session ADD COLUMN door TEXT NOT NULL DEFAULT 'name'",
        "ALTER TABLE session ADD COLUMN account TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE session ADD COLUMN mark TEXT NOT NULL DEFAULT ''",
        "UPDATE annotator SET role = 'annotator'",
    ),
)


def migrate(connection: Connection, steps: tuple[tuple[str, ...], ...] = STEPS) -> int:
    """Bring the database to the newest schema and return its version.

    Raises RequestError for a database that a newer program has made.
    """
    connection.execute(text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"))
    found = connection.execute(text("SELECT version FROM schema_version")).scalar()
    if found is None:
        connection.execute(text("INSERT INTO schema_version VALUES (0)"))
    version = found or 0
    if version > len(STEPS):
        raise RequestError(
            f"the database has schema {version} and this program knows {len(STEPS)}; run the program that made it"
        )
    for step in steps[version:]:
        for statement in step:
            connection.execute(text(statement))
    newest = max(version, len(steps))
    connection.execute(text("UPDATE schema_version SET version = :version"), {"version": newest})
    return newest
