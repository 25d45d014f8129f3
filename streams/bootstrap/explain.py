"""Puts explanations together: where the alert is looked for, the detector's words, the engine that makes it again."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams import clock
from streams.bootstrap.policy import detector_class, detector_keys, load_engine, load_policy
from streams.bootstrap.policy_book import rules_in
from streams.bootstrap.policy_topic import topic_of
from streams.engine.calendar import HOUR_MS, ms_of
from streams.errors import Misconfigured, Unavailable
from streams.history.explain import files, topics
from streams.history.explain.life import loans_of
from streams.history.explain.material import Wanted
from streams.history.explain.rebuild import Rebuilt, from_files, from_order, from_portfolio, is_of_many
from streams.history.explain.story import About, Story, story_of
from streams.history.explain.timeline import timeline_of
from streams.history.files import read_events
from streams.kafka.policies import read_policies

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from streams.engine.policy import Policy
    from streams.history.explain.material import Material
    from streams.history.explain.topics import Progress
    from streams.settings import Settings

NOT_ASKED = Rebuilt(equal=None, said="It was not made again from the log (--no-check).")
WHY = re.compile(r"^Why: (.*?)(?=^\w[\w ]*:|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be explained, and how. `check`: make it again; None where that can be done."""

    id: str
    check: bool | None = None
    policy_file: Path | None = None


async def explain_from_topics(settings: Settings, question: Question, progress: Progress) -> Story:
    """The alert from the topics of a cluster. Raises Rejected if it is not there; Unavailable, Misconfigured."""
    wanted = Wanted.parse(question.id)
    policies = topic_of(question.policy_file, await read_policies(settings))
    material = await topics.gather(settings, wanted, progress)
    rebuilt = NOT_ASKED
    if question.check is not False:
        try:
            if is_of_many(material.told):
                rebuilt = await from_portfolio(settings, material.told, rules_in(policies.book))
            else:
                rebuilt = await from_order(settings, material.told, policies.book.engine, progress)
        except (Unavailable, Misconfigured) as why:
            rebuilt = _not_possible(question, why)
    return _story(material, policies.in_force, rebuilt)


def explain_from_files(
    alerts: Path,
    events: Sequence[str],
    question: Question,
    live_from: datetime | None = None,
    progress: Progress = lambda _topic, _count: None,
) -> Story:
    """The alert from files. Raises Rejected if it is not there; Misconfigured for files that cannot be read."""
    policy = load_policy(question.policy_file)
    material = files.gather(Wanted.parse(question.id), alerts, events)
    rebuilt = NOT_ASKED
    if question.check is not False:
        rebuilt = _replayed(material, events, question, live_from, progress)
    return _story(material, policy, rebuilt)


def _replayed(
    material: Material, events: Sequence[str], question: Question, live_from: datetime | None, progress: Progress
) -> Rebuilt:
    if not events:
        return _not_possible(question, Misconfigured("give the event files that it came of (--events)"))
    live_from_ms = None if live_from is None else ms_of(live_from)
    engine = load_engine(question.policy_file, live_from_ms)
    made = material.told.alert.data.policy_version
    if engine.policy.version != made:
        why = f"it was made under the policy {made}, and this is {engine.policy.version}: give its file (--policy)"
        return _not_possible(question, Misconfigured(why))
    lines = read_events(events, latest_ms=clock.now_ms() + HOUR_MS)
    return from_files(material.told, lines, engine, live_from_ms, progress)


def _not_possible(question: Question, why: Unavailable | Misconfigured) -> Rebuilt:
    """Only who asked for it is stopped by it."""
    if question.check:
        raise why
    return Rebuilt(equal=None, said=f"It could not be made again from the log: {why}.")


def _story(material: Material, policy: Policy, rebuilt: Rebuilt) -> Story:
    loans = loans_of(material.facts, policy)
    about = _about(material.told.alert.data.detector, policy)
    return story_of(material, about, timeline_of(material, loans), rebuilt)


def _sentence(text: str) -> str:
    joined = " ".join(text.split())
    return joined[:1].upper() + joined[1:]


def _about(key: str, policy: Policy) -> About:
    if key not in detector_keys():
        return About("", "", None, policy.version)
    detector = detector_class(key)
    text = inspect.cleandoc(detector.__doc__ or "")
    why = WHY.search(text)
    return About(text.partition("\n")[0], _sentence(why[1]) if why else "", detector.version, policy.version)
