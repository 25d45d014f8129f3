from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from streams.casework.packs import load_packs
from streams.consumers.channels.channel import Parcel
from streams.stores.retention import Pruned, prune
from tests.consumers.borrower_desk import MONDAY, BorrowerDesk, borrower_desk
from tests.consumers.builders import alert, episode
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL of this module's own."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.docker)])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BorrowerDesk]:
    """A desk on each kind of database."""
    url = None if request.param == "sqlite" else new_postgres(request.getfixturevalue("postgres"))
    with borrower_desk(tmp_path, "sms", "call", url=url) as desk:
        desk.knows()
        yield desk


def test_two_that_ask_at_once_share_one_cap(desk: BorrowerDesk) -> None:
    """Of ten calls that several notifiers are about to make, three are allowed: none can miss what another reserves."""
    desk.packs = load_packs(["cn"])  # three calls a day, and no wait between them
    desk.restart()
    desk.take(*(alert(loan=f"l-{n}", step=5, dpd=5, severity="watch") for n in range(10)))
    due = desk.store.due(channels=["call"], partitions=[0], now=MONDAY, limit=10)
    policy = desk.delivery._policy

    with ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(lambda message: policy._answer([message])[0], due))  # type: ignore[attr-defined]

    assert 3 == sum(isinstance(answer, Parcel) for answer in answers)
    assert 3 == len(desk.log.past("b-1", MONDAY))


async def test_a_message_goes_its_way_on_each_database(desk: BorrowerDesk) -> None:
    """Sent once, recorded once, one event in the outbox, ended by its episode, and forgotten at last."""
    opened, escalated, ended = episode(
        "b-1", [("opened", "info", 1), ("escalated", "watch", 5), ("resolved", "watch", 5)], dpd=5
    )
    desk.take(opened)
    await desk.deliver()
    desk.now = MONDAY.replace(hour=22)
    desk.take(escalated)
    await desk.deliver()
    desk.take(ended)
    await desk.deliver(hours=12)

    assert ({"sms": "sent"}, {"call": "superseded"}) == (desk.ends(opened), desk.ends(escalated))
    assert (1, ["hours"]) == (len(desk.published()), desk.rules())
    assert 2 == prune(desk.database, desk.now).messages
    assert Pruned(0, 0) == prune(desk.database, desk.now)
