"""Writes the JSON Schemas of every event and of the alert, and the AsyncAPI document: `python -m schemas.generate`.

The models are the source; a test fails while what is written differs from what they say now.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.alerts import Alert
from schemas.asyncapi import asyncapi
from schemas.deadletters import DeadLetterHeaders
from schemas.events import EVENTS
from schemas.outcomes import OUTCOME_TYPE, AlertOutcome
from schemas.policies import POLICY_SCHEMA, PolicyRecord
from schemas.portfolio import MODELS
from schemas.topics import ALERT_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

HERE = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"
ALERT_SCHEMA = "ews.alert.v1"
DEAD_LETTER_SCHEMA = "ews.dead_letter.headers.v1"


def event_schema(event_type: str) -> dict[str, Any]:
    """What a producer of this event type must write. `type` has a default in Python and none on the wire."""
    model = EVENTS[event_type]
    schema = _schema(event_type, model, mode="validation")
    schema["required"] = sorted({*schema["required"], "type"})
    return schema | {"x-kafka-topic": model.topic.value}


def outcome_schema() -> dict[str, Any]:
    """What a case system must write of an alert that was judged."""
    schema = _schema(OUTCOME_TYPE, AlertOutcome, mode="validation")
    schema["required"] = sorted({*schema["required"], "type"})
    return schema | {"x-kafka-topic": ALERT_OUTCOMES}


def alert_schema() -> dict[str, Any]:
    """What a subscriber may rely on: a field is required if it is always written, absent rather than null otherwise."""
    schema = _schema(ALERT_SCHEMA, Alert, mode="serialization")
    for part in (schema, *schema["$defs"].values()):
        if "properties" in part:
            part["required"] = sorted(_always_written(part["properties"]))
    return schema


def _always_written(properties: dict[str, dict[str, Any]]) -> Iterator[str]:
    return (name for name, rule in properties.items() if rule.get("default", "") is not None)


def _schema(name: str, model: type[BaseModel], *, mode: Any) -> dict[str, Any]:
    schema = model.model_json_schema(mode=mode)
    for part in (schema, *schema.get("$defs", {}).values()):
        for rule in part.get("properties", {}).values():
            rule.pop("title", None)  # The field's name again.
    return {"$schema": DIALECT, "$id": f"urn:ews:{name}"} | schema


def documents() -> dict[str, str]:
    """Every generated file under `schemas/`, by its relative path."""
    written = {f"json/{kind}.json": event_schema(kind) for kind in EVENTS}
    written[f"json/{ALERT_SCHEMA}.json"] = alert_schema()
    written[f"json/{OUTCOME_TYPE}.json"] = outcome_schema()
    for kind, model in MODELS.items():
        schema = _schema(kind, model, mode="validation")
        written[f"json/{kind}.json"] = schema | {"required": sorted({*schema["required"], "type"})}
    written[f"json/{POLICY_SCHEMA}.json"] = _schema(POLICY_SCHEMA, PolicyRecord, mode="validation")
    written[f"json/{DEAD_LETTER_SCHEMA}.json"] = _schema(DEAD_LETTER_SCHEMA, DeadLetterHeaders, mode="validation")
    written["asyncapi.json"] = asyncapi()
    return {path: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for path, document in written.items()}


def write(root: Path = HERE) -> None:
    """Write them, and remove the schemas of events that are no more."""
    wanted = documents()
    for path in (root / "json").glob("*.json"):
        if f"json/{path.name}" not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
