"""Which measures an event is counted in, and which detectors it is a reason to judge, with one look-up.

It depends on few values of the event only: those that filters name. All others are alike, so that what is found for
one combination holds for every event that has it, and there are not many combinations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streams.engine.detector import Detector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.engine.measure import Measure


class Counted(NamedTuple):
    """A measure that counts an event, its key, and the fields that say in which of its stores."""

    key: int
    measure: Measure
    parts: tuple[str, ...]


class Route(NamedTuple):
    """Where events of one combination go: into these measures, and before these detectors.

    `stirred` are always judged; `watching` have an interest in the event, and are judged while they have an episode
    open. Of them `minding` are those that may say of themselves that an event is a reason.
    """

    counted: tuple[Counted, ...]
    stirred: tuple[Detector, ...]
    watching: tuple[Detector, ...]
    minding: tuple[Detector, ...]

    def judged(self, data: object, open_ones: frozenset[str]) -> Sequence[Detector]:
        """The detectors to judge after an event, given those with an open episode, in their order."""
        if open_ones:
            extra = [d for d in self.watching if d.key in open_ones or d.minds(data)]
        else:
            extra = [d for d in self.minding if d.minds(data)]
        return sorted((*self.stirred, *extra), key=turn) if extra else self.stirred


class Routes:
    """The routes of one event type, each found once."""

    def __init__(self, measures: Sequence[Measure], detectors: Iterable[Detector]) -> None:
        """`measures` are kept of the type; `detectors` listen to it, in the order in which they are judged."""
        named: dict[str, frozenset[str]] = {}
        for measure in measures:
            for name, values in (*measure.where, *measure.unless):
                named[name] = named.get(name, frozenset()) | values
        self._named = tuple(named.items())
        self._measures = measures
        self._detectors = [
            (d, frozenset(m.key for m in d.measures()), frozenset(m.key for m in d.quiet())) for d in detectors
        ]
        self._found: dict[tuple[str | None, ...], Route] = {}

    def of(self, data: object) -> Route:
        """The route of an event's data."""
        combination = tuple(
            [value if (value := getattr(data, name) or "") in values else None for name, values in self._named]
        )
        route = self._found.get(combination)
        if route is None:
            route = self._found[combination] = self._find(data)
        return route

    def _find(self, data: object) -> Route:
        counted = tuple(Counted(m.key, m, m.parts) for m in self._measures if m.matches(data))
        keys = {one.key for one in counted}
        stirred = [d for d, asked, quiet in self._detectors if d.composite or not keys.isdisjoint(asked - quiet)]
        interested = [d for d, asked, _ in self._detectors if not keys.isdisjoint(asked)]
        watching = tuple(d for d in interested if d not in stirred)
        minding = tuple(d for d in watching if type(d).minds is not Detector.minds)
        return Route(counted, tuple(stirred), watching, minding)


def turn(detector: Detector) -> tuple[bool, bool, str]:
    """Who is held by others is judged after them, and who looks at the others last."""
    return detector.composite, bool(detector.held_while), detector.key
