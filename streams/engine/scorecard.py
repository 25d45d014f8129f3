"""The scorecard: from what is known of a borrower to points of risk, a tier, a stance and a share that may come back.

Points add up, and more points are more risk, so that each of them can be shown to the person who asks why. They come
from the open episodes, by detector and severity, and from characteristics (numbers of the borrower's past) in bands.

The defaults are an expert's, not fitted to anything: **every one of them is an assumption**, made so that one sign
alone raises no tier, two small ones or one high one put a borrower on the watch list, and an installment 15 days late
with any other sign beside it is high. `ews calibrate` puts points that were fitted on a lender's own history in place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas import alerts
from streams.engine.characteristics import CHARACTERISTICS
from streams.engine.loan import ACTIVE, BUCKET_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Loan

Tier = Literal["none", "watch", "high", "critical"]
Attitude = Literal["unable", "unwilling", "undetermined"]
Share = Annotated[float, Field(ge=0, le=1)]
Change = Annotated[float, Field(ge=-1, le=1)]
COMPOSITE = "borrower_risk"
"""The detector that says what the score says: its own episode adds no points, or a score would hold itself up."""
HISTORY_MIN = 3
"""Installments that must have fallen due before a record of payments says anything."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Severities(_Settings):
    """Points of an open episode by its severity."""

    info: int = 0
    watch: int = 10
    high: int = 25
    critical: int = 45


class Band(_Settings):
    """Points of the values up to a bound (that is within), down to the bound of the band before."""

    up_to: float
    points: int


class Banded(_Settings):
    """Points of one characteristic: in bands, above the last of them, and where it is not known."""

    bands: tuple[Band, ...] = ()
    above: int = 0
    missing: int = 0

    @model_validator(mode="after")
    def _bands_rise(self) -> Self:
        bounds = [band.up_to for band in self.bands]
        if sorted(set(bounds)) != bounds:
            raise ValueError("the bounds of the bands must rise")
        return self

    def points_of(self, value: float | None) -> int:
        """The points of a value, None for one that is not known."""
        if value is None:
            return self.missing
        return next((band.points for band in self.bands if value <= band.up_to), self.above)


class Tiers(_Settings):
    """From how many points on a borrower is in a tier."""

    watch: int = 20
    high: int = 45
    critical: int = 70

    @model_validator(mode="after")
    def _tiers_rise(self) -> Self:
        if not self.watch < self.high < self.critical:
            raise ValueError("watch, high and critical must rise")
        return self


class Stances(_Settings):
    """Which detectors speak for a borrower who cannot pay, and which for one who does not want to."""

    unable: frozenset[str] = frozenset(
        {
            "income_drop", "income_missing", "balance_drain", "negative_balance", "installment_to_income",
            "cash_advance_spike", "borrow_to_repay", "partial_payment", "payment_ratio_drop", "debt_growth",
            "relapse_after_restructuring",
        }
    )  # fmt: skip
    unwilling: frozenset[str] = frozenset(
        {"drain_after_miss", "gone_dark", "broken_promise", "proceeds_diversion", "mandate_broken"}
    )


class Recoveries(_Settings):
    """The share of what is owed that comes back, by delinquency bucket, and what moves it."""

    by_bucket: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.98, 0.92, 0.75, 0.55, 0.40, 0.30, 0.22, 0.12)
    """M0, M1, M2 ...; the last one is for all later buckets."""
    unable: Change = -0.05
    unwilling: Change = -0.15
    good_record: Change = 0.05
    """At least 9 of 10 installments that fell due were paid in full by 30 days after."""
    poor_record: Change = -0.10
    """Fewer than half of them were."""
    collateral: Share = 0.70
    """What a sale brings of the collateral's value: no less comes back than that."""


def _expert_episodes() -> dict[str, Severities]:
    arrears = Severities(info=5, watch=15, high=40, critical=70)
    known_elsewhere = Severities(info=5, watch=15, high=30, critical=50)
    return {
        # What the alarm is for has come: days past due weigh more than any sign of them.
        "missed_installment": arrears,
        "first_payment_default": arrears,
        "serial_roll": arrears,
        # Others have seen it come.
        "external_delinquency": known_elsewhere,
        "public_record": known_elsewhere,
        # A reminder, not an alarm.
        "upcoming_installment": Severities(info=0, watch=0, high=0, critical=0),
        # Common among those who pay, too.
        "installment_to_income": Severities(info=0, watch=5, high=15, critical=30),
        "gambling_share": Severities(info=0, watch=5, high=15, critical=30),
        "gambling_burst": Severities(info=0, watch=5, high=15, critical=30),
    }


class Scorecard(_Settings):
    """Points, tiers, stances and recoveries. More points are more risk."""

    base: int = 0
    tiers: Tiers = Tiers()
    severities: Severities = Severities()
    """Points of open episodes of the detectors that `episodes` does not name."""
    episodes: dict[str, Severities] = Field(default_factory=_expert_episodes)
    characteristics: dict[str, Banded] = {}
    stances: Stances = Stances()
    recoveries: Recoveries = Recoveries()

    @model_validator(mode="after")
    def _characteristics_exist(self) -> Self:
        unknown = sorted(self.characteristics.keys() - CHARACTERISTICS.keys())
        if unknown:
            raise ValueError(f"there is no characteristic {', '.join(unknown)}; there are {', '.join(CHARACTERISTICS)}")
        return self


class Reason(NamedTuple):
    """What added (or, below 0, took) points: an episode with its severity, or a characteristic with its value."""

    name: str
    value: float | str | None
    points: int


class Scored(NamedTuple):
    """A score with its tier and its reasons, the weightiest first."""

    points: int
    tier: Tier
    reasons: list[Reason]


class Stance(NamedTuple):
    """What the borrower seems to be, and the detectors that speak for it."""

    kind: Attitude
    evidence: tuple[str, ...]


class Recovered(NamedTuple):
    """The share of what is owed that may come back (None where nothing is owed), and what it is made of."""

    share: float | None
    reasons: list[tuple[str, float]]


def score(card: Scorecard, view: BorrowerView, loan: Loan | None = None, line: str = "") -> Scored:
    """The points of a borrower as known now, or of one of the loans, or of one account elsewhere (`line`)."""
    reasons = [Reason("base", None, card.base), *_of_episodes(card, view), *_of_numbers(card, view, loan, line)]
    points = sum(reason.points for reason in reasons)
    told = sorted((r for r in reasons if r.points), key=lambda r: (-abs(r.points), r.name))
    return Scored(points, tier_of(card, points), told)


def tier_of(card: Scorecard, points: int) -> Tier:
    """The tier that a number of points belongs to."""
    tiers = card.tiers
    if points < tiers.watch:
        return "none"
    return "watch" if points < tiers.high else "high" if points < tiers.critical else "critical"


def worst_episodes(view: BorrowerView) -> dict[str, Episode]:
    """The gravest open episode of each detector but the composite one, by the detector's key."""
    worst: dict[str, Episode] = {}
    for episode in view.open_episodes():
        known = worst.get(episode.detector)
        if known is None or alerts.Severity(episode.severity).rank > alerts.Severity(known.severity).rank:
            worst[episode.detector] = episode
    worst.pop(COMPOSITE, None)
    return dict(sorted(worst.items()))


def _of_episodes(card: Scorecard, view: BorrowerView) -> Iterator[Reason]:
    """A detector counts once, with its gravest episode: three loans of one borrower fail for the same reason."""
    for detector, episode in worst_episodes(view).items():
        points = getattr(card.episodes.get(detector, card.severities), episode.severity)
        yield Reason(f"episode.{detector}", episode.severity, points)


def _of_numbers(card: Scorecard, view: BorrowerView, loan: Loan | None, line: str) -> Iterator[Reason]:
    for name, banded in card.characteristics.items():
        value = CHARACTERISTICS[name](view, loan, line)
        yield Reason(name, value, banded.points_of(value))


def stance(card: Scorecard, view: BorrowerView) -> Stance:
    """Whether more of the open episodes speak for one who cannot pay, or for one who does not want to."""
    watched = [name for name, e in worst_episodes(view).items() if alerts.Severity(e.severity) is not SILENT]
    unable = tuple(name for name in watched if name in card.stances.unable)
    unwilling = tuple(name for name in watched if name in card.stances.unwilling)
    if len(unable) == len(unwilling):
        return Stance("undetermined", unable + unwilling)
    return Stance("unable", unable) if len(unable) > len(unwilling) else Stance("unwilling", unwilling)


SILENT = alerts.Severity.INFO
"""An episode of this severity is worth knowing, and no evidence of anything."""


def recovery(card: Scorecard, view: BorrowerView, loan: Loan | None = None) -> Recovered:
    """The share that may come back of a loan, or of the borrower's loan that is most days past due."""
    if loan is None:
        owing = [x for x in view.loans if x.status == ACTIVE and x.outstanding()]
        loan = max(owing, key=lambda x: x.days_past_due(view.day(x)), default=None)
    owed = 0 if loan is None else loan.outstanding()
    if loan is None or not owed:
        return Recovered(None, [])
    table, late = card.recoveries, loan.days_past_due(view.day(loan))
    bucket = -(-late // BUCKET_DAYS)
    reasons = [(f"bucket M{bucket}", table.by_bucket[min(bucket, len(table.by_bucket) - 1)])]
    kind = stance(card, view).kind
    if kind != "undetermined":
        reasons.append((kind, table.unable if kind == "unable" else table.unwilling))
    reasons += _record(table, view)
    share = min(1.0, max(0.0, sum(change for _, change in reasons)))
    secured = min(1.0, loan.collateral[-1].value * table.collateral / owed) if loan.collateral else 0.0
    if secured > share:
        reasons.append(("collateral", secured - share))
    return Recovered(round(max(share, secured), 4), reasons)


def _record(table: Recoveries, view: BorrowerView) -> Iterator[tuple[str, float]]:
    """What the installments that fell due at least 30 days ago say of the next ones."""
    kept = fell = 0
    for loan in view.loans:
        by = view.day(loan) - BUCKET_DAYS
        due = [line for line in loan.installments if line.due <= by]
        fell += len(due)
        kept += sum(line.cleared is not None and line.cleared <= line.due + BUCKET_DAYS for line in due)
    if fell >= HISTORY_MIN and 10 * kept >= 9 * fell:
        yield "good record", table.good_record
    elif fell >= HISTORY_MIN and 2 * kept < fell:
        yield "poor record", table.poor_record


def risk(card: Scorecard, view: BorrowerView, loan: Loan | None = None) -> alerts.Risk:
    """Score, tier, stance and recovery as an alert carries them."""
    scored, attitude = score(card, view, loan), stance(card, view)
    return alerts.Risk(
        score=scored.points,
        tier=scored.tier,
        reasons=tuple(alerts.Points(name=r.name, value=r.value, points=r.points) for r in scored.reasons),
        stance=attitude.kind,
        stance_evidence=attitude.evidence,
        recovery=recovery(card, view, loan).share,
    )
