"""How a borrower may be reached, as it is sent: judged by the rules of the import, said without what was sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from schemas.fields import Time, Zone
from streams.casework.contact import Channel, IncomingRecord
from streams.casework.contact_row import PACKS_MAX, ContactRow

ADDRESSES_MAX = 50
ADDRESS_CHARS_MAX = 4_096
HOUR = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class NewAddressBody(BaseModel):
    """A way to reach the borrower."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    channel: Channel
    address: Annotated[str, StringConstraints(min_length=1, max_length=ADDRESS_CHARS_MAX)]
    """The number, mail address or token itself. It is encrypted, and shown to admins who ask for it alone."""
    consented_at: Time | None = None
    """When the borrower agreed to be contacted there; without it nobody is."""
    consent_source: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    """Where the consent can be found. A consent needs it."""
    third_party: bool = False
    """It belongs to somebody else: nothing of a debt may be said there."""


class ContactBody(BaseModel):
    """How and when a borrower may be reached, as in a file for `ews contacts import`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    zone: Zone
    """The borrower's own time zone, an IANA name."""
    language: Annotated[str, StringConstraints(max_length=35)]
    """BCP 47, such as `en` or `pt-BR`."""
    country: Annotated[str, StringConstraints(max_length=6)] | None = None
    """ISO 3166-1, with a subdivision or without."""
    packs: Annotated[list[Annotated[str, StringConstraints(max_length=32)]], Field(max_length=PACKS_MAX)] = []
    """Packs of contact rules that hold beside those of the installation."""
    preferred_from: Annotated[str, StringConstraints(pattern=HOUR)] | None = None
    """Local hours that the borrower asked for, with `preferred_until`."""
    preferred_until: Annotated[str, StringConstraints(pattern=HOUR)] | None = None
    opted_out_at: Time | None = None
    """When the borrower opted out of everything."""
    addresses: Annotated[list[NewAddressBody], Field(max_length=ADDRESSES_MAX)] = []

    def record(self, borrower: str, source: str, *, now: datetime, packs: frozenset[str]) -> IncomingRecord:
        """As the store takes it, by the rules of the import. Raises RequestValidationError."""
        common = self.model_dump(exclude={"addresses"}, exclude_none=True) | {"borrower": borrower}
        context = {"now": now, "packs": packs}
        record = self._row(common, (), context).record(source)
        for number, one in enumerate(self.addresses):
            row = self._row(common | one.model_dump(exclude_none=True), ("addresses", number), context)
            record = replace(record, addresses=record.addresses + row.record(source).addresses)
        return record

    def _row(self, row: dict[str, Any], place: tuple[str | int, ...], context: dict[str, Any]) -> ContactRow:
        try:
            return ContactRow.model_validate(row, context=context)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False, include_input=False, include_context=False)
            placed = [{**error, "loc": ("body", *place, *error["loc"])} for error in errors]
            raise RequestValidationError(placed, body=self.model_dump()) from None
