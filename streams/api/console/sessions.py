"""Signing in with an API key, the session's cookie, and that a form comes from a page of ours.

The cookie is HttpOnly, SameSite=Strict, and Secure where the page came by https. A form carries the session's secret;
that of the sign-in page, where there is no session yet, carries the value of a cookie of its own.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from streams.api.auth import client_of
from streams.api.console.room import ROOT, SESSION_LASTS, Room, Session, link, room_of
from streams.api.problems import TRACE
from streams.casework.roles import Role
from streams.errors import NotAllowed, Rejected
from streams.stores.accounts import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

router = APIRouter()
SESSION, PRE_SESSION = "ews_session", "ews_sign_in"
FORM_BYTES_MAX = 32_768
"""The longest note, every character of it written as twelve bytes, and room for the rest."""
FIELDS_MAX = 100
SEE_OTHER = 303


class SignInFirst(Exception):  # noqa: N818 - named for what is to be done
    """Nobody is signed in."""


class TooLarge(Rejected):
    """A form that no page of ours sends."""


def signed_in(request: Request) -> Session:
    """Who asks. Raises SignInFirst."""
    token = request.cookies.get(SESSION, "")
    room = room_of(request)
    found = room.accounts.session(token, at=room.wall()) if token else None
    if found is None:
        raise SignInFirst
    _known(request, found[0].account)
    room.limits.spend(found[0].account)
    return Session(*found, token)


def _known(request: Request, account: str) -> None:
    """Let the line of the log name the account, as for the API."""
    trace = request.scope.get(TRACE)
    if trace is not None:
        trace.account = account


async def typed(request: Request) -> dict[str, str]:
    """The fields of a form, as text. Raises TooLarge or Rejected."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES_MAX:
            raise TooLarge(f"a form may have up to {FORM_BYTES_MAX:,} bytes: write less")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError:
        raise Rejected("this was sent by no form of the console: go back and try again") from None
    # Browsers send line breaks as two characters.
    return {name: value.replace("\r\n", "\n") for name, value in fields}


Who = Annotated[Session, Depends(signed_in)]
Typed = Annotated[dict[str, str], Depends(typed)]
Within = Annotated[Room, Depends(room_of)]


def ours(request: Request, who: Who, fields: Typed) -> dict[str, str]:
    """The fields of a form that carries the session's secret. Raises NotAllowed."""
    _same_origin(request)
    _match(fields, who.csrf)
    return {name: value for name, value in fields.items() if name != "csrf"}


Ours = Annotated[dict[str, str], Depends(ours)]


def _match(fields: Mapping[str, str], secret: str) -> None:
    if not secret or not hmac.compare_digest(fields.get("csrf", "").encode(), secret.encode()):
        raise NotAllowed("this form is not from your present session: go back, load the page again, and send it anew")


def _same_origin(request: Request) -> None:
    """Browsers say where a form was sent from; where one does not, its secret alone decides."""
    origin = request.headers.get("origin")
    if origin and origin != "null" and urlsplit(origin).netloc != request.headers.get("host"):
        raise NotAllowed("this form was sent from another site")


@router.get("/sign-in")
def sign_in_page(request: Request, room: Within) -> Response:
    """The page that asks for the key."""
    return _asked(request, room)


def _asked(request: Request, room: Room, fault: str = "", status: int = 200, then: str = "") -> Response:
    secret = request.cookies.get(PRE_SESSION) or secrets.token_urlsafe(32)
    then = then or request.query_params.get("then", "")
    page = room.page("sign_in", status=status, fault=fault, secret=secret, then=_inside(then))
    page.set_cookie(PRE_SESSION, secret, path=ROOT, httponly=True, samesite="strict", secure=_secure(request))
    return page


@router.post("/sign-in")
def sign_in(request: Request, room: Within, fields: Typed) -> Response:
    """Let somebody in by their key."""
    _same_origin(request)
    _match(fields, request.cookies.get(PRE_SESSION, ""))
    room.limits.check(client_of(request))
    then = _inside(fields.get("then", ""))
    actor = room.accounts.by_key(fields.get("key", "").strip())
    if actor is None or not actor.role.reaches(Role.VIEWER):
        room.limits.failed(client_of(request))
        fault = f"No account has this key. A key begins with {PREFIX} and is shown once, when it is made."
        return _asked(request, room, fault, 401, then)
    token = room.accounts.open_session(actor.account, at=room.wall(), lasts=SESSION_LASTS)
    answer = RedirectResponse(then or link("inbox"), SEE_OTHER)
    answer.set_cookie(
        SESSION, token, path=ROOT, httponly=True, samesite="strict", secure=_secure(request),
        max_age=int(SESSION_LASTS.total_seconds()),
    )  # fmt: skip
    answer.delete_cookie(PRE_SESSION, path=ROOT)
    return answer


@router.post("/sign-out")
def sign_out(room: Within, who: Who, _fields: Ours) -> Response:
    """End the session."""
    room.accounts.close_session(who.token)
    answer = RedirectResponse(link("sign-in"), SEE_OTHER)
    answer.delete_cookie(SESSION, path=ROOT)
    return answer


def _inside(then: str) -> str:
    """Where to go after signing in: a page of ours, or nowhere."""
    parts = urlsplit(then)
    fine = then.startswith(f"{ROOT}/") and not parts.scheme and not parts.netloc and "\\" not in then
    return then if fine and then.isprintable() else ""


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"
