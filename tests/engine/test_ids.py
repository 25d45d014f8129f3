"""The memory of ids against the simplest thing that could hold them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.calendar import DAY_MS
from streams.engine.ids import SEEN_DAYS, SEEN_MAX, Ids

IDS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 256, 1 << 40, (1 << 48) - 1])


@settings(deadline=None)
@given(st.lists(st.tuples(IDS, st.integers(0, 3), st.integers(0, 2)), max_size=60))
def test_ids_are_told_apart_like_in_a_map(arrivals: list[tuple[int, int, int]]) -> None:
    """New, seen with this content, or seen with another one: the same answer as a map from ids would give."""
    ids, known, today = Ids(), dict[int, tuple[int, int]](), 20_000
    for key, content, days in arrivals:
        today += days
        short = key % 2**48
        said = None if short not in known else known[short][0] == content
        assert said == ids.recall(key, content)
        if said is None:
            ids.remember(key, content, today * DAY_MS)
            known[short] = content, today
        oldest = {short: kept for short, kept in known.items() if today - kept[1] <= SEEN_DAYS}
        known = oldest if said is None else known
    assert len(known) == len(ids)


def test_two_ids_side_by_side_are_not_read_as_a_third() -> None:
    """A hash that lies across two neighbours is new."""
    ids = Ids()
    ids.remember(0x111111222222, 1, 0)
    ids.remember(0x333333444444, 1, 0)
    assert ids.recall(0x222222333333, 1) is None
    assert ids.recall(0x333333444444, 1) is True


def test_nine_bytes_an_id() -> None:
    """What the arithmetic of docs/scale.md counts with."""
    ids = Ids()
    for key in range(SEEN_MAX):
        ids.remember(key, 1, 0)
    assert 9 * SEEN_MAX == len(ids.keys) + len(ids.contents) + len(ids.days)
