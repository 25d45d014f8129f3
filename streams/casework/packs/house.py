"""The rules that stand under every pack, whatever the law: what promise 7 says of records, consent and holds."""

from __future__ import annotations

from typing import NamedTuple

NAME = "house"
"""What a refusal gives as the pack of a rule that no pack in force has a source for."""


class HouseRule(NamedTuple):
    """A rule of the house: what it says, and whether it binds service messages too."""

    says: str
    binds_service: bool


HOUSE = {
    "no_record": HouseRule("nobody is contacted of whom there is no contact record", binds_service=True),
    "unknown_zone": HouseRule("nobody is contacted whose time zone is not known", binds_service=True),
    "no_pack": HouseRule("nobody is contacted where no pack of rules is in force", binds_service=True),
    "unknown_pack": HouseRule("nobody is contacted whose record names a pack that is not there", binds_service=True),
    "deceased": HouseRule("all contact ends when a borrower is reported dead", binds_service=True),
    "opted_out": HouseRule("an opt-out holds, for its channel or for all", binds_service=True),
    "no_address": HouseRule("there is no address for this channel", binds_service=True),
    "third_party": HouseRule("nothing is said at an address of somebody else", binds_service=True),
    "no_consent": HouseRule("nobody is contacted on a channel without having agreed to it", binds_service=True),
    "preferred_hours": HouseRule("the hours that the borrower asked for hold", binds_service=True),
    "unknown_holidays": HouseRule(
        "where holidays are free of contact, the country must be known: give the record one", binds_service=True
    ),
    "dispute": HouseRule("no collection while the debt is disputed", binds_service=False),
    "hardship": HouseRule("no collection while hardship is looked into or granted", binds_service=False),
    "hold": HouseRule("no collection until the end of a hold that a person has set", binds_service=False),
    "promise": HouseRule("no collection before the day of an open promise has passed", binds_service=False),
}
