"""Writes what is made from code: the Grafana JSON and docs/metrics.md. Run it as `uv run poe dashboards`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from prometheus_client import Counter, Gauge

from dashboards.pipeline import pipeline
from streams.metrics import LABELS, Definition, definitions

ROOT = Path(__file__).parents[1]
_INTRODUCTION = """# Metrics

This page is made from `streams/metrics.py` by `uv run poe dashboards`.

Every process serves its metrics under `/metrics` on its own port (`EWS_METRICS_HOST`, `EWS_METRICS_PORT`), on loopback
unless told otherwise. A process fills the metrics of what it does. None has a borrower, a loan or a person in a label.
Times are in seconds, sizes in bytes; a counter ends in `_total`. `dashboards/pipeline.json` shows them all in Grafana.
"""


def documents() -> dict[str, str]:
    """Every generated file by its path from the root."""
    return {
        "dashboards/pipeline.json": json.dumps(_plain(pipeline()), indent=2, sort_keys=True, ensure_ascii=False) + "\n",
        "docs/metrics.md": metrics_page(),
    }


def _plain(builder: Any) -> Any:
    return json.loads(JSONEncoder().encode(builder.build()))


def metrics_page() -> str:
    """The page that lists every metric and what bounds each label."""
    rows = [f"| `{each.name}` | {_kind(each)} | {_labels(each)} | {each.meaning} |" for each in definitions()]
    bounds = [f"| `{name}` | {bound} |" for name, bound in LABELS.items()]
    return "\n".join(
        [
            _INTRODUCTION,
            "| metric | kind | labels | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "## Labels",
            "",
            "| label | values |",
            "| --- | --- |",
            *bounds,
            "",
        ]
    )


def _kind(definition: Definition[Any]) -> str:
    return "counter" if definition.kind is Counter else "gauge" if definition.kind is Gauge else "histogram"


def _labels(definition: Definition[Any]) -> str:
    return ", ".join(f"`{label}`" for label in definition.labels) or "-"


def write(root: Path = ROOT) -> None:
    """Write them."""
    for path, text in documents().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
