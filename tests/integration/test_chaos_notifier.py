from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.consumers.processes import Cluster
from tests.integration.chaos_notifier import Chaos, Provider, serving, undisturbed, written_alerts

if TYPE_CHECKING:
    from pathlib import Path

ALERTS = 400
KILLS = 2
SECONDS_MAX = 600.0


def test_kills_and_a_provider_that_fails_leave_one_message_each(broker: str, prefix: str, tmp_path: Path) -> None:
    """Both processes are killed while they work: one message for each alert, step and channel, and the same cases."""
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - only alerts of now are worth a message
    alerts, provider = written_alerts(ALERTS, now), Provider(seed=5)
    with serving(provider) as url:
        chaos = Chaos(Cluster(broker, prefix), tmp_path, provider, url, alerts)
        figures = chaos.run(kills=KILLS, down_seconds=2, seconds_max=SECONDS_MAX, say=lambda _: None)

    assert ALERTS * 3 // 4 == figures["expected"] == figures["exactly_one"] == figures["at_the_provider"]
    assert (0, 0, 0) == (figures["missing"], figures["too_many"], figures["wrong"])
    assert figures["expected"] == figures["contacts_in_the_log"]
    assert figures["counts"]["sms sent"] == figures["contact_events"]  # Of a call the dialler tells, once it was made.
    assert [] == figures["audit_faults"]
    assert undisturbed(tmp_path, alerts) == figures["cases"]
