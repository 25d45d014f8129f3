"""How many parts a text message takes: the alphabet of GSM 03.38, else UCS-2. Several parts have room for their header.

Source: 3GPP TS 23.038 section 6.2.1 (alphabet), TS 23.040 section 9.2.3.24 (parts).
"""

from __future__ import annotations

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")
"""Each takes the room of two."""
GSM_ALONE, GSM_EACH = 160, 153
UCS_ALONE, UCS_EACH = 70, 67


def segments(text: str) -> int:
    """The number of parts, at least one."""
    if all(letter in _BASIC or letter in _EXTENDED for letter in text):
        length = len(text) + sum(letter in _EXTENDED for letter in text)
        alone, each = GSM_ALONE, GSM_EACH
    else:
        length = len(text.encode("utf-16-be")) // 2
        alone, each = UCS_ALONE, UCS_EACH
    return 1 if length <= alone else -(-length // each)
