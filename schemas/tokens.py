"""Borrower tokens: pseudonyms made of natural ids by a keyed hash. Producers that share a key make the same tokens.

    token = "b" + version + "-" + first 32 hex digits of HMAC-SHA-256(key, kind + ":" + natural id)

Without the key nobody finds the way back, or guesses it by trying all customer numbers. The kind keeps a phone number
from having the token of a customer number that reads the same. The version says which key was used: another key makes
other tokens, so a person would begin anew; docs/producers.md has how to rotate.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from typing import NamedTuple

BORROWER = "borrower"
KEY_BYTES_MIN = 32
TOKEN_HEX = 32
_KEY = re.compile(r"([0-9]{1,3}):((?:[0-9a-fA-F]{2})+)")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")
_PREFIXES = {BORROWER: "b"}


class TokenKey(NamedTuple):
    """One key with its version. Its text shows no key."""

    version: int
    secret: bytes

    def __repr__(self) -> str:
        """The version alone."""
        return f"TokenKey(version={self.version})"


def parse_keys(text: str) -> tuple[TokenKey, ...]:
    """The keys of `VERSION:HEX`, several separated by commas, the newest first. Raises ValueError, quoting none."""
    keys = []
    for number, part in enumerate(text.split(","), start=1):
        match = _KEY.fullmatch(part.strip())
        if match is None:
            raise ValueError(
                f"key {number} is not in the form VERSION:HEX, such as 1:0f3a... (`ews tokens key` makes one)"
            )
        key = TokenKey(int(match[1]), bytes.fromhex(match[2]))
        if len(key.secret) < KEY_BYTES_MIN:
            raise ValueError(f"key {number} has {len(key.secret)} bytes, fewer than {KEY_BYTES_MIN}")
        keys.append(key)
    if len({key.version for key in keys}) < len(keys):
        raise ValueError("two keys have the same version")
    return tuple(keys)


def token(natural_id: str, key: TokenKey, kind: str = BORROWER) -> str:
    """The token of a natural id: the same for the same person in every system that has the key.

    Blanks around it and the ways to write one character (Unicode NFC) make no difference; case does. Raises ValueError.
    """
    if not _KIND.fullmatch(kind):
        raise ValueError("a kind is a short lower-case word, such as borrower, phone or employer")
    natural = unicodedata.normalize("NFC", natural_id.strip())
    if not natural:
        raise ValueError("a natural id cannot be empty")
    digest = hmac.new(key.secret, f"{kind}:{natural}".encode(), hashlib.sha256).hexdigest()
    return f"{_PREFIXES.get(kind, kind[0])}{key.version}-{digest[:TOKEN_HEX]}"


def version_of(made: str) -> int | None:
    """The version of the key that a token was made with; None for a token that was made otherwise."""
    match = re.fullmatch(rf"[a-z]([0-9]{{1,3}})-[0-9a-f]{{{TOKEN_HEX}}}", made)
    return None if match is None else int(match[1])
