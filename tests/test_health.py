from __future__ import annotations

import socket

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from streams import health
from streams.errors import Misconfigured
from streams.settings import load


async def test_it_says_whether_it_is_ready() -> None:
    """/readyz follows the callable, 200 or 503, while /healthz says that the process lives."""
    state = {"ready": False}
    async with health.serve(load(), ready=lambda: state["ready"]) as port, client(port) as http:
        assert 200 == (await http.get("/healthz")).status_code
        assert 503 == (await http.get("/readyz")).status_code
        state["ready"] = True
        assert 200 == (await http.get("/readyz")).status_code


async def test_it_shows_every_metric() -> None:
    """/metrics holds the counters of the process in the format of Prometheus."""
    registry = CollectorRegistry()
    Counter("ews_test_health", "Only of this test.", registry=registry).inc(3)
    async with health.serve(load(), ready=lambda: True, registry=registry) as port, client(port) as http:
        answer = await http.get("/metrics")
    assert "ews_test_health_total 3.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")


async def test_a_port_in_use_is_a_mistake_of_the_settings() -> None:
    """Another listener on the port is reported with the setting that has to change."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"127.0.0.1:{taken}.*EWS_METRICS_PORT"):
            async with health.serve(load(metrics_port=taken), ready=lambda: True):
                pass


async def test_it_listens_on_loopback_only() -> None:
    """Unless it is told otherwise, nobody outside the machine sees the metrics."""
    assert "127.0.0.1" == load().metrics_host


def client(port: int) -> httpx.AsyncClient:
    """A client of the served port that no proxy setting diverts."""
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)
