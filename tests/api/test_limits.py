from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streams.api.limits import Limits, TooMany
from streams.casework.roles import Role
from tests.api.house import PLENTY, client_of

if TYPE_CHECKING:
    from streams.api.rooms import Rooms


def test_an_account_that_asks_too_often_is_told_when_to_come_back(rooms: Rooms) -> None:
    """429 with the seconds to wait; other accounts go on."""
    with client_of(rooms, Limits(requests_a_minute=2)) as ask:
        statuses = [ask("GET", "/me", role=Role.VIEWER) for _ in range(3)]
        other = ask("GET", "/me", role=Role.COLLECTOR)

    assert [200, 200, 429] == [response.status_code for response in statuses]
    assert 1 <= int(statuses[-1].headers["retry-after"]) <= 60
    assert "urn:ews:problem:too-many" == statuses[-1].json()["type"]
    assert 200 == other.status_code


def test_an_address_that_guesses_keys_is_stopped_before_the_database(rooms: Rooms) -> None:
    """After so many failures no key from there is even looked up, not even a good one."""
    with client_of(rooms, Limits(requests_a_minute=PLENTY, failures_a_minute=2)) as ask:
        guesses = [ask("GET", "/me", role=None, headers={"Authorization": "Bearer ews_x"}) for _ in range(3)]
        good = ask("GET", "/me")

    assert [401, 401, 429] == [response.status_code for response in guesses]
    assert 429 == good.status_code


def test_addresses_of_one_network_count_as_one() -> None:
    """Whoever has a whole IPv6 network has one try, not 2^64."""
    limits = Limits(requests_a_minute=1, failures_a_minute=1)
    limits.failed("2001:db8::1")

    with pytest.raises(TooMany):
        limits.check("2001:db8::2%eth0")
    limits.check("2001:db8:0:1::1")
    limits.check("192.0.2.1")
