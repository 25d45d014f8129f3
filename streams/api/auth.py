"""Who asks, and whether they may: `Authorization: Bearer ews_...`, and the least role of each route.

    def cases(actor: Viewer) -> ...      # 401 without a valid key, 403 below the role, 429 too often

Cookies mean nothing here, so no page in a browser can ask in a signed-in person's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import Request

from streams.api.limits import Limits
from streams.api.problems import TRACE
from streams.casework.roles import Actor, Role
from streams.errors import NotAllowed
from streams.stores.accounts import AccountStore

KEY_CHARS_MAX: Final = 200
"""Longer than any key of ours: what is longer is none."""
BEARER: Final = HTTPBearer(
    scheme_name="API key", bearerFormat="ews_...", auto_error=False, description="A key from `ews api keys create`."
)


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets accounts in. `app.state.gate` of the application."""

    accounts: AccountStore
    limits: Limits

    def admit(self, key: str, address: str) -> Actor:
        """Whose key it is. What is unknown and what is revoked get one answer."""
        self.limits.check(address)
        actor = self.accounts.by_key(key) if 0 < len(key) <= KEY_CHARS_MAX else None
        if actor is None:
            self.limits.failed(address)
            raise HTTPException(
                401, "Send `Authorization: Bearer ews_...` with a valid key.", {"WWW-Authenticate": "Bearer"}
            )
        self.limits.spend(actor.account)
        return actor


@dataclass(frozen=True, slots=True)
class Needs:
    """A dependency: the account that asks, which must have at least this role."""

    role: Role

    def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
    ) -> Actor:
        """Who asks. Raises NotAllowed, and HTTP's 401 and 429."""
        gate: Gate = request.app.state.gate
        actor = gate.admit(credentials.credentials if credentials else "", client_of(request))
        request.scope[TRACE].account = actor.account
        if not actor.role.reaches(self.role):
            raise NotAllowed(f"This needs the role {self.role}; the account has the role {actor.role}.")
        return actor


Monitor = Annotated[Actor, Depends(Needs(Role.MONITOR))]
Viewer = Annotated[Actor, Depends(Needs(Role.VIEWER))]
Collector = Annotated[Actor, Depends(Needs(Role.COLLECTOR))]
Supervisor = Annotated[Actor, Depends(Needs(Role.SUPERVISOR))]
Admin = Annotated[Actor, Depends(Needs(Role.ADMIN))]


def client_of(request: Request) -> str:
    """The address that asks: behind a proxy that is trusted (EWS_API_PROXIES), the one that it names."""
    return request.client.host if request.client else "unknown"
