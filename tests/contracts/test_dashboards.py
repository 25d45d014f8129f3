from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import combinations
from threading import Thread
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import Counter, Gauge, Histogram

from dashboards import generate
from dashboards.check import as_promql, check, expressions, main, selectors
from dashboards.generate import BOARDS
from dashboards.rules import rules
from tests.contracts.test_metrics import DEFINED

if TYPE_CHECKING:
    from pathlib import Path

    from dashboards.check import Expression
    from streams.metrics import Definition

JSON = {board.uid: json.loads((generate.ROOT / board.path).read_text(encoding="utf-8")) for board in BOARDS}
PANELS = {
    f"{uid}: {panel['title']}": panel
    for uid, board in JSON.items()
    for panel in board["panels"]
    if panel["type"] != "row"
}
EXPRESSIONS = list(expressions())
SUFFIXES = {Counter: ("",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}
SERIES: dict[str, Definition[Any]] = {
    definition.name + suffix: definition for definition in DEFINED for suffix in SUFFIXES[definition.kind]
}
OF_PROMETHEUS = {"up", "process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}
"""What every target has."""
OF_TARGETS = {"job", "instance"}
RECORDED = {rule.name for rule in rules() if not rule.is_alert}
UNITS = {"short", "s", "bytes", "percentunit", "eps", "ops"}
"""Names of Grafana's own. A name that it does not know is shown as a suffix behind the number."""


NAMES = [f"{number} {each.place}: {each.panel}" for number, each in enumerate(EXPRESSIONS)]


def _grouped(expression: str) -> set[str]:
    """The labels that an expression is summed by."""
    found = re.findall(r"by \(([^)]*)\)", expression)
    return {name.strip() for names in found for name in names.split(",")}


def _kept(expression: str) -> set[str]:
    """The labels that the result of an expression may have."""
    if grouped := _grouped(expression):
        return grouped - {"le"}
    parsed = promql_parser.parse(as_promql(expression))
    return {label for each in selectors(parsed) for label in SERIES[each.name].labels}


@pytest.mark.parametrize("path", sorted(generate.documents()))
def test_the_generated_files_are_up_to_date(path: str) -> None:
    """`poe dashboards` was run after the last change of a metric or a panel."""
    written = (generate.ROOT / path).read_text(encoding="utf-8")
    assert written == generate.documents()[path], "run `uv run poe dashboards`"


def test_generation_writes_every_file(tmp_path: Path) -> None:
    """Writing anew gives the same files, folders included."""
    generate.write(tmp_path)
    assert set(generate.documents()) == {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_panel_answers_a_question(panel: dict[str, Any]) -> None:
    """The title is a question; a description, a unit, thresholds, an id and the chosen Prometheus are there."""
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"].endswith("?")
    assert panel["description"].endswith(".")
    assert defaults["unit"] in UNITS
    assert defaults["thresholds"]["steps"][0] == {"color": "green", "value": None}
    assert panel["id"]
    assert {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])} == {
        "${datasource}"
    }


@pytest.mark.parametrize("uid", JSON)
def test_panels_and_rows_are_told_apart(uid: str) -> None:
    """Ids are distinct, so that a link to a panel leads there; and no panel lies on another."""
    panels = JSON[uid]["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids))
    assert len({panel["title"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)


@pytest.mark.parametrize("uid", JSON)
def test_a_dashboard_is_what_grafanas_schema_knows(uid: str) -> None:
    """Read by the models that are generated from Grafana's schema and written again, nothing is lost or changed."""
    register_default_plugins()
    read = Dashboard.from_json(JSON[uid])
    assert json.loads(JSONEncoder().encode(read)) == JSON[uid]


def test_every_dashboard_leads_to_the_others() -> None:
    """One link offers all that carry the tag, with time and choices; links of panels lead to boards that are there."""
    for board in JSON.values():
        [link] = board["links"]
        assert link["tags"] == board["tags"]
        assert link["keepTime"]
        assert link["includeVars"]
    leading = {link["url"] for panel in PANELS.values() for link in panel.get("links") or ()}
    assert leading
    assert {url.split("/")[2].partition("?")[0] for url in leading} <= set(JSON)


@pytest.mark.parametrize("uid", JSON)
def test_every_choice_narrows_something(uid: str) -> None:
    """Each variable is asked of a metric that has the label, offers all, and stands in an expression of the board."""
    chosen = [each for each in JSON[uid]["templating"]["list"] if each["type"] == "query"]
    assert chosen
    text = json.dumps(JSON[uid]["panels"])
    for variable in chosen:
        metric, label = re.fullmatch(r"label_values\((\w+)[^,]*, (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr]
        assert label in SERIES[metric].labels
        assert (variable["includeAll"], variable["allValue"]) == (True, ".*")
        assert f"${variable['name']}" in text
    used = {name for each in EXPRESSIONS if each.place == uid for name in re.findall(r"\$(\w+)", each.text)}
    assert {each["name"] for each in chosen} == {name for name in used if not name.startswith("__")}


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=NAMES)
def test_an_expression_names_only_metrics_and_labels_that_exist(expression: Expression) -> None:
    """The expression parses; its series, and the labels it selects and groups by, are those of streams/metrics.py."""
    found = list(selectors(promql_parser.parse(as_promql(expression.text))))
    assert found
    assert {each.name for each in found} <= set(SERIES) | OF_PROMETHEUS | RECORDED
    labels = {label for each in found if each.name in SERIES for label in SERIES[each.name].labels} | OF_TARGETS
    recorded = any(each.name in RECORDED for each in found)
    matched = {matcher.name for each in found for matcher in each.matchers.matchers}
    assert recorded or matched | _grouped(expression.text) - {"le"} <= labels


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_legend_shows_only_labels_that_its_expression_keeps(panel: dict[str, Any]) -> None:
    """No legend is left with an empty place, and none hides what its curves are told apart by."""
    for target in panel["targets"]:
        shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        assert shown <= _kept(target["expr"])
        assert shown >= _grouped(target["expr"]) - {"le", "detector"} or "detector" in shown


def test_every_metric_is_on_a_panel() -> None:
    """A metric that nobody looks at need not be kept."""
    shown = {
        SERIES[each.name].name
        for expression in EXPRESSIONS
        if expression.place in JSON
        for each in selectors(promql_parser.parse(as_promql(expression.text)))
        if each.name in SERIES
    }
    assert shown == {definition.name for definition in DEFINED}


class _FakePrometheus(BaseHTTPRequestHandler):
    """Answers every query alike."""

    answer: dict[str, Any]

    def do_GET(self) -> None:
        """The one answer."""
        body = json.dumps(self.answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"status": "success", "data": {"result": []}}, "no series"),
        ({"status": "success", "data": {"result": [{"value": [0, "NaN"]}]}}, "no number"),
        ({"status": "error", "error": "parse error"}, "parse error"),
        ({"status": "success", "data": {"result": [{"value": [0, "NaN"]}, {"value": [0, "1"]}]}}, None),
    ],
    ids=["empty", "nan", "error", "data"],
)
def test_the_check_tells_an_empty_panel_from_a_full_one(answer: dict[str, Any], why: str | None) -> None:
    """No series, no number and an error are each reported for every expression; one real number is enough."""
    handler = type("Handler", (_FakePrometheus,), {"answer": answer})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        empty, said = check(url), main(url)
        server.shutdown()
        thread.join()
    assert [each.why for each in empty] == [why] * (len(EXPRESSIONS) if why else 0)
    assert (said is None) == (why is None)
