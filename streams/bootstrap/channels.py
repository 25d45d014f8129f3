"""Which channels are set up. Every mistake is told at the start, in one line that names the setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.casework.contact import Channel as Way
from streams.consumers.channels.chat import chats
from streams.consumers.channels.mail import Mail
from streams.consumers.channels.outbox import FileOutbox
from streams.consumers.channels.provider import Provider
from streams.consumers.channels.webhook import SignedWebhook
from streams.errors import Misconfigured
from streams.settings import variable

if TYPE_CHECKING:
    from streams.consumers.channels.channel import Channel
    from streams.settings import Settings

BY_PROVIDER = {Way.SMS: "sms_url", Way.PUSH: "push_url", Way.CALL: "call_url"}
"""The setting with the provider's URL."""


def staff_channels(settings: Settings) -> list[Channel]:
    """The channels to staff. Raises Misconfigured for one that can never work."""
    channels: list[Channel] = []
    if settings.outbox_dir is not None:
        channels.append(FileOutbox(settings.outbox_dir))
    if settings.webhook_url is not None and settings.webhook_secret is not None:
        channels.append(SignedWebhook(settings.webhook_url, settings.webhook_secret))
    if settings.staff_urls is not None:
        channels += chats(settings.staff_urls)
    return channels


def ways_to_borrowers(settings: Settings) -> tuple[Way, ...]:
    """The borrower channels that are switched on."""
    return tuple(dict.fromkeys(Way(name) for name in settings.borrower_channels.split(",") if name))


def borrower_channels(settings: Settings) -> list[Channel]:
    """The channels to borrowers. Raises Misconfigured for one that lacks its setting."""
    ways = ways_to_borrowers(settings)
    if ways and settings.contacts_key is None:
        raise Misconfigured(
            "EWS_BORROWER_CHANNELS needs EWS_CONTACTS_KEY: addresses are encrypted (`ews contacts key` makes one)"
        )
    return [_mail(settings) if way is Way.EMAIL else _provider(settings, way) for way in ways]


def all_channels(settings: Settings) -> list[Channel]:
    """Every channel. Raises Misconfigured if there is none: alerts would go nowhere."""
    channels = [*staff_channels(settings), *borrower_channels(settings)]
    if not channels:
        raise Misconfigured(
            "the notifier has no channel: set EWS_OUTBOX_DIR, EWS_STAFF_URLS, or EWS_WEBHOOK_URL and EWS_WEBHOOK_SECRET"
        )
    return channels


def _provider(settings: Settings, way: Way) -> Provider:
    url = getattr(settings, BY_PROVIDER[way])
    if url is None:
        raise Misconfigured(f"EWS_BORROWER_CHANNELS has {way}, which needs {variable(BY_PROVIDER[way])}")
    if settings.provider_token is None:
        raise Misconfigured(f"EWS_BORROWER_CHANNELS has {way}, which needs EWS_PROVIDER_TOKEN")
    return Provider(way, url, settings.provider_token)


def _mail(settings: Settings) -> Mail:
    if settings.smtp_url is None or settings.smtp_from is None:
        missing = "EWS_SMTP_URL" if settings.smtp_url is None else "EWS_SMTP_FROM"
        raise Misconfigured(f"EWS_BORROWER_CHANNELS has email, which needs {missing}")
    return Mail(settings.smtp_url, settings.smtp_from)
