"""The webhook: an HTTPS POST signed by Standard Webhooks. The idempotency key is the `webhook-id`.

Answers: 2xx is delivered; 408, 425, 429 and 5xx, a time-out or no connection is Unavailable; everything else, redirects
too, is Rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from streams import clock
from streams.consumers.channels.answers import check_again
from streams.consumers.channels.channel import STAFF
from streams.errors import Misconfigured, Rejected, Unavailable

if TYPE_CHECKING:
    from pydantic import SecretStr

    from streams.consumers.channels.channel import Parcel

SECONDS_MAX = 10.0


class SignedWebhook:
    """One URL that gets every staff message."""

    name = "webhook"
    audience = STAFF

    def __init__(self, url: str, secret: SecretStr) -> None:
        self._url = url
        self._webhook = _webhook(secret)
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Open the connection pool."""
        self._client = httpx.AsyncClient(timeout=SECONDS_MAX, follow_redirects=False)

    async def send(self, parcel: Parcel) -> None:
        """Post the message. Raises Unavailable or Rejected."""
        assert self._client is not None, "not started"
        headers = self._headers(parcel.key, parcel.body) | parcel.trace
        try:
            answer = await self._client.post(self._url, content=parcel.body.encode(), headers=headers)
        except httpx.RequestError as fault:  # No connection, or an answer that cannot be read.
            raise Unavailable(f"the webhook does not answer ({type(fault).__name__})") from fault
        if answer.is_success:
            return
        check_again(answer, "the webhook")
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
