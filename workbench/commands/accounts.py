"""`accounts`: the people of a server that is not one's own, and invitations for annotators."""

import argparse
import getpass
import re
import sys
from pathlib import Path

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.people.accounts import NAME_LENGTH, ROLES, add_account, is_name, read_accounts, remove_account
from workbench.requests.arguments import check_data_dir, whole
from workbench.requests.links.people import invitation_link
from workbench.requests.outputs import check_place
from workbench.settings import Settings
from workbench.store import open_store
from workbench.store.people import INVITATION_DAYS, SESSION_DAYS
from workbench.store.records import Session
from workbench.votes.studies import DEFAULT_STUDY

DAYS = whole(1, 36_500)

URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
TOKEN_ROLES = ("researcher", "admin")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "accounts",
        help="people, roles and invitations",
        description="Write the file that `app --auth FILE` reads, or make invitation links for annotators.",
        epilog="example: python -m workbench accounts add people.txt ann --role researcher",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="add a person, or give one a new password")
    add.add_argument("file", type=Path, metavar="FILE", help="the auth file; made when it is not there")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", default="annotator", help=f"one of {', '.join(ROLES)} (default annotator)")
    remove = actions.add_parser("remove", help="take a person out; what they have open ends at once")
    remove.add_argument("file", type=Path, metavar="FILE")
    remove.add_argument("name", metavar="NAME")
    listing = actions.add_parser("list", help="list the people of a file")
    listing.add_argument("file", type=Path, metavar="FILE")
    listing.add_argument("--json", action="store_true", help="print JSON")
    invite = actions.add_parser("invite", help="make a link by which somebody votes without a password")
    invite.add_argument("name", metavar="NAME", help="the annotator's name; one link for each")
    invite.add_argument("--study", metavar="ID", help="the study it leads to (default: the default study)")
    invite.add_argument("--days", type=DAYS, default=INVITATION_DAYS, help=f"how long (default {INVITATION_DAYS})")
    invite.add_argument("--url", default=f"http://127.0.0.1:{Settings.port}", help="address of the app")
    end = actions.add_parser("end", help="end all sessions, access tokens and invitations of a person")
    end.add_argument("name", metavar="NAME")
    token = actions.add_parser("token", help="make an access token, by which programs act for an account")
    token.add_argument("file", type=Path, metavar="FILE", help="the auth file")
    token.add_argument("name", metavar="NAME")
    token.add_argument("--days", type=DAYS, default=SESSION_DAYS["token"], help="how long (default %(default)s)")
    tokens = actions.add_parser("tokens", help="list the access tokens of an account, without their secrets")
    tokens.add_argument("name", metavar="NAME")
    tokens.add_argument("--json", action="store_true", help="print JSON")
    revoke = actions.add_parser("revoke", help="end one access token")
    revoke.add_argument("name", metavar="NAME")
    revoke.add_argument("id", metavar="ID", help="as `tokens` lists it")
    for action in (invite, end, token, tokens, revoke):
        action.add_argument(
            "--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="folder of the app's data"
        )
        action.add_argument("--database-url", metavar="URL", help="the app's database (default: SQLite in --data-dir)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    ACTIONS[options.action](options)
    return 0


def _add(options: argparse.Namespace) -> None:
    """The password comes from the terminal, or as one line of standard input."""
    check_place(options.file, "FILE", folder=False)
    if not options.file.absolute().parent.is_dir():
        raise RequestError(f"there is no folder {str(options.file.parent)!r}; make it first, or name another file")
    asked = f"Password for {options.name}: "
    password = getpass.getpass(asked) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    add_account(options.file, options.name, options.role, password)
    say(f"{options.name} is a {options.role} in {options.file}")


def _remove(options: argparse.Namespace) -> None:
    remove_account(options.file, options.name)
    say(f"{options.name} is no longer in {options.file}")


def _end(options: argparse.Namespace) -> None:
    check_data_dir(options)
    store = open_store(Settings(data_dir=options.data_dir, database_url=options.database_url))
    say(f"ended {store.people.end_sessions(options.name)} sessions and invitations of {options.name}")
    store.close()


def _token(options: argparse.Namespace) -> None:
    """The token is all that is printed, once; the database keeps its digest."""
    account = next((each for each in read_accounts(options.file) if each.name == options.name), None)
    if account is None:
        raise RequestError(f"{options.name!r} is not in {str(options.file)!r}; `accounts list` shows who is")
    if account.role not in TOKEN_ROLES:
        raise RequestError(f"{options.name!r} is a {account.role}; access tokens are for a {' or '.join(TOKEN_ROLES)}")
    store = open_store(Settings(data_dir=options.data_dir, database_url=options.database_url))
    session = Session(store.people.of_account(account.name), "token", account.name, account.mark)
    say(store.people.open_session(session, options.days))
    store.close()


def _tokens(options: argparse.Namespace) -> None:
    store = open_store(Settings(data_dir=options.data_dir, database_url=options.database_url))
    rows = [vars(token) for token in store.people.tokens(options.name)]
    store.close()
    if options.json:
        say_json(rows)
    for row in [] if options.json else rows:
        say(f"{row['id']}  made {row['created_at'][:10]}, holds until {row['expires_at'][:10]}")


def _revoke(options: argparse.Namespace) -> None:
    store = open_store(Settings(data_dir=options.data_dir, database_url=options.database_url))
    ended = store.people.revoke_token(options.name, options.id)
    store.close()
    if not ended:
        raise RequestError(f"{options.name!r} has no access token {options.id!r}; `accounts tokens` lists them")
    say(f"token {options.id} of {options.name} opens nothing any more")


def _list(options: argparse.Namespace) -> None:
    rows = [{"name": account.name, "role": account.role} for account in read_accounts(options.file)]
    if options.json:
        say_json(rows)
    for row in [] if options.json else rows:
        say(f"{row['name']}  {row['role']}")


def _invite(options: argparse.Namespace) -> None:
    if not is_name(options.name):
        raise RequestError(f"name {options.name[:40]!r} cannot be a name here; use 1 to {NAME_LENGTH} letters")
    if not URL.fullmatch(options.url):
        raise RequestError(f"--url {options.url[:80]!r} is no address of an app; give one as https://lab.example")
    store = open_store(Settings(data_dir=options.data_dir, database_url=options.database_url))
    if options.study not in (None, DEFAULT_STUDY) and store.studies.get(options.study) is None:
        store.close()
        raise RequestError(f"there is no study {options.study[:80]!r} here; `studies list` shows which there are")
    secret = store.people.invite(" ".join(options.name.split()), options.study, options.days)
    say(invitation_link(secret, options.url.rstrip("/")))
    store.close()


ACTIONS = {"add": _add, "remove": _remove, "end": _end, "list": _list, "invite": _invite}
ACTIONS |= {"token": _token, "tokens": _tokens, "revoke": _revoke}
