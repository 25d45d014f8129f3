"""The limit of dead letters: past it the fault is ours or the producer's, and the worker must stop."""

from __future__ import annotations

import msgspec

from streams.errors import DeadLetterLimit

IN_A_ROW_MAX = 500
RECENT = 1_000
RECENT_MAX = RECENT // 2
_MASK = (1 << RECENT) - 1


class Tally(msgspec.Struct, array_like=True):
    """How many of the last records of a topic's partition were dead letters."""

    in_a_row: int = 0
    recent: bytes = b""

    def good(self) -> None:
        """A record was applied."""
        self.in_a_row = 0
        if self.recent:
            self._push(0)

    def bad(self, topic: str, partition: int, *, limited: bool) -> None:
        """A record was a dead letter. Raises DeadLetterLimit, unless somebody decided to let them pass.

        Then it begins to count anew: that the limit is on again later must not stop a worker at the next one.
        """
        self.in_a_row += 1
        count = self._push(1)
        if self.in_a_row < IN_A_ROW_MAX and count <= RECENT_MAX:
            return
        if not limited:
            self.in_a_row, self.recent = 0, b""
            return
        if self.in_a_row >= IN_A_ROW_MAX:
            raise DeadLetterLimit(topic, partition, f"{self.in_a_row} dead letters in a row")
        raise DeadLetterLimit(topic, partition, f"{count} of the last {RECENT} records were dead letters")

    def _push(self, bit: int) -> int:
        bits = (int.from_bytes(self.recent, "big") << 1 | bit) & _MASK
        self.recent = bits.to_bytes((bits.bit_length() + 7) // 8, "big")
        return bits.bit_count()
