"""What an explanation is made of: an alert, its episode, the borrower's other alerts and events, as they were found."""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

from streams.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.alerts import Alert
    from schemas.events import Event
    from schemas.outcomes import AlertOutcome

ID_CHARS_MIN = 8
ID_CHARS_MAX = 36
IDS_SHOWN = 4
_DIGITS = frozenset(string.hexdigits + "-")


class Told(NamedTuple):
    """An alert as it was written, and where it stands."""

    alert: Alert
    value: bytes
    place: str
    partition: int | None = None


class Fact(NamedTuple):
    """An event of the borrower, when it became known and where it stands."""

    event: Event
    available_ms: int
    place: str


@dataclass(frozen=True, slots=True)
class Material:
    """All that was found of an alert. Lists are in the order in which they were made."""

    told: Told
    """The alert that was asked for."""
    episode: list[Told]
    """Every revision of its episode, itself among them."""
    others: list[Told]
    """Alerts of the same borrower of other episodes."""
    facts: list[Fact]
    where: str
    """Where it was looked for, as a sentence has it."""
    cut: list[str] = field(default_factory=list)
    """The sources of which the oldest records are gone."""
    outcomes: list[AlertOutcome] = field(default_factory=list)
    """How the episode was judged, the latest decision last."""
    events_known: bool = True
    """Whether there was a place to look for events."""


class Wanted:
    """The id that was asked for: of an alert or an episode, whole or only its beginning."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.prefix = text.encode()
        self._alerts: dict[str, Told] = {}
        self._episodes: dict[str, Told] = {}

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id in a text. Raises Misconfigured."""
        cleaned = text.strip().lower()
        if not (ID_CHARS_MIN <= len(cleaned) <= ID_CHARS_MAX and _DIGITS.issuperset(cleaned)):
            raise Misconfigured(
                f"{text!r} is no id of an alert or episode: give at least its first {ID_CHARS_MIN} characters, "
                "such as 7ce132fe"
            )
        return cls(cleaned)

    def offer(self, told: Told) -> None:
        """Look at an alert that holds the text somewhere."""
        data = told.alert.data
        if str(data.alert_id).startswith(self.text):
            self._alerts.setdefault(str(data.alert_id), told)
        if str(data.episode_id).startswith(self.text):
            known = self._episodes.get(str(data.episode_id))
            if known is None or data.revision > known.alert.data.revision:
                self._episodes[str(data.episode_id)] = told

    def found(self, where: str) -> Told:
        """The one alert that is meant; of an episode the last one. Raises Rejected for none and for several."""
        ids = [*self._alerts, *self._episodes]
        if not ids:
            raise Rejected(
                f"there is no alert or episode {self.text} in {where}: ids stand in the alerts themselves "
                "and in `ews cases show BORROWER`"
            )
        if len(ids) > 1:
            more = f" and {len(ids) - IDS_SHOWN} more" if len(ids) > IDS_SHOWN else ""
            raise Rejected(
                f"{self.text} is the beginning of several ids: {', '.join(sorted(ids)[:IDS_SHOWN])}{more}: "
                "give more of the one that you mean"
            )
        return next(iter([*self._alerts.values(), *self._episodes.values()]))


def assembled(told: Told, alerts: Iterable[Told], facts: list[Fact], where: str, **more: object) -> Material:
    """The material of an alert, given all alerts of its borrower. What was delivered again counts once."""
    once = {told.alert.id: told for told in alerts}
    own = told.alert.data.episode_id
    seen: dict[tuple[str, str], Fact] = {}
    for fact in facts:
        seen.setdefault((fact.event.source, fact.event.id), fact)
    episode = sorted((x for x in once.values() if x.alert.data.episode_id == own), key=_revision)
    others = sorted((x for x in once.values() if x.alert.data.episode_id != own), key=_moment)
    return Material(told, episode, others, list(seen.values()), where, **more)  # type: ignore[arg-type] # checked by its own fields


def _revision(told: Told) -> int:
    return told.alert.data.revision


def _moment(told: Told) -> tuple[float, int]:
    return told.alert.time.timestamp(), told.alert.data.revision
