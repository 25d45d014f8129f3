"""The jars of Apache Kafka, by their Maven coordinates: downloaded once, then taken from the user's cache folder."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from streams.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

KAFKA_VERSION = "4.1.1"
DOWNLOADS_AT_ONCE = 8


class Jars(NamedTuple):
    """A set of jars, with all that they need."""

    name: str
    """Its folder in the cache."""
    title: str
    megabytes: int
    coordinates: tuple[str, ...]
    otherwise: str
    """What one can do who cannot download it."""


BROKER = Jars(
    f"kafka-{KAFKA_VERSION}",
    f"Apache Kafka {KAFKA_VERSION}",
    44,
    # The broker, and the binding without which it logs nothing.
    (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36"),
    "use a cluster of your own with --bootstrap HOST:PORT",
)
STREAMS = Jars(
    f"kafka-streams-{KAFKA_VERSION}",
    f"Kafka Streams {KAFKA_VERSION}",
    95,
    (f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}", "org.slf4j:slf4j-nop:1.7.36"),
    "leave it out of the benchmark with --only",
)
"""A peer of the benchmark."""


def classpath(say: Callable[[str], None], jars: Jars = BROKER) -> str:
    """Java's class path for a set of jars. `say` hears one line when it has to be downloaded. Raises Unavailable."""
    folder = cache_folder() / jars.name
    if not folder.is_dir():
        say(f"downloading {jars.title} into {folder} ({jars.megabytes} MB, the first time only)")
        try:
            _download(folder, jars.coordinates)
        except (OSError, RuntimeError, ValueError, SyntaxError) as failed:
            # No network (OSError), no such file (RuntimeError), something else than Maven's files answers (the others).
            raise Unavailable(
                f"{jars.title} could not be downloaded ({_first_line(failed)}): "
                f"connect this machine, or {jars.otherwise}"
            ) from failed
    return str(folder / "*")


def cache_folder() -> Path:
    """Our folder in the user's cache, where the desktop convention says that it is."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "delinquency-early-warning"


def _download(folder: Path, coordinates: tuple[str, ...]) -> None:
    """Fill a folder beside the target and rename it: the cache holds whole sets only, whoever else downloads."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="download-") as scratch:
        jars = Path(scratch, "jars")
        jars.mkdir()
        for jar in _resolved(Path(scratch, "repository"), coordinates):
            if not zipfile.is_zipfile(jar):
                raise OSError(f"{jar.name} did not arrive whole")
            shutil.move(jar, jars / jar.name)
        try:
            jars.rename(folder)
        except OSError:
            if not folder.is_dir():  # Otherwise another process was faster, with the same jars.
                raise


def _resolved(repository: Path, coordinates: tuple[str, ...]) -> list[Path]:
    """The jars of these coordinates and of all that they need. jgo is slow to import, so only for a download."""
    from dataclasses import replace  # noqa: PLC0415

    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415
    from jgo.parse import Coordinate  # noqa: PLC0415

    maven = MavenContext(repo_cache=repository, remote_repos={"central": MAVEN_CENTRAL_URL})
    wanted = [maven.create_dependency(replace(Coordinate.parse(c), scope="compile")) for c in coordinates]
    named, further = maven.resolver.resolve(wanted)
    artifacts = [needed.artifact for needed in (*named, *further) if needed.scope in {"compile", "runtime"}]
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        return list(pool.map(lambda artifact: artifact.resolve(), artifacts))


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
