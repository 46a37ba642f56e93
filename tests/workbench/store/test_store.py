"""The store on SQLite and on a real PostgreSQL server, by the same tests."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pandas as pd
import pytest
from sqlalchemy import MetaData, inspect, select, text

from models.types import RequestError
from tests.helpers.voting_data import SYSTEMS, ballot, small_study
from workbench.settings import Settings
from workbench.store import FLAG_COLUMNS, VOTE_COLUMNS, Store, StoreUnavailable, database_url, open_store
from workbench.store.database import Database
from workbench.store.migrations import STEPS, migrate
from workbench.store.records import AlreadyVoted, Flag, KeyReused, Session
from workbench.store.schema import METADATA


@pytest.fixture
def study(store):
    return small_study(store)


@pytest.fixture
def ann(store):
    return store.people.named("Ann")


def assign(store: Store, person, study, pair: str = "trial-0", swapped: bool = False):
    return store.ballots.assign(person, study, pair, swapped=swapped, propensity=0.5)


# schema


def test_migrations_make_the_tables_that_queries_expect(store):
    found = inspect(store.database.engine)
    assert set(found.get_table_names()) == {*METADATA.tables, "schema_version"}
    for name, table in METADATA.tables.items():
        columns = found.get_columns(name)
        assert {column["name"] for column in columns} == {column.name for column in table.c}, name
        assert set(found.get_pk_constraint(name)["constrained_columns"]) == {c.name for c in table.primary_key}, name


@pytest.mark.parametrize("version", range(1, len(STEPS)))
def test_an_older_database_is_brought_up_with_its_votes(store_settings, version, tmp_path):
    database = Database(database_url(store_settings.database_url, store_settings.data_dir))
    store_settings.data_dir.mkdir(parents=True)
    with database.migrating() as connection:
        assert migrate(connection, STEPS[:version]) == version
    source = open_store(Settings(data_dir=tmp_path / "source"))
    vote = source.ballots.record(ballot(assign(source, source.people.named("Ann"), small_study(source)).id, "k"))
    old = MetaData()
    old.reflect(database.engine)
    with source.database.read() as read, database.write() as write:
        for table in old.sorted_tables:  # as the program of that time would have written it
            if table.name in METADATA.tables:
                rows = read.execute(select(*(METADATA.tables[table.name].c[column.name] for column in table.c)))
                for row in rows.mappings():
                    write.execute(table.insert().values(**row))
    database.engine.dispose()
    source.close()
    new = open_store(store_settings)
    assert list(new.votes().vote_id) == [vote] and len(new.studies.clips("trial")) == 6
    new.close()


def test_a_newer_database_is_refused(store, store_settings):
    with store.database.write() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    with pytest.raises(RequestError, match="schema 99"):
        open_store(store_settings)


def test_opening_at_once_from_many_threads_migrates_once(store_settings):
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: open_store(store_settings), range(6)))
    assert all(each.studies.all() == [] for each in stores)
    for each in stores:
        each.close()


def test_sqlite_is_set_up_to_survive_power_loss(tmp_path):
    store = open_store(Settings(data_dir=tmp_path))
    with store.database.read() as connection:
        values = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in PRAGMAS}
    assert values == PRAGMAS


PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "oracle+nope://x", "postgresql://[::1/x"])
def test_a_wrong_address_is_refused(url, tmp_path):
    with pytest.raises(RequestError, match="--database-url"):
        database_url(url, tmp_path)


def test_an_unreachable_server_is_told_without_its_password(tmp_path):
    with pytest.raises(RequestError, match="cannot be opened") as caught:
        open_store(Settings(data_dir=tmp_path, database_url="postgresql://me:secret@127.0.0.1:1/x"))
    assert "secret" not in str(caught.value)


# votes


def test_a_vote_comes_back_as_a_row(store, study, ann):
    given = assign(store, ann, study, swapped=True)
    flags = (Flag("a", 1.5, "flicker", "<b>here</b>"),)
    vote = store.ballots.record(ballot(given.id, "key", "a", flags=flags))
    (row,) = store.votes("trial").to_dict("records")
    assert tuple(row) == VOTE_COLUMNS
    assert (row["vote_id"], row["answer"], row["winner"]) == (vote, "a", "left")
    assert (row["left_system"], row["right_system"]) == (SYSTEMS[1], SYSTEMS[0])
    assert (row["prompt"], row["watched_seconds"], row["undone"]) == ("prompt 0", 4.0, False)
    (flag,) = store.flags().to_dict("records")
    assert (
        tuple(flag) == FLAG_COLUMNS
        and flag["comment"] == "<b>here</b>"
        and (flag["vote_id"], flag["side"]) == (vote, "left")
    )


def test_an_empty_store_gives_empty_tables_with_their_columns(store):
    assert list(store.votes().columns) == list(VOTE_COLUMNS) and list(store.flags().columns) == list(FLAG_COLUMNS)
    assert store.votes().undone.dtype == bool


def test_the_same_key_is_the_same_vote(store, study, ann):
    given = assign(store, ann, study)
    assert store.ballots.record(ballot(given.id, "key")) == store.ballots.record(ballot(given.id, "key", "b"))
    assert list(store.votes().answer) == ["a"]


def test_a_key_is_good_for_one_assignment(store, study, ann):
    first, second = assign(store, ann, study), None
    store.ballots.record(ballot(first.id, "key"))
    second = assign(store, ann, study, "trial-1")
    with pytest.raises(KeyReused):
        store.ballots.record(ballot(second.id, "key"))
    assert len(store.votes()) == 1


def test_a_second_vote_is_refused_until_the_first_is_undone(store, study, ann):
    given = assign(store, ann, study)
    store.ballots.record(ballot(given.id, "one"))
    with pytest.raises(AlreadyVoted):
        store.ballots.record(ballot(given.id, "two", "b"))
    assert store.ballots.undo(given.id) and store.ballots.undo(given.id) is None
    assert store.ballots.standing(ann, study)[0].id == given.id
    store.ballots.record(ballot(given.id, "two", "b"))
    assert list(zip(store.votes().answer, store.votes().undone, strict=True)) == [("a", True), ("b", False)]


@pytest.mark.parametrize("same_key", [True, False])
def test_votes_sent_at_once_make_one(store, study, ann, same_key):
    given = assign(store, ann, study)
    gate = threading.Barrier(12)

    def send(k: int) -> str | None:
        gate.wait()
        try:
            return store.ballots.record(ballot(given.id, "key" if same_key else f"key {k}"))
        except AlreadyVoted:
            return None

    with ThreadPoolExecutor(12) as pool:
        votes = list(pool.map(send, range(12)))
    (vote,) = store.votes().vote_id
    assert votes.count(vote) == (12 if same_key else 1) and set(votes) <= {vote, None}


def test_pairs_asked_for_at_once_are_one(store, study, ann):
    gate = threading.Barrier(8)

    def ask(k: int) -> str:
        gate.wait()
        return assign(store, ann, study, f"trial-{k % 3}").id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert sum(pair.issued for pair in store.studies.pairs("trial", 1)) == 1


def test_many_voters_at_once_lose_nothing(store, study):
    def vote_on_everything(k: int) -> int:
        person = store.people.named(f"voter {k}")
        for pair in range(3):
            given = assign(store, person, study, f"trial-{pair}")
            store.ballots.record(ballot(given.id, f"{k}-{pair}"))
        return store.ballots.standing(person, study)[1]

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(vote_on_everything, range(16))) == {3}
    assert len(store.votes()) == 48
    assert {pair.issued for pair in store.studies.pairs("trial", 1)} == {16}


def test_media_tokens_lead_to_the_assignment(store, study, ann):
    given = assign(store, ann, study, swapped=True)
    assert store.ballots.of_token(given.left_token) == store.ballots.of_token(given.right_token) == given
    assert (given.left.file, given.right.file) == ("studies/trial-0-1.mp4", "studies/trial-0-0.mp4")
    assert store.ballots.of_token("unknown") is None


def test_tallies_count_by_side_and_leave_undone_votes_out(store, study):
    for k, (answer, swapped) in enumerate([("a", False), ("a", True), ("tie", False), ("b", False)]):
        person = store.people.named(f"voter {k}")
        given = assign(store, person, study, swapped=swapped)
        store.ballots.record(ballot(given.id, f"{k}", answer))
        if answer == "b":
            store.ballots.undo(given.id)
    first, second = SYSTEMS
    wanted = {(first, second, "a", 1), (second, first, "a", 1), (first, second, "tie", 1)}
    assert set(store.ballots.tallies(study, "overall")) == wanted


def test_refusals_are_kept_and_cut(store, ann):
    store.ballots.refuse(ann.id, "x\0y", "unknown-question", "why", "\0" + "z" * 1_000_000)
    (row,) = store.refusals().to_dict("records")
    assert row["reason"] == "unknown-question" and len(row["body"]) == 2000 and row["assignment"] == "xy"


# people


def test_sessions_and_invitations_are_kept_as_digests(store, ann):
    secret, invitation = store.people.open_session(Session(ann, "name")), store.people.invite("Bea", "trial")
    assert store.people.of_session(secret) == Session(ann, "name") and store.people.of_session("guess") is None
    person, study = store.people.invited(invitation)
    assert (person.name, study) == ("Bea", "trial") and store.people.invited("guess") is None
    with store.database.read() as connection:
        kept = [
            *connection.execute(text("SELECT * FROM session")),
            *connection.execute(text("SELECT * FROM invitation")),
        ]
    assert secret not in str(kept) and invitation not in str(kept)
    store.people.close_session(secret)
    assert store.people.of_session(secret) is None


def test_an_invitation_ends(store):
    assert store.people.invited(store.people.invite("Bea", None, days=0)) is None


def test_a_name_is_one_person(store, ann):
    assert store.people.named("Ann") == ann
    assert store.people.of_account("Ann") == ann == store.people.of_account("Ann")
    with pytest.raises(RequestError, match="has an account"):
        store.people.invite("Ann", None)


def test_consent_is_given_once(store, ann):
    assert not store.people.has_consented(ann, "trial")
    store.people.consent(ann, "trial")
    store.people.consent(ann, "trial")
    assert store.people.has_consented(ann, "trial") and not store.people.has_consented(ann, "other")


# studies


def test_another_protocol_is_another_version(store):
    first = store.studies.save("s", "Title", "{}", "a" * 64)
    assert store.studies.save("s", "New title", "{}", "a" * 64) == replace(first, title="New title")
    assert store.studies.save("s", "New title", "{}", "b" * 64).version == 2
    assert store.studies.get("s").version == 2 and store.studies.get("s", 1).protocol_hash == "a" * 64
    assert [study.version for study in store.studies.all()] == [2]


def test_freezing_twice_keeps_the_first_time(store, study):
    frozen = store.studies.freeze(study.id, study.version)
    assert frozen.frozen_at and store.studies.freeze(study.id, study.version) == frozen


# files


def test_votes_go_out_and_come_in_again_the_same(store, study, ann, tmp_path):
    given = assign(store, ann, study)
    store.ballots.record(ballot(given.id, "one", flags=(Flag("b", 0.5, "freeze"),)))
    store.ballots.undo(given.id)
    store.ballots.record(ballot(given.id, "two", "bad"))
    votes, flags = store.votes(), store.flags()
    assert store.import_votes(votes) == store.import_flags(flags) == 0  # they are here already
    other = open_store(Settings(data_dir=tmp_path / "other"))
    assert other.import_votes(votes) == 2 and other.import_votes(votes) == 0
    assert other.import_flags(flags) == 1 and other.import_flags(flags) == 0
    pd.testing.assert_frame_equal(other.votes("trial"), votes)
    pd.testing.assert_frame_equal(other.flags("trial"), flags)
    assert other.votes("elsewhere").empty
    other.close()


def test_a_table_that_is_not_votes_is_refused(store):
    with pytest.raises(RequestError, match="lacks the column 'vote_id'"):
        store.import_votes(pd.DataFrame({"a": [1]}))
    row = dict.fromkeys(VOTE_COLUMNS, 0) | {"answer": "maybe"}
    with pytest.raises(RequestError, match="'maybe'"):
        store.import_votes(pd.DataFrame([row]))
    assert store.votes().empty


# failures


def test_a_full_disk_is_told_and_loses_nothing_acknowledged(tmp_path):
    store = open_store(Settings(data_dir=tmp_path))
    study, ann = small_study(store, 300), store.people.named("Ann")
    with store.database.engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()
    store.close()

    limit(store, pages + 2)
    saved = 0
    with pytest.raises(StoreUnavailable, match="full"):
        for k in range(300):
            given = assign(store, ann, study, f"trial-{k}")
            store.ballots.record(ballot(given.id, f"{k}"))
            saved += 1
    assert 0 < saved < 300 and len(store.votes()) == saved


def limit(store: Store, pages: int) -> None:
    """What a full disk is to SQLite: the file may not grow beyond `pages`."""
    with store.database.engine.connect() as connection:
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))


def test_a_database_that_went_away_is_told(postgresql, tmp_path):
    store = open_store(Settings(data_dir=tmp_path, database_url=postgresql.new_database("gone")))
    study, ann = small_study(store), store.people.named("Ann")
    given = assign(store, ann, study)
    store.ballots.record(ballot(given.id, "one"))
    postgresql.stop()
    try:
        with pytest.raises(StoreUnavailable):
            store.ballots.undo(given.id)
    finally:
        postgresql.start()
    assert list(store.votes().undone) == [False]
