"""The AsyncAPI 3.0 document: every topic as a channel, with its key, layout and messages, seen from the system.

`receive` is what producers send to us, `send` is what subscribers read from us.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from schemas.events import EVENTS, Topic
from schemas.outcomes import OUTCOME_TYPE
from schemas.policies import POLICY_SCHEMA
from schemas.portfolio import COHORT_CHANGED, DAY_PASSED, LINK_CHANGED, MODELS
from schemas.topics import (
    ALERT_OUTCOMES,
    ALERTS,
    COHORTS,
    DEAD_LETTERS,
    LAYOUTS,
    LINKS,
    ORDER,
    POLICIES,
    PORTFOLIO_ORDER,
    PORTFOLIO_STATE,
    STATE,
    TopicLayout,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

BINDING: Final = "0.5.0"
PARTITIONS: Final = 8
"""What `ews topics create` makes of a keyed topic unless told otherwise."""

TOKEN_KEY: Final = {
    "type": "string",
    "pattern": "^[\\x21-\\x7e]{1,128}$",
    "description": "The borrower's token in UTF-8, equal to `subject`. The partition is murmur2 of it.",
}
KEYS: Final[Mapping[str, dict[str, Any]]] = {
    Topic.FEEDS: {"type": "string", "description": "The name of the source, equal to `subject`."},
    ALERTS: TOKEN_KEY | {"description": "The borrower's token; the cohort, source or measure where `scope` says so."},
    ORDER: {"type": "string", "description": "No key: the worker writes lane p to partition p."},
    POLICIES: {"type": "string", "description": "The version of the policy."},
    COHORTS: {"type": "string", "description": "The cohort; of a day that has passed, the lane."},
    LINKS: {"type": "string", "description": "The link; of a day that has passed, the lane."},
    PORTFOLIO_ORDER: {"type": "string", "description": "No key: the worker writes lane p to partition p."},
    PORTFOLIO_STATE: {
        "type": "string",
        "description": "`c:` and the cohort, `l:` and the link, or the reserved key of the lane's position record.",
    },
    DEAD_LETTERS: {"type": "string", "description": "The rejected record's own key, whatever its bytes are."},
    STATE: {
        "type": "string",
        "description": "The borrower's token, or the reserved key of the lane's position record.",
    },
}
MEANINGS: Final[Mapping[str, str]] = {
    Topic.REPAYMENTS: "Loan servicing facts, from payment systems and servicing.",
    Topic.TRANSACTIONS: "Booked account transactions, from banks and wallets.",
    Topic.BUREAU: "Inquiries, tradelines, scores and public records, from bureau gateways.",
    Topic.CONTACTS: "Contacts attempted, reached and undeliverable, from diallers and notifiers.",
    Topic.FEEDS: "Heartbeats: a source says up to when it has sent everything. Without them silence is not an alarm.",
    ALERTS: "Alert episodes. Read committed, deduplicate by alert_id, order by revision.",
    ORDER: "In which order a lane applied its sources, ticks and policies. Replays and audits follow it.",
    POLICIES: "Detector settings, versioned; the last record is in force from the place that `order` records.",
    COHORTS: "Summed status changes by cohort, written by borrower lanes for the second hop.",
    LINKS: "Status changes by hashed link, written by borrower lanes for the second hop.",
    PORTFOLIO_ORDER: "The same of the second hop's lanes: what they applied, and the days that they judged.",
    PORTFOLIO_STATE: "The changelog of the second hop: cohorts and links. Its format is private to the worker.",
    ALERT_OUTCOMES: "What an alert turned out to be: confirmed risk, valuable alert, false positive.",
    DEAD_LETTERS: "Rejected records, bytes as they came, reason and place in headers. They may hold persons.",
    STATE: "The changelog of the borrowers' states. Its format is private to the worker.",
}
CLIENT_WRITES: Final = (*Topic, POLICIES, ALERT_OUTCOMES)
"""Topics whose records come from outside the worker."""
OWN: Final = (ORDER, STATE, COHORTS, LINKS, PORTFOLIO_ORDER, PORTFOLIO_STATE)
"""Topics that the worker keeps for itself."""


def _schema_file(name: str) -> dict[str, Any]:
    return {"schemaFormat": "application/schema+json;version=2020-12", "schema": {"$ref": f"./json/{name}.json"}}


_STEP = {
    "type": "array",
    "minItems": 3,
    "prefixItems": [{"enum": ["run", "tick"]}],
    "description": '["run", topic, first offset, next offset] or ["tick", milliseconds, policy version]',
}
_ORDER_PAYLOAD = {
    "type": "object",
    "required": ["v", "steps"],
    "properties": {"v": {"const": 1}, "steps": {"type": "array", "items": _STEP}},
}
_OPAQUE: Final[Mapping[str, dict[str, Any]]] = {
    ORDER: {"contentType": "application/json", "payload": _ORDER_PAYLOAD},
    POLICIES: {"contentType": "application/json", "payload": _schema_file(POLICY_SCHEMA)},
    PORTFOLIO_ORDER: {"contentType": "application/json", "payload": _ORDER_PAYLOAD},
    PORTFOLIO_STATE: {"contentType": "application/octet-stream", "payload": {"type": "string", "format": "binary"}},
    STATE: {"contentType": "application/octet-stream", "payload": {"type": "string", "format": "binary"}},
}


def asyncapi() -> dict[str, Any]:
    """The whole document."""
    messages = _messages()
    return {
        "asyncapi": "3.0.0",
        "info": _info(),
        "defaultContentType": "application/cloudevents+json",
        "servers": {"local": {"host": "127.0.0.1:9092", "protocol": "kafka", "summary": "As `ews broker` starts it."}},
        "channels": {layout.name: _channel(layout, messages[layout.name]) for layout in LAYOUTS.values()},
        "operations": {f"{_action(name)}_{_identifier(name)}": _operation(name) for name in LAYOUTS},
        "components": {"messages": {name: message for kinds in messages.values() for name, message in kinds.items()}},
    }


def _info() -> dict[str, Any]:
    return {
        "title": "Delinquency early warning",
        "version": "1.0.0",
        "description": "Events in, explained alerts out, exactly once. Values are CloudEvents 1.0 in structured JSON. "
        "Money is integer minor units with an ISO 4217 code; times are RFC 3339 with an offset. "
        "Unknown fields are allowed, unknown types become dead letters.",
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    }


def _messages() -> dict[str, dict[str, dict[str, Any]]]:
    """By topic, the messages by name."""
    messages: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in LAYOUTS}
    for kind, model in EVENTS.items():
        messages[model.topic][kind] = _event_message(kind, model.__doc__ or "", model.topic)
    messages[ALERTS]["ews.alert.v1"] = _event_message("ews.alert.v1", "One revision of an alert episode.", ALERTS)
    messages[ALERT_OUTCOMES][OUTCOME_TYPE] = _event_message(OUTCOME_TYPE, "An alert was judged.", ALERT_OUTCOMES)
    messages[DEAD_LETTERS]["ews.dead_letter.v1"] = _dead_letter()
    for topic, kind in ((COHORTS, COHORT_CHANGED), (LINKS, LINK_CHANGED)):
        for name in (kind, DAY_PASSED):
            messages[topic][name] = _told_message(name, topic)
    for topic, content in _OPAQUE.items():
        messages[topic][f"ews.{_identifier(topic)}.v1"] = {"summary": MEANINGS[topic]} | content | _keyed(topic)
    return messages


def _event_message(name: str, summary: str, topic: str) -> dict[str, Any]:
    return {
        "name": name,
        "summary": summary.splitlines()[0],
        "contentType": "application/cloudevents+json",
        "payload": _schema_file(name),
    } | _keyed(topic)


def _told_message(name: str, topic: str) -> dict[str, Any]:
    return {
        "name": name,
        "summary": (MODELS[name].__doc__ or "").splitlines()[0],
        "contentType": "application/json",
        "payload": _schema_file(name),
    } | _keyed(topic)


def _dead_letter() -> dict[str, Any]:
    return {
        "summary": MEANINGS[DEAD_LETTERS],
        "contentType": "application/octet-stream",
        "headers": _schema_file("ews.dead_letter.headers.v1"),
        "payload": {"type": "string", "format": "binary", "description": "The rejected value as it came."},
    } | _keyed(DEAD_LETTERS)


def _keyed(topic: str) -> dict[str, Any]:
    return {"bindings": {"kafka": {"key": KEYS.get(topic, TOKEN_KEY), "bindingVersion": BINDING}}}


def _channel(layout: TopicLayout, messages: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "address": layout.name,
        "description": MEANINGS[layout.name],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topic": layout.name,
                "partitions": PARTITIONS if layout.keyed else 1,
                "topicConfiguration": {name: _typed(name, value) for name, value in layout.config.items()},
                "bindingVersion": BINDING,
            }
        },
    }


def _typed(name: str, value: str) -> Any:
    if name == "cleanup.policy":
        return value.split(",")
    return float(value) if "." in value else int(value)


def _operation(topic: str) -> dict[str, Any]:
    who = "Producers write these" if topic in CLIENT_WRITES else "Subscribers read these"
    return {
        "action": _action(topic),
        "summary": f"{who if topic not in OWN else 'The worker keeps these for itself'}.",
        "channel": {"$ref": f"#/channels/{topic}"},
        "bindings": {"kafka": {"bindingVersion": BINDING}},
    }


def _action(topic: str) -> str:
    return "receive" if topic in CLIENT_WRITES else "send"


def _identifier(topic: str) -> str:
    return topic.replace("-", "_")
