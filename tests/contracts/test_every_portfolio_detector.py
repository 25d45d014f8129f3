"""What every detector of cohorts and links must keep to, beside what every detector keeps to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.portfolio import BUCKETS
from streams.bootstrap.policy import load_detectors
from streams.engine.calendar import date_of, day_of
from streams.engine.policy import Policy
from streams.engine.portfolio.cohort import CohortView, MonthEnd
from streams.engine.portfolio.detector import CohortDetector, LinkDetector, PortfolioDetector
from streams.engine.portfolio.judging import rules_of
from streams.engine.portfolio.link import LinkView

if TYPE_CHECKING:
    from streams.engine.detector import Finding

FOUND = [detector for detector in load_detectors(Policy()) if isinstance(detector, PortfolioDetector)]
COHORTS = [detector for detector in FOUND if isinstance(detector, CohortDetector)]
LINKS = [detector for detector in FOUND if isinstance(detector, LinkDetector)]
DAY = day_of(date_of(20_300).replace(day=17))
of_cohorts = pytest.mark.parametrize("detector", COHORTS, ids=[detector.key for detector in COHORTS])
of_links = pytest.mark.parametrize("detector", LINKS, ids=[detector.key for detector in LINKS])

numbers = st.lists(st.integers(0, 400), min_size=BUCKETS, max_size=BUCKETS)


@st.composite
def cohorts(draw: st.DrawFn) -> CohortView:
    """A cohort of any size, with the ends of some months before and a history of any length."""
    months, day = [], DAY
    for _ in range(draw(st.integers(0, 8))):
        day = day_of(date_of(day).replace(day=1)) - 1
        loans = draw(numbers)
        months.insert(0, MonthEnd(day, [number * draw(st.integers(1, 9)) for number in loans], loans))
    loans = draw(numbers)
    rates = draw(st.lists(st.floats(0, 1), max_size=120))
    return CohortView("product:cash:CNY", DAY, [number * 1_000 for number in loans], loans, rates, months)


links = st.builds(
    LinkView,
    st.sampled_from(["phone:p", "device:d", "employer:e", "guarantor:g", "pet:x"]),
    st.just(DAY),
    st.dictionaries(st.sampled_from([f"b-{n}" for n in range(15)]), st.integers(0, BUCKETS - 1)),
)


def test_there_are_the_four_of_the_catalogue() -> None:
    """Three of cohorts and one of links, and the second hop gets them all."""
    assert {"cohort_overdue_rate", "cohort_roll_rate", "cohort_drift"} == {d.key for d in COHORTS}
    assert {"shared_contact"} == {d.key for d in LINKS}
    rules = rules_of("1", FOUND)
    assert (COHORTS, LINKS) == (rules.cohorts, rules.links)


def check(finding: Finding) -> None:
    """Every finding explains itself."""
    assert finding.step >= 1
    assert finding.onset is None
    assert finding.reason.endswith(".")
    assert any(measure.threshold is not None for measure in finding.measures)


@of_cohorts
@given(view=cohorts())
def test_of_any_cohort_it_says_at_most_one_thing_and_the_same_again(detector: CohortDetector, view: CohortView) -> None:
    """One episode for each cohort, with measures and their thresholds; asked twice the same."""
    said = list(detector.judge_cohort(view))
    assert said == list(detector.judge_cohort(view))
    assert len(said) <= 1
    for finding in said:
        assert not finding.loan
        check(finding)


@of_cohorts
def test_of_an_empty_cohort_it_says_nothing(detector: CohortDetector) -> None:
    """No loans, no rate."""
    assert [] == list(detector.judge_cohort(CohortView("c", DAY, [0] * BUCKETS, [0] * BUCKETS, [], [])))


@of_links
@given(view=links)
def test_of_any_link_it_speaks_of_members_alone(detector: LinkDetector, view: LinkView) -> None:
    """Each finding is about a borrower behind the link, is kept under the link's name, and is said again."""
    said: list[Any] = list(detector.judge_link(view))
    assert said == list(detector.judge_link(view))
    assert len({borrower for borrower, _ in said}) == len(said)
    for borrower, finding in said:
        assert borrower in view.members
        assert view.name == finding.loan
        check(finding)
