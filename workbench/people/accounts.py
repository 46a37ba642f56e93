"""People who may use a server that is not one's own: a file of names, roles and hashed passwords.

One line a person, `name:role:hash`; empty lines and lines that begin with # are left out. `python -m workbench
accounts FILE add NAME` writes them.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from eval.video.limits import DANGLING, kind_at
from eval.video.text_files import read_text
from models.types import RequestError
from models.whole_files import alone_in, write_bytes

# scrypt as RFC 7914 has it, with costs that OWASP recommends (2^15, 8, 3: 32 MiB, a third of a second)
COST, BLOCK, PARALLEL, LENGTH = 15, 8, 3, 32
MEMORY = 2**28
SHORTEST, NAME_LENGTH = 8, 80
ROLES = ("admin", "researcher", "reviewer", "annotator")
TRIES, PAUSE_SECONDS = (10, 30, 100), 60.0  # for a name from an address, an address, a name
MOST_WAITING, MOST_REMEMBERED = 8, 10_000


@dataclass(frozen=True)
class Account:
    name: str
    role: str
    hash: str

    @property
    def mark(self) -> str:
        """Tells one password from the next, and nothing about either."""
        return hashlib.sha256(self.hash.encode()).hexdigest()[:16]


class TooManyTries(Exception):
    """Sign-ins that are not looked at, because too many came; the text is one sentence."""


class Accounts:
    """The people of an auth file, as it is at this moment: a change of it counts at once.

    Raises RequestError for a file that cannot be read, has a wrong line, or nobody in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp, self._accounts = _stamp(path), {account.name: account for account in read_accounts(path)}
        if not self._accounts:
            raise RequestError(f"--auth {str(path)!r} has no people; add one with `python -m workbench accounts`")
        self._failures: dict[tuple[str, str, str], list[float]] = {}
        self._waiting, self._changing = 0, threading.Lock()
        # one hash at a time, in a thread of its own: each takes 32 MiB and a core, and nothing else waits for it
        self._hashing = ThreadPoolExecutor(1, "passwords")

    def find(self, name: str) -> Account | None:
        """The account of this name; None when there is none, or none any more."""
        return self._current().get(name)

    async def check(self, name: str, password: str, address: str = "") -> Account | None:
        """The account when the password is right. Raises TooManyTries after ten wrong ones in a minute for a name from
        an address, thirty from an address, a hundred for a name, and when too many are waiting."""
        keys = (("both", name, address), ("address", "", address), ("name", name, ""))
        with self._changing:
            if any(self._recent(key) >= tries for key, tries in zip(keys, TRIES, strict=True)):
                raise TooManyTries("too many sign-ins went wrong here; wait a minute, then try again")
            if self._waiting >= MOST_WAITING:
                raise TooManyTries("too many people sign in at this moment; try again soon")
            self._waiting += 1
            for key in keys:  # counted before it is known to be wrong, so that a burst of guesses is counted, too
                self._failures.setdefault(key, []).append(time.monotonic())
        account = self.find(name)
        try:
            # an unknown name takes as long as a known one
            hashed = account.hash if account else UNKNOWN
            right = await asyncio.get_running_loop().run_in_executor(self._hashing, verify, password, hashed)
        finally:
            with self._changing:
                self._waiting -= 1
        if not account or not right:
            return None
        with self._changing:
            for key in keys:
                if moments := self._failures.get(key):
                    moments.pop()
        return account

    def _recent(self, key: tuple[str, str, str]) -> int:
        """How many went wrong in the last minute; names and addresses that are over are forgotten."""
        start = time.monotonic() - PAUSE_SECONDS
        if len(self._failures) > MOST_REMEMBERED:
            self._failures = {
                each: moments for each, moments in self._failures.items() if max(moments, default=0) > start
            }
        kept = [moment for moment in self._failures.get(key, []) if moment > start]
        if kept:
            self._failures[key] = kept
        else:
            self._failures.pop(key, None)
        return len(kept)

    def _current(self) -> dict[str, Account]:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            try:
                self._accounts = {account.name: account for account in read_accounts(self._path)}
            except RequestError as error:
                logging.getLogger(__name__).error("nobody can sign in: %s", error)
                self._accounts = {}
            self._stamp = stamp
        return self._accounts


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file does; empty for none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_accounts(path: Path) -> list[Account]:
    """Raises RequestError naming the line that is wrong."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RequestError(f"--auth {str(path)!r} cannot be read ({reason}); make it with `accounts`") from error
    found: dict[str, Account] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            account = _account(path, number, line)
            if account.name in found:
                again = f"line {number} of {str(path)!r} names {account.name!r} a second time"
                raise RequestError(f"{again}; delete the line that is wrong")
            found[account.name] = account
    return list(found.values())


def is_name(name: str) -> bool:
    """Whether somebody can go by this name, with an account, an invitation or neither."""
    return bool(name.strip()) and len(name) <= NAME_LENGTH and name.isprintable()


def add_account(path: Path, name: str, role: str, password: str, cost: int = COST) -> None:
    """Write a person into the file, in place of one of the same name. Raises RequestError."""
    if not is_name(name) or name != name.strip() or ":" in name or name.startswith("#"):
        raise RequestError(
            f"name {name[:40]!r} cannot be a name here; use 1 to {NAME_LENGTH} letters, without a colon and without "
            "blanks around"
        )
    if role not in ROLES:
        raise RequestError(f"role {role[:40]!r} is none; choose {', '.join(ROLES)}")
    if kind_at(path) == DANGLING:
        raise RequestError(f"{str(path)!r} is {DANGLING}; name the file itself, or delete the link")
    if len(password) < SHORTEST:
        raise RequestError(f"the password has {len(password)} letters; use at least {SHORTEST}")
    added = Account(name, role, hash_password(password, cost))
    with alone_in(path.parent):
        others = [account for account in (read_accounts(path) if path.exists() else []) if account.name != name]
        _write(path, [*others, added])


def remove_account(path: Path, name: str) -> None:
    """Take a person out of the file. Raises RequestError when they are not in it."""
    accounts = read_accounts(path)  # says so where there is no file
    with alone_in(path.parent):
        accounts = read_accounts(path)
        others = [account for account in accounts if account.name != name]
        if len(others) == len(accounts):
            raise RequestError(f"{name!r} is not in {str(path)!r}; `accounts list` shows who is")
        _write(path, others)


def _write(path: Path, accounts: list[Account]) -> None:
    lines = [f"{each.name}:{each.role}:{each.hash}\n" for each in accounts]
    write_bytes(path, "".join(lines).encode())
    path.chmod(0o600)


def hash_password(password: str, cost: int = COST) -> str:
    """`cost` is the logarithm of scrypt's N, and part of the hash."""
    salt = secrets.token_bytes(16)
    return f"scrypt${cost}${salt.hex()}${_scrypt(password, salt, cost).hex()}"


def verify(password: str, hashed: str) -> bool:
    """Whether `password` is the one behind a hash of `hash_password`, in constant time."""
    _, cost, salt, digest = hashed.split("$")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt), int(cost)).hex(), digest)


def _scrypt(password: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**cost, r=BLOCK, p=PARALLEL, maxmem=MEMORY, dklen=LENGTH)


UNKNOWN = f"scrypt${COST}${'0' * 32}${'0' * 64}"


def _account(path: Path, number: int, line: str) -> Account:
    try:
        name, role, hashed = (part.strip() for part in line.split(":"))
        method, cost, salt, digest = hashed.split("$")
        right = method == "scrypt" and 10 <= int(cost) <= 17 and bytes.fromhex(salt) and bytes.fromhex(digest)
    except ValueError:
        right = False
    if not right or role not in ROLES or not name:
        roles = ", ".join(ROLES)
        raise RequestError(f"line {number} of {str(path)!r} is not name:role:hash with a role of {roles}; mend it")
    return Account(name, role, hashed)
