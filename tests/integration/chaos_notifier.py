"""Kill -9 on the notifier and the case process, while a provider fails and is down: what comes out in the end?

    python -m tests.integration.chaos_notifier --alerts 100000 --kills 10

Every fifth answer of the provider is a fault, half of those after it has taken the message; for a while it does not
answer at all. It is idempotent: it takes each key once and counts repeats. Expected: one message for each alert, step
and channel, written out here from the alerts and from nothing of the notifier; and cases whose content is that of a run
that nobody disturbed. The contact rules are those of a pack that allows every hour.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from schemas.alerts import Measure
from schemas.topics import ALERTS, partition_of
from streams.casework.contact import Channel, IncomingRecord, NewAddress
from streams.casework.ladder import Ladder
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.metrics import Metrics
from streams.stores.case import canonical, content
from streams.stores.case_reading import every_case
from streams.stores.cases import CaseStore
from streams.stores.cipher import AddressCipher, new_key
from streams.stores.contacts import ContactStore
from streams.stores.database import CONTACTS, open_database
from streams.stores.messages import MessageStore
from tests.consumers.builders import START, alert
from tests.consumers.processes import PARTITIONS, Cluster, Process, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from schemas.alerts import Alert
    from streams.stores.database import Database

TOKEN = "a-bearer-token"
OPEN_PACK = """\
title = "Every hour"
[hours]
from = "00:00"
until = "23:59:59.999999"
document = "A test"
[[caps]]
contacts_max = 100
days = 1
counts = ["call"]
per = "borrower"
document = "A test"
"""
FAULTS = 0.2
BATCH = 500
ALERTS_OF_ONE = 4


class Provider:
    """An idempotent provider of every channel. What it took is what it has counted, whatever it answered."""

    def __init__(self, seed: int) -> None:
        self.taken: Counter[tuple[str, str]] = Counter()
        self.repeats = self.requests = self.faults = 0
        self.down = False
        self.wrong: list[str] = []
        self._dice = random.Random(seed)  # noqa: S311 - a test's dice
        self._lock = threading.Lock()

    def answer(self, channel: str, headers: dict[str, str], body: bytes) -> int:
        """The status of the answer; 0 for none."""
        with self._lock:
            self.requests += 1
            if self.down:
                self.faults += 1
                return 0
            fault = self._dice.random() < FAULTS
            self.faults += fault
            if fault and self._dice.random() < 0.5:
                return 503
            key = headers["idempotency-key"]
            if headers["authorization"] != f"Bearer {TOKEN}" or orjson.loads(body)["reference"] != key:
                self.wrong.append(key)
            if (channel, key) in self.taken:
                self.repeats += 1
                return 503 if fault else 409
            self.taken[channel, key] += 1
            return 503 if fault else 202


@contextmanager
def serving(provider: Provider) -> Iterator[str]:
    """The provider on loopback; its URL, to which a channel's name is added."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            body = self.rfile.read(size)
            if len(body) < size:  # The sender was killed in the middle.
                return
            status = provider.answer(self.path.strip("/"), {k.lower(): v for k, v in self.headers.items()}, body)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A sender that was killed is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def written_alerts(number: int, now: datetime) -> list[Alert]:
    """Alerts of now, four for each borrower: a reminder, a text message, a call, and one that opens a case."""
    hours, onset = (now - START) / timedelta(hours=1), now.date()
    common: dict[str, Any] = {"hours": hours, "onset": onset}
    due = (Measure(name="due_minor", value=5_000),)
    made = []
    for borrower in (f"b-{n}" for n in range(number // ALERTS_OF_ONE)):
        made += [
            alert(borrower=borrower, detector="upcoming_installment", severity="info", dpd=0, measures=due, **common),
            alert(borrower=borrower, loan="l-2", severity="info", step=1, dpd=1, **common),
            alert(borrower=borrower, loan="l-3", severity="watch", step=5, dpd=5, **common),
            alert(borrower=borrower, loan="l-4", severity="high", step=15, dpd=15, **common),
        ]
    return made


def expected_messages(alerts: Sequence[Alert]) -> set[tuple[str, str]]:
    """(alert, channel) of every message that is to go out: text messages for the mild steps, a call from day five."""
    channels = {("upcoming_installment", 1): "sms", ("missed_installment", 1): "sms", ("missed_installment", 5): "call"}
    return {
        (str(told.id), channels[told.data.detector, told.data.step])
        for told in alerts
        if (told.data.detector, told.data.step) in channels
    }


def undisturbed(folder: Path, alerts: Sequence[Alert]) -> str:
    """The digest of the cases that the alerts give in one process that nobody kills, without Kafka."""
    by_partition: dict[int, list[Alert]] = {}
    for told in alerts:
        by_partition.setdefault(partition_of(told.subject.encode(), PARTITIONS), []).append(told)
    with open_database(f"sqlite:///{folder}/undisturbed.db") as database:
        creator = CaseCreator(CaseStore(database), Ladder.standard(), Metrics())
        for partition, part in by_partition.items():
            for start in range(0, len(part), BATCH):
                some = tuple(part[start : start + BATCH])
                creator.take(Batch(ALERTS, partition, start, start + len(some), some))
        return digest_of_cases(database)


def digest_of_cases(database: Database) -> str:
    """SHA-256 over the content of every case, and how many there are."""
    digest, number = hashlib.sha256(), 0
    with database.read() as connection:
        for case, held, work in every_case(connection):
            digest.update(canonical(content(case, held, work.promises, work.approvals, work.plans)))
            number += 1
    return f"{number} cases {digest.hexdigest()[:16]}"


def fill_contacts(folder: Path, alerts: Sequence[Alert], key: str) -> None:
    """A record with both addresses for every borrower."""
    agreed = datetime(2026, 1, 1, tzinfo=UTC)
    borrowers = sorted({told.subject for told in alerts})
    with open_database(f"sqlite:///{folder}/contacts.db", CONTACTS) as database:
        store = ContactStore(database, AddressCipher(key))
        for start in range(0, len(borrowers), BATCH):
            store.put_all([_record(one, agreed) for one in borrowers[start : start + BATCH]], agreed)


def _record(borrower: str, agreed: datetime) -> IncomingRecord:
    number = borrower.removeprefix("b-")
    addresses = tuple(
        NewAddress(channel=channel, address=f"+49{way}{number:0>8}", consented_at=agreed, consent_source="test")
        for channel, way in ((Channel.SMS, 1), (Channel.CALL, 2))
    )
    return IncomingRecord(
        borrower=borrower, zone="Asia/Shanghai", language="zh", source="test", country="CN", addresses=addresses
    )


class Chaos:
    """One run."""

    def __init__(self, cluster: Cluster, folder: Path, provider: Provider, url: str, alerts: Sequence[Alert]) -> None:
        self.cluster, self.folder, self.provider, self.alerts = cluster, folder, provider, alerts
        self.expected = expected_messages(alerts)
        key = new_key()
        (folder / "packs").mkdir()
        (folder / "packs" / "open.toml").write_text(OPEN_PACK)
        fill_contacts(folder, alerts, key)
        self.settings = {
            "database_url": f"sqlite:///{folder}/cases.db",
            "contacts_url": f"sqlite:///{folder}/contacts.db",
            "contacts_key": key,
            "contact_packs": "open",
            "contact_packs_dir": folder / "packs",
            "borrower_channels": "sms,call",
            "sms_url": f"{url}/sms",
            "call_url": f"{url}/call",
            "provider_token": TOKEN,
        }

    def run(self, *, kills: int, down_seconds: float, seconds_max: float, say: Callable[[str], None]) -> dict[str, Any]:
        """Write the alerts, run both processes, kill them, take the provider down; the figures."""
        self.cluster.write(self.alerts)
        say(f"{len(self.alerts)} alerts are on the broker")
        begun = time.monotonic()
        with processes() as start, open_database(str(self.settings["database_url"])) as database:
            threads = [
                threading.Thread(target=self._kill, args=(start, name, progress, kills, begun + seconds_max, say))
                for name, progress in (("notifier", self._sent), ("cases", lambda: self._taken_up(database)))
            ]
            for thread in threads:
                thread.start()
            self._take_down(down_seconds, begun + seconds_max, say)
            for thread in threads:
                thread.join()
            return self._figures(database, time.monotonic() - begun)

    def _kill(  # noqa: PLR0917 - a thread's arguments
        self,
        start: Callable[..., Process],
        name: str,
        progress: Callable[[], float],
        kills: int,
        deadline: float,
        say: Callable[[str], None],
    ) -> None:
        """Kill the process each time that so much more is done, and at last let it come to its end."""
        arguments = (name,) if name == "notifier" else (name, "serve")
        for number in range(1, kills + 1):
            process = start(self.cluster, self.folder / f"{name}.log", *arguments, instance_id=name, **self.settings)
            _wait(lambda goal=number / (kills + 1): progress() >= goal, process, deadline)
            process.kill()
            say(f"killed {name} for the {number}. time at {progress():.0%}")
        process = start(self.cluster, self.folder / f"{name}.log", *arguments, instance_id=name, **self.settings)
        _wait(lambda: progress() >= 1 and (name != "notifier" or self._idle()), process, deadline)
        say(f"{name} is done")
        process.stop()

    def _take_down(self, seconds: float, deadline: float, say: Callable[[str], None]) -> None:
        while self._sent() < 0.4:
            if time.monotonic() > deadline:
                return
            time.sleep(0.1)
        self.provider.down = True
        say(f"the provider is down for {seconds} s")
        time.sleep(seconds)
        self.provider.down = False
        say("the provider is up again")

    def _sent(self) -> float:
        return len(self.provider.taken) / len(self.expected)

    def _idle(self) -> bool:
        with open_database(str(self.settings["database_url"])) as database:
            counts = MessageStore(database).counts()
        return sum(number for (_, status), number in counts.items() if status == "waiting") == 0

    def _taken_up(self, database: Database) -> float:
        positions = CaseStore(database).positions(self.cluster.topic)
        if len(positions) < PARTITIONS:
            return 0.0
        time.sleep(0.2)  # It is the processes that are to have the machine.
        with database.read() as connection:
            return float(connection.exec_driver_sql("SELECT count(*) FROM applied_alerts").scalar_one()) / len(
                self.alerts
            )

    def _figures(self, database: Database, seconds: float) -> dict[str, Any]:
        taken, store = self.provider.taken, MessageStore(database)
        with database.read() as connection:
            rows = connection.exec_driver_sql("SELECT key, alert_id, channel FROM messages").all()
            contacts = connection.exec_driver_sql("SELECT count(*) FROM contact_log").scalar_one()
            published = connection.exec_driver_sql("SELECT count(*) FROM outbox").scalar_one()
        of_key = {(row.channel, row.key): (row.alert_id, row.channel) for row in rows}
        got = Counter(of_key.get(one, ("unknown", one[0])) for one in taken)
        return {
            "alerts": len(self.alerts),
            "expected": len(self.expected),
            "at_the_provider": len(taken),
            "exactly_one": sum(got[one] == 1 for one in self.expected),
            "missing": sum(one not in got for one in self.expected),
            "too_many": sum(number > 1 for number in got.values()) + sum(one not in self.expected for one in got),
            "requests": self.provider.requests,
            "faults": self.provider.faults,
            "repeats_dropped_by_key": self.provider.repeats,
            "wrong": len(self.provider.wrong),
            "counts": {f"{channel} {status}": n for (channel, status), n in sorted(store.counts().items())},
            "contacts_in_the_log": contacts,
            "contact_events": published,
            "cases": digest_of_cases(database),
            "audit_faults": list(CaseStore(database).verify().faults),
            "seconds": round(seconds, 1),
        }


def _wait(condition: Callable[[], bool], process: Process, deadline: float) -> None:
    while not condition():
        assert process.process.poll() is None, (
            f"ended with {process.process.returncode}: {process.log.read_text()[-3000:]}"
        )
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run it on a broker of its own."""
    from streams.local.broker import LocalBroker  # noqa: PLC0415 - the suite has its own

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--down", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=1_300.0)
    chosen = parser.parse_args()
    now = datetime.now(UTC)  # noqa: TID251 - a script, and alerts that are worth a message are of now
    alerts = written_alerts(chosen.alerts, now.replace(microsecond=0))
    provider = Provider(seed=11)
    with tempfile.TemporaryDirectory() as scratch, serving(provider) as url:
        folder = Path(scratch)
        with LocalBroker(folder / "broker", say=_say) as broker:
            cluster = Cluster(broker.bootstrap_servers, "chaos-")
            chaos = Chaos(cluster, folder, provider, url, alerts)
            figures = chaos.run(
                kills=chosen.kills,
                down_seconds=chosen.down,
                seconds_max=chosen.seconds,
                say=_say,
            )
        _say(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode())
        _say(f"undisturbed: {undisturbed(folder, alerts)}")


if __name__ == "__main__":
    main()
