"""What is compared: the product, and the peers whose programs lie in the checkout's tests/benchmarks/peers."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from streams.errors import Unavailable
from streams.local import jars

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHECKOUT = Path(__file__).parents[3]
PEERS = CHECKOUT / "tests" / "benchmarks" / "peers"
PREPARE_SECONDS_MAX = 300
QUIX_NEEDS_UV = "Quix Streams pins an older pydantic, so it runs in an environment that `uv` makes: install uv"

ONCE: Literal["exactly once"] = "exactly once"
LEAST: Literal["at least once"] = "at least once"

Say = "Callable[[str], None]"


class Variant(NamedTuple):
    """One of the systems that are compared."""

    key: str
    title: str
    guarantee: Literal["exactly once", "at least once"]
    command: Callable[[Path, Callable[[str], None]], Sequence[str]]
    """Of a directory to build in, what to run before BOOTSTRAP PREFIX PARTITIONS EVENTS GUARANTEE. Raises
    Unavailable where something is missing, with the reason."""
    mode: str = ""
    """What it is told for GUARANTEE."""
    slow: bool = False
    """Whether it gets a tenth of the events: its rate does not depend on their number, and it would take minutes."""
    catalogue: bool = False
    """Whether it runs all detectors over a simulated portfolio in place of the three rules."""


def _peer(name: str) -> Path:
    path = PEERS / name
    if not path.exists():
        raise Unavailable("the peers' programs are not installed with the package: run it from a checkout")
    return path


def _python(name: str) -> Callable[[Path, Callable[[str], None]], Sequence[str]]:
    def command(_directory: Path, _say: Callable[[str], None]) -> Sequence[str]:
        return sys.executable, str(_peer(name))

    return command


def _product(kind: str) -> Callable[[Path, Callable[[str], None]], Sequence[str]]:
    def command(_directory: Path, _say: Callable[[str], None]) -> Sequence[str]:
        return sys.executable, "-m", "streams.bootstrap.bench_worker", kind

    return command


def _quix(_directory: Path, say: Callable[[str], None]) -> Sequence[str]:
    script = _peer("quix.py")
    uv = _uv()
    say("looking after the environment of Quix Streams")
    _run([*uv, "sync", "--quiet", "--script", str(script)], "Quix Streams could not be installed")
    found = _run([*uv, "python", "find", "--script", str(script)], "uv does not find Quix Streams' environment")
    return found.strip(), str(script)


def _uv() -> list[str]:
    if path := shutil.which("uv"):
        return [path]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    raise Unavailable(QUIX_NEEDS_UV)


def _kafka_streams(directory: Path, say: Callable[[str], None]) -> Sequence[str]:
    source = _peer("kafka_streams/ReferenceJob.java")
    java, javac = jdk(os.environ.get("JAVA_HOME"), shutil.which("javac"))
    path = jars.classpath(say, jars.STREAMS)
    classes = directory / "kafka-streams"
    classes.mkdir(parents=True, exist_ok=True)
    _run([str(javac), "-cp", path, "-d", str(classes), str(source)], "javac could not compile the peer")
    return str(java), "-Xmx1g", "-cp", f"{classes}{os.pathsep}{path}", "ReferenceJob"


def jdk(java_home: str | None, javac: str | None) -> tuple[Path, Path]:
    """`java` and `javac` of one Java development kit: JAVA_HOME's, else the one on the path. Raises Unavailable."""
    bins = [Path(java_home, "bin")] if java_home else []
    bins += [Path(javac).resolve().parent] if javac else []
    for folder in bins:
        if (folder / "javac").exists() and (folder / "java").exists():
            return folder / "java", folder / "javac"
    raise Unavailable("there is no javac: install a JDK of version 17 or later, or set JAVA_HOME")


def _run(command: Sequence[str], otherwise: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, timeout=PREPARE_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise Unavailable(f"{otherwise}: {type(failed).__name__}") from failed
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise Unavailable(f"{otherwise}: {last[0].strip()[:200]}")
    return done.stdout


FAUST, LOOP, PRODUCT, PRODUCT_ALL, STREAMS_ONCE = "faust", "loop-once", "product", "product-all", "streams-once"

VARIANTS = (
    Variant(FAUST, "stock Faust", LEAST, _python("stock_faust.py"), slow=True),
    Variant("quix", "Quix Streams", LEAST, _quix, "at-least-once"),
    Variant("quix-once", "Quix Streams", ONCE, _quix, "exactly-once"),
    Variant("streams", "Kafka Streams, one thread", LEAST, _kafka_streams, "at_least_once"),
    Variant(STREAMS_ONCE, "Kafka Streams v2, one thread", ONCE, _kafka_streams, "exactly_once_v2"),
    Variant("loop", "plain aiokafka loop", LEAST, _python("aiokafka_loop.py"), "at-least-once"),
    Variant(LOOP, "plain aiokafka loop, a transaction a batch", ONCE, _python("aiokafka_loop.py"), "exactly-once"),
    Variant("loop-packed", "the same with hand-made batches", ONCE, _python("aiokafka_loop.py"), "exactly-once-packed"),
    Variant(PRODUCT, "product, the three rules", ONCE, _product("rules")),
    Variant(PRODUCT_ALL, "product, all detectors", ONCE, _product("catalogue"), catalogue=True),
)
"""Everything that `ews bench` compares, from the slowest to the fastest guess."""
