"""Chat and e-mail for staff through Apprise, which speaks to a hundred services.

At least once, and no better: most of these services know no idempotency key, so a crash between sending and recording
tells staff the same twice. Apprise says only whether it worked, so whatever fails is tried again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import apprise
import orjson

from streams.consumers.channels.channel import STAFF
from streams.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from pydantic import SecretStr

    from streams.consumers.channels.channel import Parcel

NAME_LENGTH_MAX = 32


class Chat:
    """One service that gets every staff message. Its URL is a secret, so it is called by its kind and number."""

    audience = STAFF

    def __init__(self, url: str, number: int) -> None:
        # Nothing is kept on disk, and a text is a text: no file paths, no emojis, no escapes.
        asset = apprise.AppriseAsset(storage_mode="memory", interpret_escapes=False, interpret_emojis=False)
        self._service = apprise.Apprise(asset=asset)
        if not self._service.add(url):
            raise Misconfigured(
                f"EWS_STAFF_URLS: URL {number} is none that Apprise knows, such as slack://... or mailto://..."
            )
        self.name = f"{url.partition(':')[0].lower()}-{number}"[:NAME_LENGTH_MAX]

    async def start(self) -> None:
        """Silence Apprise's own log: it names URLs and what was said."""
        logging.getLogger("apprise").disabled = True

    async def send(self, parcel: Parcel) -> None:
        """Say it. Raises Unavailable."""
        text = orjson.loads(parcel.body)["text"]
        if not await self._service.async_notify(body=text, body_format=apprise.NotifyFormat.TEXT):
            raise Unavailable(f"{self.name} did not take the message")

    async def stop(self) -> None:
        """Nothing to close."""


def chats(urls: SecretStr) -> list[Chat]:
    """A channel for each URL, so that one that is away repeats nothing on the others. Raises Misconfigured."""
    return [Chat(url, number) for number, url in enumerate(urls.get_secret_value().split(), start=1)]
