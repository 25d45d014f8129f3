"""Borrowers behind one link.

phone:p --- b-1  M0          <- is told of, since
`-- b-2  M2 (31+)       this one is in trouble
"""

from __future__ import annotations

import pytest

from schemas.alerts import Severity
from streams.detectors.shared_contact import SharedContact
from streams.engine.portfolio.link import LinkView

DETECTOR = SharedContact()


def said(*buckets: int, kind: str = "phone", detector: SharedContact = DETECTOR) -> dict[str, tuple[Severity, int]]:
    """Of whom something is said, with severity and step; the borrowers are b-1, b-2 ..."""
    members = {f"b-{number}": bucket for number, bucket in enumerate(buckets, 1)}
    found = detector.judge_link(LinkView(f"{kind}:x", 20_000, members))
    return {borrower: (finding.severity, finding.step) for borrower, finding in found}


def test_the_other_is_told_of() -> None:
    """One beyond 30 days past due: the alert is about the one who shares, not about that one."""
    assert {"b-1": (Severity.WATCH, 1)} == said(0, 2)
    assert {"b-1": (Severity.WATCH, 1), "b-2": (Severity.WATCH, 1)} == said(2, 2)


def test_thirty_days_are_not_beyond_thirty() -> None:
    """M1 is 1 to 30 days; a policy may count it."""
    assert {} == said(0, 1)
    assert {"b-1": (Severity.WATCH, 1)} == said(0, 1, detector=SharedContact(from_bucket=1))


def test_three_in_trouble_are_high() -> None:
    """The step is how many others there are."""
    assert [(Severity.WATCH, 2), (Severity.HIGH, 3)] == [said(0, 2, 3)["b-1"], said(0, 2, 2, 6)["b-1"]]


def test_what_many_share_says_nothing() -> None:
    """Ten share, and all nine others hear of it; eleven do not."""
    assert 9 == len(said(*[0] * 9, 2))
    assert {} == said(*[0] * 10, 2)


def test_only_the_kinds_that_are_asked_for_count() -> None:
    """An employer may be left out."""
    assert {} == said(0, 2, kind="employer", detector=SharedContact(kinds=("phone",)))


def test_the_reason_names_the_kind_and_nobody() -> None:
    """Who reads it learns nothing about the other borrower."""
    [(_, finding)] = DETECTOR.judge_link(LinkView("employer:e", 20_000, {"b-1": 0, "b-2": 3}))
    assert "Shares an employer with 1 of more than 30 days past due." == finding.reason
    assert not any("b-2" in str(measure.value) for measure in finding.measures)


@pytest.mark.parametrize(("others", "severity"), [(1, "info"), (2, "info"), (3, "watch"), (4, "watch")])
def test_colleagues_in_trouble_say_less_than_a_household(others: int, severity: str) -> None:
    """One or two of an employer's people are only noted; three look like a lay-off."""
    members = {"b-0": 0} | {f"b-{n}": 3 for n in range(1, others + 1)}
    findings = dict(DETECTOR.judge_link(LinkView("employer:e", 20_000, members)))
    assert severity == findings["b-0"].severity.value
