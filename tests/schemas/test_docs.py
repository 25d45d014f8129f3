from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from schemas.alerts import Alert
from schemas.codec import Reason, decode, decode_alert
from schemas.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PRODUCERS = (ROOT / "docs" / "producers.md").read_text(encoding="utf-8")
SUBSCRIBERS = (ROOT / "docs" / "subscribers.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "schemas" / "CHANGELOG.md").read_text(encoding="utf-8")


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def _programs() -> Iterator[tuple[str, str]]:
    for name, page in (("producers", PRODUCERS), ("subscribers", SUBSCRIBERS)):
        for number, program in enumerate(_blocks(page, "python")):
            yield f"{name}-{number}", program


PROGRAMS = dict(_programs())


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_the_programs_in_the_guides_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader can paste each Python example: it imports what exists, and what it states holds."""
    monkeypatch.chdir(ROOT)
    exec(compile(PROGRAMS[name], f"{name}.py", "exec"), {"__name__": name})  # noqa: S102 - our own pages


def test_the_events_in_the_guide_are_read() -> None:
    """Each JSON example for producers is a good event."""
    assert len([decode(block.encode()) for block in _blocks(PRODUCERS, "json")]) >= 2


def test_the_alert_in_the_guide_is_read() -> None:
    """The JSON example for subscribers is an alert."""
    assert [Alert] == [type(decode_alert(block.encode())) for block in _blocks(SUBSCRIBERS, "json")]


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_explained_to_producers(reason: Reason) -> None:
    """A new reason to refuse an event comes with what to do about it."""
    assert f"`{reason}`" in PRODUCERS


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_every_event_type_is_in_the_guide_and_the_changelog(kind: str) -> None:
    """A new event type is told to its producers, with its topic, and stands in the changelog."""
    line = next(line for line in PRODUCERS.splitlines() if line.startswith(f"| `{EVENTS[kind].topic}` |"))
    assert f"`{kind}`" in line
    assert f"`{kind}`" in CHANGELOG
