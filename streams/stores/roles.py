"""Who may do what: five roles, each may do what the ones below it may."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an account may do: look, work cases, decide on hard steps, manage accounts and persons' data.

    The monitoring that reports faults of the system (Alertmanager) is below all of them: it sees nothing.
    """

    MONITOR = "monitor"
    VIEWER = "viewer"
    COLLECTOR = "collector"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"

    def reaches(self, needed: Role) -> bool:
        """Whether this role may do what `needed` may."""
        return _RANKS[self] >= _RANKS[needed]


_RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts: the account's name (never a person's) and its role."""

    account: str
    role: Role
