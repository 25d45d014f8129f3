"""The records of the topic `policies`: one version of all settings each, keyed by that version.

The topic is compacted and has one partition: the record that was written last is in force, and every version keeps its
latest record. A version never comes with other content. `ews policies apply` writes them.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotations at run time
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.codec import InvalidEvent, Reason, describe

Version = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
"""The name of a version: printable ASCII without spaces. It is a record's key, and stands in every alert."""
NOTE_CHARS_MAX = 500
POLICY_SCHEMA = "ews.policies.v1"


class PolicyRecord(BaseModel):
    """One version of the policy, and when it was applied."""

    model_config = ConfigDict(frozen=True)

    version: Version
    applied_at: AwareDatetime = Field(description="When it was applied last, RFC 3339")
    note: str = Field(default="", max_length=NOTE_CHARS_MAX, description="By whom or why, for people")
    before: tuple[datetime, ...] = Field(default=(), description="When it was applied before, the oldest first")
    whole: bool = Field(
        default=False,
        description="Whether every setting that there was is in the document, so that detectors it does not name are "
        "off. Otherwise what it leaves out has its default",
    )
    document: dict[str, Any] = Field(description="The settings, as a policy file holds them")

    @model_validator(mode="after")
    def _is_one_version(self) -> Self:
        if self.document.get("version", self.version) != self.version:
            raise ValueError("the document is of another version")
        return self


def decode_policy(key: bytes | None, value: bytes | None) -> PolicyRecord:
    """The record of a key and a value. Raises InvalidEvent."""
    if not value:
        raise InvalidEvent(Reason.EMPTY, "the record has no value")
    try:
        record = PolicyRecord.model_validate_json(value)
    except ValidationError as error:
        raise InvalidEvent(Reason.INVALID, describe(error)) from None
    if key != record.version.encode():
        raise InvalidEvent(Reason.WRONG_KEY, "the record's key is not its version")
    return record
