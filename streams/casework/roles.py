"""Who may do what. The values stand in `streams.stores`, which keeps accounts; rules about them belong here."""

from __future__ import annotations

from streams.stores.roles import Actor, Role

__all__ = ["Actor", "Role"]
