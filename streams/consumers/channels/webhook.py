"""The webhook: an HTTPS POST signed by Standard Webhooks. The idempotency key is the `webhook-id`.

Answers: 2xx is delivered; 408, 425, 429 and 5xx, a time-out or no connection is Unavailable; everything else, redirects
too, is Rejected. The answer's body is not read into logs or records: it is the other side's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from streams import clock
from streams.errors import Misconfigured, Rejected, Unavailable

if TYPE_CHECKING:
    from pydantic import SecretStr

SECONDS_MAX = 10.0
AGAIN = frozenset({408, 425, 429})
"""Refusals that pass: too slow, too early, too many."""
SERVER_FAULT = 500


class SignedWebhook:
    """One URL that gets every staff message."""

    name = "webhook"
    audience = "staff"

    def __init__(self, url: str, secret: SecretStr) -> None:
        self._url = url
        self._webhook = _webhook(secret)
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Open the connection pool."""
        self._client = httpx.AsyncClient(timeout=SECONDS_MAX, follow_redirects=False)

    async def send(self, key: str, body: str) -> None:
        """Post the message. Raises Unavailable or Rejected."""
        assert self._client is not None, "not started"
        try:
            answer = await self._client.post(self._url, content=body.encode(), headers=self._headers(key, body))
        except httpx.TransportError as fault:
            raise Unavailable(f"the webhook does not answer ({type(fault).__name__})") from fault
        if answer.is_success:
            return
        if answer.status_code in AGAIN or answer.status_code >= SERVER_FAULT:
            raise Unavailable(f"the webhook answers {answer.status_code}")
        raise Rejected(f"the webhook answers {answer.status_code}")

    async def stop(self) -> None:
        """Close the connection pool."""
        if self._client is not None:
            await self._client.aclose()

    def _headers(self, key: str, body: str) -> dict[str, str]:
        now = clock.now()
        return {
            "content-type": "application/json",
            "user-agent": "ews-notifier",
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(key, now, body),
        }


def _webhook(secret: SecretStr) -> Webhook:
    try:
        return Webhook(secret.get_secret_value())
    except (ValueError, EmptyWebhookSecretError) as fault:
        raise Misconfigured("EWS_WEBHOOK_SECRET must be whsec_ and a base64 text") from fault
