"""The rules of deploy/prometheus/ as Prometheus loads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from dashboards.generate import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER: Final = ROOT / "deploy" / "prometheus"
FILES: Final = ("recording.yaml", "alerts.yaml")


@dataclass(frozen=True)
class Rule:
    """One rule: an alert, or a recording of a series under a new name."""

    name: str
    expression: str
    is_alert: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def rules() -> Iterator[Rule]:
    """Every rule, recordings first."""
    for file in FILES:
        document = yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))
        for group in document["groups"]:
            yield from map(_rule, group["rules"])


def _rule(raw: dict[str, Any]) -> Rule:
    name = raw.get("alert") or raw["record"]
    return Rule(name, raw["expr"].strip(), "alert" in raw, raw.get("labels", {}), raw.get("annotations", {}))
