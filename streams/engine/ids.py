"""The memory of event ids: for 35 days, or the last 512 of a borrower, in nine bytes each.

Three columns of bytes, oldest first: 48 bits of the id's hash, 16 bits of the content's, the day. They are searched and
cut as they are kept, so that to read and write them costs nothing. Two ids of one borrower have the same 48 bits once
in some 10^12 events; the later one is then a dead letter (`id_conflict`), or taken for a repetition once in 10^17.
"""

from __future__ import annotations

import msgspec

from streams.engine.calendar import DAY_MS

SEEN_DAYS = 35
SEEN_MAX = 512
_BACK_DAYS = 7  # The records of several topics need not come in the order of their times.
_DAY_MASK = 63
_KEY_BYTES, _CONTENT_BYTES = 6, 2
_KEY_MASK, _CONTENT_MASK = (1 << 8 * _KEY_BYTES) - 1, (1 << 8 * _CONTENT_BYTES) - 1


class Ids(msgspec.Struct, array_like=True, gc=False):
    """The ids that were seen, and how many young ones had to go because there were too many."""

    keys: bytes = b""
    contents: bytes = b""
    days: bytes = b""
    """The low bits of the day on which each came."""
    overflow: int = 0

    def __len__(self) -> int:
        return len(self.days)

    def recall(self, key: int, content: int) -> bool | None:
        """None if the id is new, True if it was seen with this content, False if with another one."""
        part = (key & _KEY_MASK).to_bytes(_KEY_BYTES, "big")
        at = self.keys.find(part)
        while at >= 0 and at % _KEY_BYTES:  # The end of one and the beginning of the next are no id.
            at = self.keys.find(part, at + 1)
        if at < 0:
            return None
        start = at // _KEY_BYTES * _CONTENT_BYTES
        return self.contents[start : start + _CONTENT_BYTES] == _content(content)

    def remember(self, key: int, content: int, now_ms: int) -> None:
        """Keep an id, and let go of those that are too old or too many."""
        today = now_ms // DAY_MS
        gone = 0
        for day in self.days:
            is_young = (today - day + _BACK_DAYS) & _DAY_MASK <= SEEN_DAYS + _BACK_DAYS
            if is_young and len(self.days) - gone < SEEN_MAX:
                break
            self.overflow += is_young
            gone += 1
        self.keys = self.keys[gone * _KEY_BYTES :] + (key & _KEY_MASK).to_bytes(_KEY_BYTES, "big")
        self.contents = self.contents[gone * _CONTENT_BYTES :] + _content(content)
        self.days = self.days[gone:] + bytes((today & _DAY_MASK,))


def _content(content: int) -> bytes:
    return (content & _CONTENT_MASK).to_bytes(_CONTENT_BYTES, "big")
