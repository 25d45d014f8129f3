"""The keys that borrower tokens are made with, out of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.tokens import parse_keys
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from schemas.tokens import TokenKey
    from streams.settings import Settings


def token_key(settings: Settings, version: int | None = None) -> TokenKey | None:
    """The newest key, or the one of a version; None if there are none. Raises Misconfigured."""
    if settings.token_keys is None:
        return None
    try:
        keys = parse_keys(settings.token_keys.get_secret_value())
    except ValueError as wrong:
        raise Misconfigured(f"EWS_TOKEN_KEYS: {wrong}") from None
    if version is None:
        return keys[0]
    for key in keys:
        if key.version == version:
            return key
    raise Misconfigured(
        f"EWS_TOKEN_KEYS has no key of version {version}; it has {', '.join(str(k.version) for k in keys)}"
    )
