"""A house for the API's tests: a database, an account of every role, and a client that asks the application itself."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
from anyio.from_thread import start_blocking_portal
from httpx import ASGITransport

from streams.api.app import build
from streams.api.desk import Desk
from streams.api.limits import Limits
from streams.api.rooms import Rooms
from streams.casework.ladder import Ladder
from streams.casework.roles import Role
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.metrics import Metrics
from streams.stores.accounts import AccountStore
from streams.stores.cases import CaseStore
from streams.stores.messages import MessageStore
from streams.stores.operations import OperationsStore
from tests.consumers.builders import START, alert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyio.from_thread import BlockingPortal
    from fastapi import FastAPI

    from streams.stores.database import Database

PLENTY = 1_000_000
NOW = START + timedelta(hours=2)
"""What time it is in the house."""


@dataclass
class Client:
    """Asks the application, with the key of a role unless another one is given."""

    app: FastAPI
    portal: BlockingPortal
    http: httpx.AsyncClient
    keys: dict[Role, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, *, role: Role | None = Role.ADMIN, **more: Any) -> httpx.Response:
        """One request under /v1."""
        headers = dict(more.pop("headers", {}))
        if role is not None:
            headers.setdefault("Authorization", f"Bearer {self.keys[role]}")
        return self.portal.call(partial(self.http.request, method, f"/v1{path}", headers=headers, **more))


def rooms_over(database: Database, **more: Any) -> Rooms:
    """The rooms over a database."""
    values: dict[str, Any] = {
        "desk": Desk(database, Ladder.standard(), now=lambda: NOW),
        "accounts": AccountStore(database),
        "cases": CaseStore(database),
        "messages": MessageStore(database),
        "operations": OperationsStore(database),
        "now": lambda: NOW,
    }
    return Rooms(**(values | more))


def keys_of(accounts: AccountStore) -> dict[Role, str]:
    """An account of every role, called like it."""
    return {role: accounts.create(role.value, role, at=NOW) for role in Role}


def open_cases(store: CaseStore, *borrowers: str, **more: Any) -> dict[str, str]:
    """A case for each borrower, as the case creator opens it; their ids."""
    alerts = [alert(borrower=borrower, **({"dpd": 16, "step": 15} | more)) for borrower in borrowers]
    start = store.positions("alerts").get(0, 0)
    CaseCreator(store, Ladder.standard(), Metrics()).take(Batch("alerts", 0, start, start + len(alerts), alerts))
    return {borrower: store.files_of(borrower)[0].case.case_id for borrower in borrowers}


@contextlib.contextmanager
def client_of(rooms: Rooms, limits: Limits | None = None) -> Iterator[Client]:
    """A client of the application over these rooms."""
    app = build(rooms, limits or Limits(requests_a_minute=PLENTY, failures_a_minute=PLENTY))
    transport = ASGITransport(app, raise_app_exceptions=False)
    with start_blocking_portal() as portal:
        http = httpx.AsyncClient(transport=transport, base_url="http://api")
        yield Client(app, portal, http, keys_of(rooms.accounts))
        portal.call(http.aclose)
