"""Classes that rules give a loan by its days past due alone. Facts beside an alert, never the accounting itself.

The backstops of IFRS 9 are where the standard presumes a significant increase in credit risk (more than 30 days past
due, 5.5.11) and default (90 days, B5.5.37): a lender's stage may be worse for other reasons. The ladders of China
(cards) and India (special mention accounts) are those of docs/promises.md.
"""

from __future__ import annotations

from bisect import bisect_left

BACKSTOP_STAGE_2, BACKSTOP_STAGE_3 = 30, 90
_CHINA_UPTO = (0, 90, 120, 180)
_CHINA = (None, "special mention", "substandard", "doubtful", "loss")
_INDIA_UPTO = (0, 30, 60, 90)
_INDIA = (None, "SMA-0", "SMA-1", "SMA-2", None)


def classified(days: int) -> dict[str, str | None]:
    """The classes of so many days past due, by the name of their field in an alert; None where there is none."""
    backstop = "stage 3" if days >= BACKSTOP_STAGE_3 else "stage 2" if days > BACKSTOP_STAGE_2 else None
    return {
        "ifrs9_backstop": backstop,
        "china_card": _CHINA[bisect_left(_CHINA_UPTO, days)],
        "india_sma": _INDIA[bisect_left(_INDIA_UPTO, days)],
    }
