"""Packs of contact rules: law books as data, built in or the house's own. Of several the strictest wins."""

from streams.casework.packs.description import PackRow, describe
from streams.casework.packs.house import HOUSE, HouseRule
from streams.casework.packs.loading import known_packs, load_packs, pack_names, packs_for, support_owed
from streams.casework.packs.model import Pack

__all__ = [
    "HOUSE",
    "HouseRule",
    "Pack",
    "PackRow",
    "describe",
    "known_packs",
    "load_packs",
    "pack_names",
    "packs_for",
    "support_owed",
]
