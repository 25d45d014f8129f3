"""`ews bench` from end to end, as small as it goes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import orjson
import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

EWS = (sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())")
SECONDS_MAX = 600


def test_the_product_and_a_peer_are_compared_and_both_are_right(broker: str, tmp_path: Path) -> None:
    """Throughput, CPU time, memory and latency of each, with alerts that were checked; the peer is a checkout's."""
    file, plot = tmp_path / "bench.json", tmp_path / "bench.png"
    size = ("--events", "20000", "--borrowers", "400", "--rounds", "1", "--pace-seconds", "0.5")
    command = [*EWS, "bench", "--only", "loop-once,product", *size, "--bootstrap", broker]
    done = subprocess.run(
        [*command, "--json", file, "--plot", plot], capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    assert (0, True) == (done.returncode, plot.exists()), done.stderr
    found = orjson.loads(file.read_bytes())
    assert [("loop-once", True), ("product", True)] == [(row["variant"], row["right"]) for row in found["medians"]]
    assert all(row["rate"] > 0 and row["cpu_seconds_per_million"] > 0 for row in found["medians"])
    assert all(row["memory_bytes"] > 2**20 for row in found["medians"])
    assert {"loop-once", "product"} == {row["variant"] for row in found["latencies"]}
    assert all(0 < row["p50_ms"] <= row["p99_ms"] <= row["max_ms"] for row in found["latencies"])
