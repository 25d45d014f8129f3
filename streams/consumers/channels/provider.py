"""Providers of text messages and push messages, and the dialler: one JSON object posted for each message.

    POST <url>
    Authorization: Bearer <EWS_PROVIDER_TOKEN>
    Idempotency-Key: <key>                         # the same message has the same key, for ever
    {"reference": "<key>", "to": "...", "text": "...", "language": "zh", "send_before": "2026-03-02T19:00:00+00:00"}

A push has `title` and `text`, a job for the dialler `opening` (said to whoever answers), `text` (said to the borrower
alone) and `attempts_max` 1. Exactly once is the provider's: it drops a key that it knows, or answers 409.

Answers: 2xx and 409 are delivered; 408, 425, 429, 5xx, a time-out or no connection is tried again, not before
`Retry-After`. So are redirects, 401, 403, 404, 405: they say that our address or token is wrong, not the borrower's.
Every other 4xx is Rejected: the message cannot be delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from streams.casework.contact import Channel
from streams.consumers.channels.answers import check_again
from streams.consumers.channels.channel import BORROWER
from streams.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from pydantic import SecretStr

    from streams.consumers.channels.channel import Parcel

SECONDS_MAX = 10.0
KNOWN = 409
"""The provider has this key already."""
OUR_FAULT = frozenset({300, 301, 302, 303, 304, 307, 308, 401, 403, 404, 405})
DIALS_MAX = 1
"""A job is one call: a further one would be a contact that no rule was asked about."""


class Provider:
    """A provider of one channel."""

    audience = BORROWER

    def __init__(self, channel: Channel, url: str, token: SecretStr) -> None:
        self.name = channel.value
        self._channel = channel
        self._url = url
        self._token = token
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Open the connection pool."""
        self._client = httpx.AsyncClient(timeout=SECONDS_MAX, follow_redirects=False)

    async def send(self, parcel: Parcel) -> None:
        """Post the message. Raises Unavailable or Rejected."""
        assert self._client is not None, "not started"
        headers = {
            "authorization": f"Bearer {self._token.get_secret_value()}",
            "idempotency-key": parcel.key,
            "user-agent": "ews-notifier",
        } | parcel.trace
        try:
            answer = await self._client.post(self._url, json=self._body(parcel), headers=headers)
        except httpx.RequestError as fault:  # No connection, or an answer that cannot be read.
            raise Unavailable(f"the provider of {self.name} does not answer ({type(fault).__name__})") from None
        if answer.is_success or answer.status_code == KNOWN:
            return
        check_again(answer, f"the provider of {self.name}")
        if answer.status_code in OUR_FAULT:
            raise Unavailable(
                f"the provider of {self.name} answers {answer.status_code}: look at its URL and EWS_PROVIDER_TOKEN"
            )
        raise Rejected(f"the provider of {self.name} answers {answer.status_code}")

    async def stop(self) -> None:
        """Close the connection pool."""
        if self._client is not None:
            await self._client.aclose()

    def _body(self, parcel: Parcel) -> dict[str, Any]:
        body: dict[str, Any] = {
            "reference": parcel.key,
            "to": parcel.to,
            "text": parcel.body,
            "language": parcel.language,
            "send_before": parcel.until.isoformat() if parcel.until else None,
        }
        if self._channel is Channel.PUSH:
            body["title"] = parcel.title
        if self._channel is Channel.CALL:
            body |= {"opening": parcel.title, "attempts_max": DIALS_MAX}
        return body
