"""Containers for tests: the image of the product, built once a session, its processes, and the servers beside them."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from schemas.alerts import Alert
from schemas.topics import ALERTS
from streams import clock
from streams.errors import Unavailable
from streams.kafka.connection import connection, topic_name
from streams.kafka.topics import create_topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from streams.settings import Settings

ROOT = Path(__file__).parents[2]
KAFKA = "apache/kafka:4.1.1"
CONTEXT = ("LICENSE", "README.md", "pyproject.toml", ".dockerignore", "deploy", "schemas", "streams")
WAIT_SECONDS = 300.0
BUILD_SECONDS = 900.0

testcontainers_config.ryuk_disabled = True  # A `with` removes each container; the reaper is one more image to pull.


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def until(condition: Callable[[], object], what: str) -> None:
    """Poll a condition until it holds."""
    deadline = clock.monotonic() + WAIT_SECONDS
    while not condition():
        assert clock.monotonic() < deadline, f"not {what} in {WAIT_SECONDS} s"
        time.sleep(0.2)  # between two questions to other processes; the deadline ends it


def broker(port: int, controller: int) -> DockerContainer:
    """One broker on this machine's loopback; it keeps its data over a restart of the container."""
    settings = {
        "NODE_ID": "1", "PROCESS_ROLES": "broker,controller", "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "CONTROLLER_QUORUM_VOTERS": f"1@127.0.0.1:{controller}", "INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        "LISTENERS": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "OFFSETS_TOPIC_REPLICATION_FACTOR": "1", "TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "TRANSACTION_STATE_LOG_MIN_ISR": "1", "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "AUTO_CREATE_TOPICS_ENABLE": "false",
    }  # fmt: skip
    container = DockerContainer(KAFKA, network_mode="host")
    for name, value in settings.items():
        container.with_env(f"KAFKA_{name}", value)
    return container


def topics_made(settings: Settings) -> None:
    """The topics, once the broker answers."""
    deadline = clock.monotonic() + WAIT_SECONDS
    while True:
        try:
            asyncio.run(create_topics(settings))
        except Unavailable:
            assert clock.monotonic() < deadline, "the broker did not come up"
        else:
            return


def built(tag: str, context: Path = ROOT) -> str:
    """The image of a source tree. Layers that an earlier build made are taken from there.

    Where this machine takes packages from a mirror, the build does too: both arguments have their values from the
    environment, if it has any.
    """
    arguments = ("--build-arg", "PIP_INDEX_URL", "--build-arg", "UV_DEFAULT_INDEX")
    command = ["docker", "build", "--quiet", *arguments, "--file", f"{context}/deploy/Dockerfile", "--tag", tag]
    answer = subprocess.run(
        [*command, str(context)], capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    assert 0 == answer.returncode, answer.stdout + answer.stderr
    return tag


def later_release(folder: Path, tag: str) -> str:
    """An image of the same tree with one thing changed, as a next release is built on another day."""
    for name in CONTEXT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    with (folder / "streams" / "__init__.py").open("a", encoding="utf-8") as package:
        package.write('\nRELEASE = "later"\n')
    return built(tag, folder)


def process(image: str, *arguments: str, settings: Mapping[str, str], again: bool = False) -> DockerContainer:
    """A process of the product as a cluster would confine it: nothing written but /tmp, no capability left.

    With `again`, what ends with a failure is started anew, as an orchestrator does.
    """
    container = DockerContainer(
        image,
        network_mode="host",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        restart_policy={"Name": "on-failure"} if again else None,
    )
    container.with_tmpfs_mount("/tmp")  # noqa: S108 - the container's own
    container.with_env("EWS_METRICS_HOST", "127.0.0.1")
    container.with_env("EWS_METRICS_PORT", "0")  # They share this machine's ports; a test that asks names one.
    container.with_env("EWS_API_HOST", "127.0.0.1")
    for name, value in settings.items():
        container.with_env(name, value)
    container.with_command(list(arguments))
    return container


def end(container: DockerContainer) -> int:
    """Ask a process to stop; its exit code."""
    wrapped = container.get_wrapped_container()
    wrapped.stop(timeout=60)
    code: int = wrapped.wait(timeout=60)["StatusCode"]
    return code


def alerts_on(settings: Settings) -> list[Alert]:
    """All that stands on the topic of alerts, as a subscriber reads it."""
    return asyncio.run(_alerts(settings))


async def _alerts(settings: Settings) -> list[Alert]:
    topic = topic_name(settings, ALERTS)
    partitions = [TopicPartition(topic, number) for number in range(settings.partitions)]
    consumer = AIOKafkaConsumer(
        **connection(settings), isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        found: list[Alert] = []
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [Alert.model_validate_json(record.value) for record in records]
        return found
    finally:
        await consumer.stop()


class Receiver:
    """Whoever hears the signed webhook: what came, and by which headers."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Keep it."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                heard.append((dict(self.headers.items()), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def telling(container: DockerContainer) -> Iterator[DockerContainer]:
    """A container that is run, and whose log is shown when the test fails."""
    with container:
        try:
            yield container
        except BaseException:
            for part in container.get_logs():  # Where pytest shows it with the failure.
                sys.stdout.write(part.decode(errors="replace")[-6_000:])
            raise


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """What every process of a test's system is told."""
    return {
        "EWS_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "EWS_PARTITIONS": str(settings.partitions),
        "EWS_TOPIC_PREFIX": settings.topic_prefix,
        "EWS_APP": settings.app,
    } | more
