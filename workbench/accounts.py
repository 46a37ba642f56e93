"""People who may use a server that is not one's own: a file of names, roles and hashed passwords.

One line a person, `name:role:hash`; empty lines and lines that begin with # are left out. `python -m workbench
accounts FILE add NAME` writes them.
"""

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from models.types import RequestError
from workbench.media import write_bytes
from workbench.store.records import ROLES

# scrypt as RFC 7914 has it, with costs that OWASP recommends (2^15, 8, 3: 32 MiB, a third of a second)
COST, BLOCK, PARALLEL, LENGTH = 15, 8, 3, 32
MEMORY = 2**28
SHORTEST = 8
TRIES, PAUSE_SECONDS = 10, 60.0


@dataclass(frozen=True)
class Account:
    name: str
    role: str
    hash: str


class Accounts:
    """The people of an auth file. Raises RequestError for a file that cannot be read or has a wrong line."""

    def __init__(self, path: Path) -> None:
        self._accounts = {account.name: account for account in read_accounts(path)}
        if not self._accounts:
            raise RequestError(f"--auth {str(path)!r} has no people; add one with `python -m workbench accounts`")
        self._failures: dict[str, list[float]] = {}
        self._checking = threading.Lock()  # one hash at a time: each takes 32 MiB and a core

    def check(self, name: str, password: str) -> Account | None:
        """The account when the password is right. After ten wrong ones in a minute nothing is right for a while."""
        now = time.monotonic()
        with self._checking:
            recent = [moment for moment in self._failures.get(name, []) if now - moment < PAUSE_SECONDS]
            account = self._accounts.get(name)
            # an unknown name takes as long as a known one
            right = verify(password, account.hash if account else UNKNOWN)
            if account and right and len(recent) < TRIES:
                self._failures.pop(name, None)
                return account
            if account:
                self._failures[name] = [*recent, now][-TRIES:]
        return None


def read_accounts(path: Path) -> list[Account]:
    """Raises RequestError naming the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise RequestError(f"--auth {str(path)!r} cannot be read ({reason}); make it with `accounts`") from error
    return [_account(path, i, line) for i, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]


def add_account(path: Path, name: str, role: str, password: str, cost: int = COST) -> None:
    """Write a person into the file, in place of one of the same name. Raises RequestError."""
    if not name.strip() or ":" in name or not name.isprintable() or name.startswith("#"):
        raise RequestError(f"name {name[:40]!r} cannot be a name here; use letters, without a colon")
    if role not in ROLES:
        raise RequestError(f"role {role[:40]!r} is none; choose {', '.join(ROLES)}")
    if len(password) < SHORTEST:
        raise RequestError(f"the password has {len(password)} letters; use at least {SHORTEST}")
    others = [account for account in (read_accounts(path) if path.exists() else []) if account.name != name]
    lines = [
        f"{each.name}:{each.role}:{each.hash}"
        for each in [*others, Account(name, role, hash_password(password, cost))]
    ]
    write_bytes(path, ("\n".join(lines) + "\n").encode())
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
