from __future__ import annotations

from typing import Any

import pytest

from schemas import generate
from schemas.asyncapi import asyncapi
from schemas.events import EVENTS
from schemas.topics import LAYOUTS, SOURCES
from tests.schemas.goldens import load

DOCUMENT = asyncapi()
REFERENCES = {
    "channels": "#/channels/",
    "messages": "#/components/messages/",
}


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [ref for value in part.values() for ref in _references(value)]
    return [ref for value in part for ref in _references(value)] if isinstance(part, list) else []


def _target(reference: str) -> Any:
    if reference.startswith("./"):
        return load(generate.HERE / reference)
    part: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        part = part[name]
    return part


def test_the_document_has_the_parts_that_asyncapi_3_requires() -> None:
    """Version, info with title and version, and only the root fields that AsyncAPI 3.0 knows."""
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    known = {"asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components"}
    assert DOCUMENT.keys() <= known
    assert all({"host", "protocol"} <= server.keys() for server in DOCUMENT["servers"].values())


def test_every_reference_leads_somewhere() -> None:
    """Each $ref is found, in the document or as a schema file beside it."""
    references = set(_references(DOCUMENT))
    assert len(references) > len(LAYOUTS)
    assert all(_target(reference) for reference in references)


def test_every_topic_is_a_channel_with_key_partitions_and_config() -> None:
    """Channels are the topics, each with its Kafka binding as `ews topics create` lays it out."""
    assert set(LAYOUTS) == set(DOCUMENT["channels"])
    for name, channel in DOCUMENT["channels"].items():
        binding = channel["bindings"]["kafka"]
        assert channel.keys() <= {"address", "description", "messages", "bindings"}
        assert (name, name) == (channel["address"], binding["topic"])
        assert binding["partitions"] >= 1
        assert set(LAYOUTS[name].config) == set(binding["topicConfiguration"])
        assert set(binding["topicConfiguration"].get("cleanup.policy", [])) <= {"compact", "delete"}
        assert channel["messages"]


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_channel_has_one_operation(name: str) -> None:
    """Producers' topics are received, the others are sent; no channel is without a direction."""
    found = [each for each in DOCUMENT["operations"].values() if each["channel"]["$ref"] == f"#/channels/{name}"]
    assert len(found) == 1
    assert found[0]["action"] in ("send", "receive")
    if name in SOURCES:
        assert found[0]["action"] == "receive"


def test_every_event_type_is_a_message_of_its_topic_alone() -> None:
    """A producer finds each event type in exactly one channel, with its schema."""
    for kind, model in EVENTS.items():
        holders = [name for name, channel in DOCUMENT["channels"].items() if kind in channel["messages"]]
        assert [model.topic] == holders
        payload = DOCUMENT["components"]["messages"][kind]["payload"]
        assert f"./json/{kind}.json" == payload["schema"]["$ref"]


def test_every_message_says_what_its_key_is() -> None:
    """Each message has a content type, a summary and a Kafka key."""
    for message in DOCUMENT["components"]["messages"].values():
        assert message["contentType"]
        assert message["summary"]
        assert message["bindings"]["kafka"]["key"]["type"] == "string"
