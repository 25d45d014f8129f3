"""How often an account may ask, and how often an address may fail to say who it is.

Counted in this process: of several that serve the API each lets through as much.
"""

from __future__ import annotations

import math
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.exceptions import HTTPException

from streams import clock

FAILURES_A_MINUTE: Final = 30
"""Requests without a valid key that one address may make. A guess at 32 random bytes needs more."""
IPV6_BITS: Final = 64
"""A household or server has a whole network of this size, so its addresses count as one."""


class TooMany(HTTPException):
    """Asked too often. Says when to ask again."""

    def __init__(self, detail: str, seconds: int) -> None:
        super().__init__(429, detail, {"Retry-After": str(seconds)})


class Limits:
    """The counters. Threads may share them."""

    def __init__(self, *, requests_a_minute: int, failures_a_minute: int = FAILURES_A_MINUTE) -> None:
        self._requests = RateLimitItemPerMinute(requests_a_minute)
        self._failures = RateLimitItemPerMinute(failures_a_minute)
        self._counters = SlidingWindowCounterRateLimiter(MemoryStorage())

    def spend(self, account: str) -> None:
        """Count a request of an account. Raises TooMany."""
        if not self._counters.hit(self._requests, "account", account):
            raise TooMany(
                f"An account may make {self._requests.amount} requests a minute.",
                self._wait(self._requests, "account", account),
            )

    def check(self, address: str) -> None:
        """Whether this address may still try to say who it is. Raises TooMany."""
        where = _network(address)
        if not self._counters.test(self._failures, "address", where):
            raise TooMany(
                "Too many requests without a valid key came from this address.",
                self._wait(self._failures, "address", where),
            )

    def failed(self, address: str) -> None:
        """Count a request that came without a valid key, or a sign-in that failed."""
        self._counters.hit(self._failures, "address", _network(address))

    def _wait(self, item: RateLimitItem, *identifiers: str) -> int:
        resets_at, _ = self._counters.get_window_stats(item, *identifiers)
        return max(1, math.ceil(resets_at - clock.now_ms() / 1_000))


def _network(address: str) -> str:
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ip_network((known, IPV6_BITS), strict=False)) if isinstance(known, IPv6Address) else str(known)
