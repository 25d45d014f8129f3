from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import promql_parser
import pytest
from prometheus_client import Counter, Gauge, Histogram, start_http_server
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from dashboards import generate
from dashboards.check import Expression, as_promql, check_dashboard, expressions, main
from schemas.codec import Reason
from schemas.topics import SOURCES
from streams.metrics import LABELS, Definition, Metrics
from tests.contracts.test_metrics import DEFINED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMETHEUS = "prom/prometheus:v2.42.0"
DEPLOY = generate.ROOT / "deploy" / "prometheus"
DASHBOARD = json.loads((generate.ROOT / "dashboards" / "pipeline.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = list(expressions())
SUFFIXES = {Counter: ("",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}
SERIES: dict[str, Definition[Any]] = {
    definition.name + suffix: definition for definition in DEFINED for suffix in SUFFIXES[definition.kind]
}
SCRAPE_SECONDS = 1
WAIT_SECONDS = 60


def _names(expression: Expression) -> str:
    return expression.text


def _selectors(part: Any) -> Iterator[Any]:
    """The vector selectors of a parsed expression."""
    if isinstance(part, promql_parser.VectorSelector):
        yield part
    inner = [getattr(part, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")]
    for each in (*inner, *getattr(part, "args", ())):
        if each is not None:
            yield from _selectors(each)


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


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_answers_a_question(panel: dict[str, Any]) -> None:
    """The title is a question; a description, a unit, thresholds, an id and the chosen Prometheus are there."""
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"].endswith("?")
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["thresholds"]["steps"][0] == {"color": "green", "value": None}
    assert panel["id"]
    assert {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])} == {
        "${datasource}"
    }


def test_panels_and_rows_are_told_apart() -> None:
    """Ids are distinct, so that a link to a panel leads there."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=_names)
def test_an_expression_names_only_metrics_and_labels_that_exist(expression: Expression) -> None:
    """The expression parses; its series, and the labels it selects and groups by, are those of streams/metrics.py."""
    selectors = list(_selectors(promql_parser.parse(as_promql(expression.text))))
    assert selectors
    assert {selector.name for selector in selectors} <= set(SERIES)
    labels = {label for selector in selectors for label in SERIES[selector.name].labels}
    matched = {matcher.name for selector in selectors for matcher in selector.matchers.matchers}
    grouped = {name.strip() for names in re.findall(r"by \(([^)]*)\)", expression.text) for name in names.split(",")}
    assert matched | grouped - {"le"} <= labels


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_legend_shows_only_labels_that_its_expression_keeps(panel: dict[str, Any]) -> None:
    """No legend is left with an empty place."""
    for target in panel["targets"]:
        grouped = {name.strip() for names in re.findall(r"by \(([^)]*)\)", target["expr"]) for name in names.split(",")}
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) == grouped - {"le"}


def test_every_metric_is_on_a_panel() -> None:
    """A metric that nobody looks at need not be kept."""
    shown = {
        SERIES[selector.name].name
        for expression in EXPRESSIONS
        for selector in _selectors(promql_parser.parse(as_promql(expression.text)))
    }
    assert shown == {definition.name for definition in DEFINED}


def _values(label: str) -> list[str]:
    known = {"topic": list(SOURCES), "reason": list(Reason), "partition": ["0", "1"]}
    return [str(value) for value in known.get(label, LABELS[label].split(", ")[:2])]


def _live(metrics: Metrics) -> Iterator[Any]:
    """Every metric, with labels as a small system has them."""
    for definition in DEFINED:
        metric = getattr(metrics, definition.attribute)
        if not definition.labels:
            yield metric
            continue
        values = [_values(label) for label in definition.labels]
        for number in range(max(map(len, values))):
            yield metric.labels(*(each[number % len(each)] for each in values))


def _step(metrics: Metrics, number: int) -> None:
    """A small system goes on: everything that can be counted is counted once more."""
    metrics.alerts.labels("missed_installment", "watch", "opened", "live").inc()
    for metric in _live(metrics):
        if isinstance(metric, Counter):
            metric.inc()
        elif isinstance(metric, Gauge):
            metric.set(number)
        else:
            metric.observe(0.01 * number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def served() -> Iterator[tuple[Metrics, int]]:
    """Real metrics, served over HTTP as a process does."""
    metrics = Metrics()
    server, thread = start_http_server(0, addr="127.0.0.1", registry=metrics.registry)
    yield metrics, server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def no_reaper(monkeypatch: pytest.MonkeyPatch) -> None:
    """The container is removed by the test itself; the reaper would be one more image from the network."""
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)


def _scraping(folder: Path, target: int) -> tuple[DockerContainer, str]:
    """A Prometheus on this machine's loopback that scrapes one port, and its address."""
    config = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": f"{SCRAPE_SECONDS}s"},
        "scrape_configs": [{"job_name": "ews", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
    }
    folder.chmod(0o755)
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML.
    port = _free_port()
    container = DockerContainer(PROMETHEUS, network_mode="host", volumes=[(str(folder), "/config", "ro")])
    container.with_command(f"--config.file=/config/prometheus.yml --web.listen-address=127.0.0.1:{port}")
    return container, f"http://127.0.0.1:{port}"


def _until_full(url: str, metrics: Metrics) -> list[Any]:
    """What is still empty once Prometheus has had time to scrape a system that goes on."""
    deadline, number, empty = time.monotonic() + WAIT_SECONDS, 1, [Expression("", "nothing was asked")]
    while empty and time.monotonic() < deadline:
        number += 1
        _step(metrics, number)
        with contextlib.suppress(httpx.TransportError):  # Not up yet.
            empty = check_dashboard(url, window=f"{10 * SCRAPE_SECONDS}s")
    return empty


@pytest.mark.docker
@pytest.mark.usefixtures("no_reaper")
def test_every_panel_shows_data_in_a_real_prometheus(tmp_path: Path, served: tuple[Metrics, int]) -> None:
    """Prometheus scrapes the real registry of a small system, and each expression of each panel gives numbers."""
    metrics, port = served
    container, url = _scraping(tmp_path, port)
    with container:
        assert _until_full(url, metrics) == []


@pytest.mark.docker
def test_the_deployed_prometheus_configuration_is_valid() -> None:
    """Promtool accepts deploy/prometheus/prometheus.yml."""
    command = ["docker", "run", "--rm", "--network", "none", "-v", f"{DEPLOY}:/config:ro", "--entrypoint", "promtool"]
    checked = subprocess.run(
        [*command, PROMETHEUS, "check", "config", "/config/prometheus.yml"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


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
        empty, said = check_dashboard(url), main(url)
        server.shutdown()
        thread.join()
    assert [each.why for each in empty] == [why] * (len(EXPRESSIONS) if why else 0)
    assert (said is None) == (why is None)
