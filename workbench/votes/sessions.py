"""Who somebody is: a name, an account or an invitation, and the cookie or access token that stands for it."""

import time
from collections import OrderedDict
from dataclasses import replace

from workbench.people.accounts import Account, Accounts, is_name
from workbench.store import Store
from workbench.store.records import Person, Session
from workbench.votes.bodies import NO_NAME, Refused

SESSION_FRESH_SECONDS = 5.0  # how long a session ended by another process may live on
MOST_KNOWN = 10_000  # sessions remembered


class Sessions:
    """Opens, knows and ends sessions; what is remembered of them saves the database a question with each request."""

    def __init__(self, store: Store, accounts: Accounts | None = None) -> None:
        """`accounts` None lets everybody in by name, as on one's own machine."""
        self.people, self.accounts = store.people, accounts
        self._known: OrderedDict[str, tuple[float, Session]] = OrderedDict()

    def named(self, name: str) -> Person:
        """The person who goes by this name. Raises Refused for what is not a name."""
        if not is_name(name):
            raise NO_NAME.of("name", name, "")
        return self.people.named(" ".join(name.split()))

    def person(self, secret: str | None, token: bool = False) -> Person:
        """Whose cookie this is, or access `token`, with the role they have at this moment. Raises Refused when it is
        nobody's, and for one in place of the other."""
        known = self.remembered(secret, token)
        if known is None and secret:
            session = self.people.of_session(secret)
            if session:
                self._known[secret] = time.monotonic(), session
                while len(self._known) > MOST_KNOWN:
                    self._known.popitem(last=False)
                known = self.remembered(secret, token)
        if known is None:
            raise Refused(401, "no-session", "you have no session here; give your name on the Vote page first")
        return known

    def remembered(self, secret: str | None, token: bool = False) -> Person | None:
        """Whose cookie this is, or access `token`, if that is known without asking the database."""
        moment, session = self._known.get(secret or "", (0.0, None))
        fresh = session is not None and time.monotonic() - moment < SESSION_FRESH_SECONDS
        return self._at_present(session) if fresh and (session.door == "token") is token else None

    def _at_present(self, session: Session) -> Person | None:
        """The person of a session; None when it no longer counts, as an account's that was removed since."""
        if self.accounts is None:
            return session.person
        if session.door == "invitation":
            return replace(session.person, role="annotator")
        account = self.accounts.find(session.account) if session.door in ("account", "token") else None
        known = account is not None and account.mark == session.mark
        return replace(session.person, role=account.role) if known else None

    def open(self, person: Person, door: str, account: Account | None = None, days: int | None = None) -> str:
        """A new secret for somebody who came in by a name, an invitation or an account, or for a program of theirs."""
        name, mark = (account.name, account.mark) if account else ("", "")
        return self.people.open_session(Session(person, door, name, mark), days)

    def end(self, secret: str) -> None:
        self.people.close_session(secret)
        self._known.pop(secret, None)

    def account_of(self, secret: str | None) -> Account:
        """The account that a cookie was opened by. Raises Refused for anybody else."""
        self.person(secret)
        _, session = self._known.get(secret or "", (0.0, None))
        account = self.accounts.find(session.account) if self.accounts and session else None
        if account is None:
            raise Refused(403, "no-account", "only accounts have access tokens; sign in with a password")
        return account

    def revoke_token(self, account: str, name: str) -> bool:
        """End an access token, at once here and within seconds in other processes."""
        ended = self.people.revoke_token(account, name)
        self._known.clear()
        return ended

    def end_all(self, name: str) -> int:
        """End what the person of this name has open, at once here and within seconds in other processes."""
        ended = self.people.end_sessions(name)
        self._known.clear()
        return ended
