"""Addresses at rest: encrypted by Fernet (AES-128-CBC with HMAC-SHA-256), bound to the row that they are in.

Fernet takes no associated data, so borrower, channel and address id stand inside the encrypted text and are compared
when it is read: a ciphertext that was moved to another row is found. Of several keys the first encrypts, all decrypt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from streams.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    from streams.stores.contact import Channel

SETTING = "EWS_CONTACTS_KEY"
SEALED = b"ews contact store"


class AddressUnreadable(Rejected):
    """A stored address is not as this program wrote it. It says which row, never what is in it."""


class Place(NamedTuple):
    """The row that an address belongs to."""

    borrower: str
    channel: Channel
    address_id: str


class AddressCipher:
    """Encrypts and decrypts addresses. Its keys are in no representation and no error."""

    def __init__(self, keys: str) -> None:
        """Keys separated by commas, the newest first. Raises Misconfigured."""
        self._fernet = MultiFernet([_key(text, number) for number, text in enumerate(_parts(keys), start=1)])

    def __repr__(self) -> str:
        return "AddressCipher()"

    def seal(self, place: Place, address: str) -> str:
        """An address as it may be stored at this place."""
        return self._fernet.encrypt(orjson.dumps([*place, address])).decode()

    def open(self, place: Place, ciphertext: str) -> str:
        """The address that was stored at this place. Raises AddressUnreadable."""
        whose, channel, address_id, address = _fields(self._decrypted(ciphertext, place))
        if (whose, channel, address_id) != tuple(place):
            raise AddressUnreadable(
                f"the address {place.address_id} holds what was written for another row: "
                "restore the contact store from a backup"
            )
        return address

    def rotate(self, place: Place, ciphertext: str) -> str:
        """The same address under the newest key. Raises AddressUnreadable."""
        return self.seal(place, self.open(place, ciphertext))

    def mark(self) -> str:
        """A text by which the key is known again."""
        return self._fernet.encrypt(SEALED).decode()

    def knows(self, mark: str) -> bool:
        """Whether one of the keys made this mark."""
        try:
            return self._fernet.decrypt(mark) == SEALED
        except InvalidToken:
            return False

    def _decrypted(self, ciphertext: str, place: Place) -> bytes:
        try:
            return self._fernet.decrypt(ciphertext)
        except InvalidToken:
            raise AddressUnreadable(
                f"the address {place.address_id} cannot be decrypted: it was changed, or written with a key that "
                f"{SETTING} no longer holds"
            ) from None


def new_key() -> str:
    """A key, drawn by the operating system."""
    return Fernet.generate_key().decode()


def _parts(keys: str) -> list[str]:
    parts = [part.strip() for part in keys.split(",") if part.strip()]
    if not parts:
        raise Misconfigured(f"{SETTING} is empty: make a key with `ews contacts key`")
    return parts


def _key(text: str, number: int) -> Fernet:
    try:
        return Fernet(text)
    except ValueError:
        raise Misconfigured(
            f"key {number} of {SETTING} is none (32 bytes in URL-safe base64): make one with `ews contacts key`"
        ) from None


def _fields(plain: bytes) -> tuple[str, str, str, str]:
    whose, channel, address_id, address = orjson.loads(plain)
    return whose, channel, address_id, address
