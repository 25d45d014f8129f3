"""How fast the HTTP API lists and changes cases when there are a million of them. Needs Docker.

python -m tests.benchmarks.api_load --cases 1000000 --clients 8 --seconds 10

PostgreSQL runs in a container as it comes; the rows are made by SQL, so the audit trail in it has no true hashes. The
clients are processes on the same machine as the server and the database, and share its cores with them.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from streams import clock
from streams.casework.roles import Role
from streams.stores.accounts import AccountStore
from streams.stores.database import open_database
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CASE_ID = "('00000000-0000-5000-8000-' || lpad(to_hex(n), 12, '0'))"
EPISODE_ID = "('00000000-0000-5000-9000-' || lpad(to_hex(n), 12, '0'))"
FILL = f"""
INSERT INTO cases (case_id, borrower, opening_alert, state, stage, needs_approval, severity, next_step, owner, due_at,
                   opened_at, changed_at, closed_at, closed_as, version, tier, score)
SELECT {CASE_ID}, 'b-' || n, {CASE_ID},
       CASE WHEN n % 5 = 0 THEN 'closed' ELSE (ARRAY['open','in_progress','promise_to_pay','escalated'])[1 + n % 4] END,
       (ARRAY['reminder','call','collector','lawyers_letter','litigation'])[1 + (n / 7) % 5],
       false, (ARRAY['high','high','high','critical'])[1 + (n / 3) % 4], 'Call the borrower.',
       CASE WHEN n % 3 = 0 THEN NULL ELSE 'collector-' || (n % 200) END,
       CASE WHEN n % 5 = 0 OR n % 4 = 2 THEN NULL ELSE now() + (n % 200000 - 50000) * interval '1 second' END,
       now() - (n % 90) * interval '1 day', now() - (n % 50) * interval '1 hour',
       CASE WHEN n % 5 = 0 THEN now() - (n % 80000) * interval '1 second' END,
       CASE WHEN n % 5 = 0 THEN 'resolved' END, 1, (ARRAY['watch','high','critical'])[1 + n % 3], n % 1000
  FROM generate_series(1, :cases:) AS n;
INSERT INTO case_loans (case_id, loan, currency, days_past_due, bucket, overdue_minor, outstanding_minor, as_of)
SELECT {CASE_ID}, 'l-' || n, 'EUR', (n % 120)::int, 'M1', n % 100000, 500000, now()
  FROM generate_series(1, :cases:) AS n;
INSERT INTO episodes (episode_id, case_id, borrower, detector, loan, onset, mode, status, severity, step, revision,
                      reason, first_step, measures, opened_at, changed_at)
SELECT {EPISODE_ID}, {CASE_ID}, 'b-' || n, 'missed_installment', 'l-' || n, current_date - 9, 'live',
       CASE WHEN n % 5 = 0 THEN 'resolved' ELSE 'opened' END, (ARRAY['high','high','high','critical'])[1 + (n / 3) % 4],
       1, 1, 'An installment was missed.', 'Call the borrower.', '[]', now() - (n % 90) * interval '1 day', now()
  FROM generate_series(1, :cases:) AS n;
INSERT INTO audit (number, case_id, at, actor, action, detail, hash)
SELECT n, {CASE_ID}, now(), 'case_creator', 'case.opened', '{{}}', repeat('0', 64)
  FROM generate_series(1, :cases:) AS n;
INSERT INTO audit_head (chain, number, hash) VALUES ('cases', :cases:, repeat('0', 64));
"""  # noqa: S608 - our own text
COLLECTORS = 200
READY_SECONDS = 60
DEEP_PAGES = 500
WARM_UP_SECONDS = 2


class Figures(NamedTuple):
    """What one scenario came to."""

    scenario: str
    requests: int
    a_second: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    refused: int
    server_ms: float
    """Processor time of the server for each request: what a loaded machine does not change."""


class Caller:
    """One client with a connection that stays open."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {"Authorization": f"Bearer {key}"}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes, str]:
        """Status, body, ETag."""
        sent = None if body is None else json.dumps(body)
        more = {"Content-Type": "application/json"} if sent else {}
        self._connection.request(method, path, sent, self._headers | more | headers)
        response = self._connection.getresponse()
        return response.status, response.read(), response.getheader("ETag", "")


class Work(NamedTuple):
    """What a client process is told."""

    scenario: str
    paths: tuple[str, ...]
    client: int
    clients: int
    port: int
    key: str
    seconds: float
    cases: int


def lists(work: Work, call: Caller, number: int) -> int:
    """One page."""
    status, _, _ = call("GET", work.paths[number % len(work.paths)])
    return status


def shows(work: Work, call: Caller, number: int) -> int:
    """One case."""
    status, _, _ = call("GET", f"/v1/cases/{case_id(work, number)}")
    return status


def acts(work: Work, call: Caller, number: int) -> int:
    """One change of a case that nobody else changes."""
    action = (
        {"kind": "note", "text": "Called; asked to be called again."} if work.scenario == "note" else {"kind": "assign"}
    )
    if work.scenario == "assign":
        action |= {"to": "collector-1", "reason": "They know the borrower."}
    path = f"/v1/cases/{case_id(work, number)}"
    _, _, etag = call("GET", path)
    began = time.perf_counter()
    status, _, _ = call("POST", f"{path}/actions", action, **{"If-Match": etag})
    acts.took.append(time.perf_counter() - began)  # type: ignore[attr-defined]
    return status


acts.took = []  # type: ignore[attr-defined]


def case_id(work: Work, number: int) -> str:
    """An open case out of this client's share; every fifth case has ended."""
    nth = (number * 7_919 * work.clients + work.client) % (work.cases * 4 // 5)
    return f"00000000-0000-5000-8000-{nth // 4 * 5 + nth % 4 + 1:012x}"


SCENARIOS: dict[str, Callable[[Work, Caller, int], int]] = {"show": shows, "note": acts, "assign": acts}


def client(work: Work) -> tuple[list[float], int]:
    """The seconds of each request, and how many were not answered with 200."""
    call, once = Caller(work.port, work.key), SCENARIOS.get(work.scenario, lists)
    end = time.perf_counter() + work.seconds
    took, refused = list[float](), 0
    number = time.monotonic_ns() // 10**9 % 1_000 * 100  # Other cases than in the warm-up.
    acts.took = []  # type: ignore[attr-defined]
    while time.perf_counter() < end:
        began = time.perf_counter()
        refused += once(work, call, number) != http.HTTPStatus.OK
        took.append(time.perf_counter() - began)
        number += 1
    return (acts.took or took), refused  # type: ignore[attr-defined]


def measure(pool: ProcessPoolExecutor, server: int, seconds: float, work: Work) -> Figures:
    """All clients at once, on one scenario."""
    clients, before = work.clients, processor_seconds(server)
    shares = [work._replace(client=number, seconds=seconds) for number in range(clients)]
    began = time.perf_counter()
    done = list(pool.map(client, shares))
    lasted = time.perf_counter() - began
    took = sorted(second * 1_000 for seconds_, _ in done for second in seconds_)
    cuts = quantiles(took, n=100)
    return Figures(
        work.scenario,
        len(took),
        round(len(took) / lasted, 1),
        round(cuts[49], 1),
        round(cuts[98], 1),
        round(took[-1], 1),
        sum(refused for _, refused in done),
        round((processor_seconds(server) - before) * 1_000 / len(took), 1),
    )


def processor_seconds(process: int) -> float:
    """Those that a process has used so far, from Linux."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(url: str, cases: int) -> float:
    """Make the rows; how long it took."""
    began = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in FILL.strip().split(";\n"):
            connection.execute(statement.rstrip(";").replace(":cases:", str(cases)))
        connection.execute("VACUUM ANALYZE")
    return time.perf_counter() - began


@contextlib.contextmanager
def serving(url: str, port: int, directory: Path) -> Iterator[int]:
    """`ews api serve` as a process of its own; its id."""
    own = {
        "EWS_DATABASE_URL": url,
        "EWS_CONTACTS_URL": f"sqlite:///{directory}/contacts.db",
        "EWS_API_PORT": str(port),
        "EWS_API_REQUESTS_A_MINUTE": "1000000",
    }
    with (directory / "api.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())", "api", "serve"],
            env=os.environ | own,
            stderr=log,
        )
        try:
            _wait_for(port)
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(port: int) -> None:
    end = time.perf_counter() + READY_SECONDS
    while time.perf_counter() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise TimeoutError("the API did not start")


def deep_cursor(call: Caller) -> str:
    """The address of a page that lies far behind the first."""
    path = "/v1/cases?limit=200"
    for _ in range(DEEP_PAGES):
        following = json.loads(call("GET", path)[1])["next_cursor"]
        if following is None:
            break
        path = f"/v1/cases?limit=200&cursor={following}"
    return path.replace("limit=200", "limit=50")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--directory", default="/tmp")  # noqa: S108 - a default for who measures by hand
    parser.add_argument("--url", help="A database to fill, or that was filled before, instead of a container.")
    given = parser.parse_args()
    if given.url:
        run(given.url, given)
        return
    with postgres_server() as server:
        run(new_postgres(server), given)


def run(url: str, given: argparse.Namespace) -> None:
    """All scenarios on one database."""
    with open_database(url) as database:
        accounts = AccountStore(database)
        filled = 0.0
        if not accounts.listed():
            for number in range(COLLECTORS):
                accounts.create(f"collector-{number}", Role.COLLECTOR, takes_cases=True, at=clock.now())
            accounts.create("bench", Role.SUPERVISOR, at=clock.now())
            empty_trail(url)
            filled = fill(url, given.cases)
        key = accounts.rotate("bench", at=clock.now())
    say({"cases": given.cases, "filled_seconds": round(filled, 1), "load": os.getloadavg()})
    port = free_port()
    with serving(url, port, Path(given.directory)) as server, ProcessPoolExecutor(given.clients) as pool:
        plain = Work("", (), 0, given.clients, port, key, given.seconds, given.cases)
        deep = deep_cursor(Caller(port, key)) if not given.only or "list, deep" in given.only else ""
        for name, paths in {
            "list": ("/v1/cases",),
            "list, deep": (deep,),
            "list, state and stage": ("/v1/cases?state=open&stage=call",),
            "list, owner": tuple(f"/v1/cases?owner=collector-{n}" for n in range(1, 200, 7)),
            "list, nobody's": ("/v1/cases?owner=",),
            "list, critical and overdue": ("/v1/cases?severity=critical&overdue=true",),
            "list, tier": ("/v1/cases?tier=critical",),
            "list, closed": ("/v1/cases?closed=true",),
            "list, borrower": tuple(f"/v1/cases?borrower=b-{n}" for n in range(1, given.cases, given.cases // 97)),
            "inbox": ("/v1/alerts",),
            "inbox, severity": ("/v1/alerts?severity=critical",),
            "board": ("/v1/stats/board",),
            "show": (),
            "note": (),
            "assign": (),
        }.items():
            if given.only and name not in given.only:
                continue
            work = plain._replace(scenario=name, paths=paths)
            measure(pool, server, WARM_UP_SECONDS, work)
            say(measure(pool, server, given.seconds, work)._asdict())


def empty_trail(url: str) -> None:
    """Take out the lines about the accounts, whose numbers the made-up ones need."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM audit")
        connection.execute("DELETE FROM audit_head")


def say(figures: dict[str, Any]) -> None:
    """A line of JSON."""
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


if __name__ == "__main__":
    main()
