"""Accounts, their API keys, and the console's sessions. Of a key or a session's token only its SHA-256 is kept.

    key = accounts.create("anna", Role.COLLECTOR, takes_cases=True, at=now)   # shown once, "ews_..."
    actor = accounts.by_key(key)                                              # None: unknown or revoked, told alike

A key is 32 random bytes, so its hash needs neither salt nor slowness. It is looked up by an index: nothing takes longer
the more of a key is right. What is done to accounts stands in the audit trail.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from streams.errors import Conflict, NotFound, Rejected
from streams.stores import audit as trail
from streams.stores.case import Entry
from streams.stores.roles import Actor, Role
from streams.stores.upsert import is_new
from streams.stores.work_tables import accounts, sessions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from sqlalchemy import Connection

    from streams.stores.database import Database

PREFIX = "ews_"
"""What a key begins with, so that a scanner of secrets finds one that went astray."""
TOKEN_BYTES = 32
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""An account's name: it stands in the audit trail for ever, so it is a handle and never a person's name."""
RESERVED = frozenset({
    "ews", "alerts", "case_creator", "clockwork", "contacts", "notifier", "promise_keeper", "relay", "repayments",
    "system",
})  # fmt: skip
"""Names that the trail knows as our own processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who may use the HTTP API and the console."""

    account: str
    role: Role
    takes_cases: bool
    """Whether assignment may give it cases."""
    created_at: datetime
    revoked_at: datetime | None


class AccountStore:
    """Accounts in a database. Raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def create(self, account: str, role: Role, *, takes_cases: bool = False, at: datetime, by: str = "cli") -> str:
        """A new account; its key, shown this once. Raises Rejected for a bad name, Conflict for a taken one."""
        if not NAME.fullmatch(account) or account in RESERVED:
            raise Rejected(
                "an account's name is 1 to 64 of a-z, 0-9, '.', '_' and '-', begins with a letter or digit, "
                f"and is none of {', '.join(sorted(RESERVED))}"
            )
        key = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        row = {"account": account, "role": role.value, "takes_cases": takes_cases, "key_hash": digest(key)}
        with self.database.write() as connection:
            if not is_new(connection, accounts, row | {"created_at": at}):
                raise Conflict(f"there is an account {account} already: `ews api keys rotate {account}` renews its key")
            _note(connection, "account.created", account, at, by, role=role.value, takes_cases=takes_cases)
        return key

    def rotate(self, account: str, *, at: datetime, by: str = "cli") -> str:
        """A new key for an account. The old one and the console's sessions end now. Revoked ones are let in again."""
        key = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        self._change(account, "account.rotated", {"key_hash": digest(key), "revoked_at": None}, at, by)
        return key

    def revoke(self, account: str, *, at: datetime, by: str = "cli") -> None:
        """End an account's key and sessions. Its name stays taken: the audit trail speaks of it."""
        self._change(account, "account.revoked", {"revoked_at": at}, at, by)

    def by_key(self, key: str) -> Actor | None:
        """Whose key this is; None if nobody's any more. Never slower for a revoked key than for an unknown one."""
        query = select(accounts.c.account, accounts.c.role).where(
            accounts.c.key_hash == digest(key), accounts.c.revoked_at.is_(None)
        )
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Actor(row.account, Role(row.role))

    def listed(self) -> list[Account]:
        """Every account by name, revoked ones too."""
        columns = [column for column in accounts.c if column.name != "key_hash"]
        with self.database.read() as connection:
            rows = connection.execute(select(*columns).order_by(accounts.c.account)).all()
        return [Account(**(dict(row._mapping) | {"role": Role(row.role)})) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it

    def open_session(self, account: str, *, at: datetime, lasts: timedelta) -> str:
        """Sign an account in at the console; the session's token. Sessions that have ended are swept out."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        row = {"account": account, "csrf": secrets.token_urlsafe(TOKEN_BYTES), "until": at + lasts}
        with self.database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.until <= at))
            connection.execute(sessions.insert().values(session_hash=digest(token), **row))
        return token

    def session(self, token: str, *, at: datetime) -> tuple[Actor, str] | None:
        """Who is signed in by this token, and the secret that their forms carry; None if nobody."""
        query = (
            select(accounts.c.account, accounts.c.role, sessions.c.csrf)
            .join_from(sessions, accounts)
            .where(sessions.c.session_hash == digest(token), sessions.c.until > at, accounts.c.revoked_at.is_(None))
        )
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (Actor(row.account, Role(row.role)), row.csrf)

    def close_session(self, token: str) -> None:
        """Sign out."""
        with self.database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.session_hash == digest(token)))

    def note(self, action: str, actor: Actor, detail: Mapping[str, Any], *, at: datetime) -> None:
        """Write into the audit trail what was done outside any case, such as looking at a borrower's address."""
        with self.database.write() as connection:
            trail.append(connection, [Entry("", at, actor.account, action, dict(detail))])

    def _change(self, account: str, action: str, values: dict[str, Any], at: datetime, by: str) -> None:
        with self.database.write() as connection:
            changed = update(accounts).where(accounts.c.account == account).values(**values)
            if not connection.execute(changed).rowcount:
                raise NotFound(f"there is no account {account}: see `ews api keys list`")
            connection.execute(delete(sessions).where(sessions.c.account == account))
            _note(connection, action, account, at, by)


def collectors(connection: Connection) -> list[str]:
    """The accounts that cases may be given to, by name."""
    takes = (accounts.c.role == Role.COLLECTOR.value, accounts.c.takes_cases, accounts.c.revoked_at.is_(None))
    return list(connection.scalars(select(accounts.c.account).where(*takes).order_by(accounts.c.account)))


def digest(secret: str) -> str:
    """What is kept of a key or token. Whatever text comes from outside has one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _note(connection: Connection, action: str, account: str, at: datetime, by: str, **more: Any) -> None:
    trail.append(connection, [Entry("", at, by, action, {"account": account, **more})])
