"""From findings to alerts: one open episode for each detector, borrower and loan, its revisions numbered without a gap.

Ids are derived from the data (detector, borrower, loan, onset, revision), never drawn, so that a repeat is harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from schemas.alerts import Alert, AlertData, AlertStatus, LoanPosition, Mode, Severity, alert_id, episode_id
from streams.engine.borrower import Episode
from streams.engine.calendar import DAY_MS, date_of, local_day, moment_of
from streams.engine.classification import classified
from streams.engine.detector import ended
from streams.engine.loan import ACTIVE, bucket_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Borrower
    from streams.engine.detector import BorrowerView, Detector, Finding


class Scene(NamedTuple):
    """What all alerts of one moment have in common."""

    token: str
    borrower: Borrower
    view: BorrowerView
    at_ms: int
    policy_version: str
    mode: Mode
    traceparent: str | None = None


def reconcile(scene: Scene, detector: Detector, findings: list[Finding]) -> Iterator[Alert]:
    """The alerts that bring a detector's episodes in line with what it finds, in a fixed order."""
    said = set()
    for finding in findings:
        known = _episode_of(scene, detector, finding)
        onset = _onset(scene, finding, known)
        said.add((finding.loan, onset))
        if finding.over is None:
            yield from _rise(scene, detector, finding, known, onset)
        else:
            yield from _fall(scene, detector, finding, known, onset)
    for episode in scene.borrower.episodes:
        if episode.is_open and episode.detector == detector.key and (episode.loan, episode.onset) not in said:
            yield from _unsaid(scene, detector, episode)


def found(scene: Scene, detector: Detector) -> list[Finding]:
    """What a detector finds. It is not asked where it would not be heard: held, with nothing of its own open."""
    has_own = any(e.is_open and e.detector == detector.key for e in scene.borrower.episodes)
    return list(detector.judge(scene.view)) if has_own or not _is_held(scene, detector) else []


def _episode_of(scene: Scene, detector: Detector, finding: Finding) -> Episode | None:
    """The episode that a finding continues: the same onset, or the open one if the finding names no onset."""
    for episode in scene.borrower.episodes:
        if episode.detector == detector.key and episode.loan == finding.loan:
            if finding.onset is None:
                if episode.is_open:
                    return episode
            elif episode.onset == finding.onset:
                return episode
    return None


def _onset(scene: Scene, finding: Finding, known: Episode | None) -> int:
    if known is not None:
        return known.onset
    if finding.onset is not None:
        return finding.onset
    loan = scene.borrower.loan(finding.loan)
    return local_day(scene.at_ms, loan.zone if loan is not None else scene.view.zone)


def _rise(scene: Scene, detector: Detector, finding: Finding, known: Episode | None, onset: int) -> Iterator[Alert]:
    if _is_held(scene, detector):
        return
    if known is None:
        known = _same_day_before(scene, detector, finding, onset)
    if known is None:
        if scene.view.episode(detector.key, finding.loan) is not None:
            return  # One open episode for each loan: the older goes on, this one opens when that is over.
        known = Episode(detector.key, finding.loan, onset, 0, is_open=False, step=0, severity="", changed_ms=0)
        scene.borrower.episodes.append(known)
    known.calm_since_ms = 0
    if not known.is_open:
        yield _revise(scene, detector, finding, known, AlertStatus.OPENED)
    elif finding.step > known.step or finding.severity.rank > Severity(known.severity).rank:
        yield _revise(scene, detector, finding, known, AlertStatus.ESCALATED)


def _is_held(scene: Scene, detector: Detector) -> bool:
    """Whether somebody asked for calm, or another detector has said as much."""
    if scene.borrower.snoozes and scene.borrower.is_snoozed(detector.key, scene.at_ms):
        return True
    return bool(detector.held_while) and any(
        e.is_open and e.detector in detector.held_while for e in scene.borrower.episodes
    )


def _same_day_before(scene: Scene, detector: Detector, finding: Finding, onset: int) -> Episode | None:
    """An episode without an own onset that returns on the day it began has the same id: go on with its revisions."""
    return next(
        (e for e in scene.borrower.episodes if (e.detector, e.loan, e.onset) == (detector.key, finding.loan, onset)),
        None,
    )


def _fall(scene: Scene, detector: Detector, finding: Finding, known: Episode | None, onset: int) -> Iterator[Alert]:
    """The trouble is over. If it was never told (held, or paid before the tick) it is told now."""
    if known is None:
        yield from _rise(scene, detector, finding._replace(over=None), None, onset)
        known = _episode_of(scene, detector, finding)
    if known is not None and known.is_open:
        if finding.step > known.step and not _is_held(scene, detector):
            yield _revise(scene, detector, finding, known, AlertStatus.ESCALATED)
        yield _revise(scene, detector, finding, known, AlertStatus.RESOLVED)


def _unsaid(scene: Scene, detector: Detector, episode: Episode) -> Iterator[Alert]:
    """An open episode that the detector no longer speaks of: after the cool-down it ends."""
    calm = episode.calm_since_ms = episode.calm_since_ms or scene.at_ms
    if scene.at_ms - calm < detector.cooldown_days * DAY_MS:
        return
    finding = detector.farewell(scene.view, episode)
    status = AlertStatus.WITHDRAWN if finding.over == "disproved" else AlertStatus.RESOLVED
    yield _revise(scene, detector, finding, episode, status)


def retire(scene: Scene, detector: Detector, episode: Episode, reason: str) -> Alert:
    """The last word on an open episode that ends for another reason than what it saw."""
    finding = ended(episode, "expired", reason)
    return _revise(scene, detector, finding, episode, AlertStatus.RESOLVED)


def by_policy(scene: Scene, how: str) -> str:
    """The reason of an episode that a change of the policy ended."""
    return f"The policy {scene.policy_version} {how}."


def calm_until(borrower: Borrower, detector: Detector) -> Iterator[int]:
    """When the cool-down of each calm episode of a detector ends."""
    for episode in borrower.episodes:
        if episode.is_open and episode.calm_since_ms and episode.detector == detector.key:
            yield episode.calm_since_ms + detector.cooldown_days * DAY_MS


def _revise(scene: Scene, detector: Detector, finding: Finding, episode: Episode, status: AlertStatus) -> Alert:
    episode.revision += 1
    episode.is_open = status in {AlertStatus.OPENED, AlertStatus.ESCALATED}
    if status is AlertStatus.OPENED:
        episode.shadow = detector.shadow
    episode.withdrawn = status is AlertStatus.WITHDRAWN
    episode.step = finding.step if status is AlertStatus.OPENED else max(episode.step, finding.step)
    episode.severity, episode.changed_ms, episode.calm_since_ms = finding.severity.value, scene.at_ms, 0
    return _alert(scene, detector, finding, episode, status)


def _alert(scene: Scene, detector: Detector, finding: Finding, episode: Episode, status: AlertStatus) -> Alert:
    onset = date_of(episode.onset)
    episode_uuid = episode_id(detector.key, scene.token, finding.loan or None, onset)
    identity = alert_id(episode_uuid, episode.revision, status, episode.step)
    ended = status in {AlertStatus.RESOLVED, AlertStatus.WITHDRAWN}
    data = AlertData(
        alert_id=identity, episode_id=episode_uuid, revision=episode.revision, status=status, step=episode.step,
        severity=finding.severity, mode=Mode.SHADOW if episode.shadow and scene.mode is Mode.LIVE else scene.mode,
        detector=detector.key, detector_version=detector.version, policy_version=scene.policy_version,
        borrower=scene.token, loan=finding.loan or None, onset=onset, reason=finding.reason,
        resolution=finding.over if ended else None,
        measures=finding.measures, evidence=finding.evidence, first_step=finding.first_step or detector.first_step,
        loans=tuple(positions(scene)), balance_minor=scene.borrower.balance, risk=finding.risk,
    )  # fmt: skip
    return Alert(
        id=identity, type=f"ews.alert.{status.value}.v1", subject=scene.token, time=moment_of(scene.at_ms),
        traceparent=scene.traceparent, data=data,
    )  # fmt: skip


def positions(scene: Scene) -> Iterator[LoanPosition]:
    """Where each running loan stands."""
    for loan in scene.borrower.loans:
        if loan.status == ACTIVE:
            day = scene.view.day(loan)
            late = loan.days_past_due(day)
            yield LoanPosition(
                loan=loan.id, currency=loan.currency, days_past_due=late, bucket=bucket_of(late),
                overdue_minor=loan.overdue(day), outstanding_minor=loan.outstanding(), **classified(late),
            )  # fmt: skip
