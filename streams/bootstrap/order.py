"""Puts the repeat of an order together: the topics of the settings, the policies of their topic and of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.bootstrap.policy_book import rules_in
from streams.bootstrap.policy_topic import topic_of
from streams.engine.policy import Policy
from streams.errors import Misconfigured
from streams.history.order_log import Repeated, Watch, repeat_lanes
from streams.history.portfolio_log import repeat_portfolio
from streams.kafka.policies import read_policies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streams.settings import Settings


async def repeat_order(
    settings: Settings,
    policy_file: Path | None,
    on_alert: Callable[[bytes], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    states: bool = False,
) -> Repeated:
    """Repeat what the workers of these topics applied, in their order, and compare byte for byte.

    Each tick names the version of its policy: it is found in the topic `policies`, or is that of the file, or the
    built-in one.
    `on_alert` is given each alert, lane by lane; `progress` how many more records were applied, and the event time that
    was reached; `states` compares the resulting states with the changelog too. Raises Unavailable if a record that is
    needed is gone, Misconfigured if a policy that the order was made with is not known.
    """
    topic = topic_of(policy_file, await read_policies(settings))
    watch = Watch(on_alert or _nobody, progress or _nobody)
    done = await repeat_lanes(settings, topic.book.engine, watch, states=states)
    done.portfolio = await repeat_portfolio(settings, rules_in(topic.book), states=states)
    builtin, given = Policy().version, topic.book.base.version
    if builtin in done.policies and given not in done.policies and topic.row(builtin) is None:
        # It was repeated with ours for want of a better one, and the one that was given is not what it was made with.
        raise Misconfigured(
            f"the order was made with the policy {builtin}, and this is {given}: give the file of that one "
            "(EWS_POLICY_FILE), or none"
        )
    return done


def _nobody(*_: object) -> None:
    """Hears nothing."""
