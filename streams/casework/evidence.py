"""The evidence bundle: what is known of a case as files that a court can read and an expert can check. Pure.

The same state gives the same bytes: nothing in it says when or by whom the bundle was made. `manifest.json` and
`SHA256SUMS` name every other file with its SHA-256; each audit line comes with its hash and the hash before it, so that
anybody can compute it again (README.txt says how).
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import jinja2
import orjson

from streams.stores.case import content

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from streams.stores.case import Episode
    from streams.stores.evidence import Evidence

MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
VERSION: Final = 1
"""Of the layout of the bundle."""


def bundle(evidence: Evidence) -> dict[str, bytes]:
    """Every file of the bundle by its name."""
    files = {
        "case.json": _json(_case(evidence)),
        "ledger.json": _json(_ledger(evidence)),
        "ledger.csv": _csv(_entries(evidence)),
        "alerts.json": _json([asdict(episode) for episode in evidence.file.episodes]),
        "contacts.json": _json({"contacts": evidence.contacts, "refusals": evidence.refusals}),
        "messages.json": _json(evidence.messages),
        "notes.json": _json([asdict(note) for note in evidence.file.notes]),
        "approvals.json": _json([asdict(approval) for approval in evidence.file.approvals]),
        "outcomes.json": _json([asdict(judgement) for judgement in evidence.file.judgements]),
        "audit.jsonl": b"".join(_json_line(line) for line in evidence.lines),
        "verify.json": _json(_verdict(evidence)),
    }
    files["README.txt"] = _page("README.txt", evidence)
    files["index.html"] = _page("index.html", evidence)
    sums = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    files[MANIFEST] = _json(
        {
            "version": VERSION,
            "case_id": evidence.file.case.case_id,
            "borrower": evidence.file.case.borrower,
            "head": _verdict(evidence)["head"],
            "files": [{"name": name, "sha256": sums[name], "bytes": len(files[name])} for name in sums],
        }
    )
    files[SUMS] = "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()
    return files


def _case(evidence: Evidence) -> dict[str, Any]:
    file = evidence.file
    return content(file.case, file.episodes, file.promises, file.approvals, file.plans)


def _ledger(evidence: Evidence) -> dict[str, Any]:
    """What is known of the loans' money: a case sees it through alerts, promises and the payments on them."""
    file = evidence.file
    return {
        "positions": [asdict(loan) for loan in file.case.loans],
        "entries": _entries(evidence),
        "promises": [asdict(promise) for promise in file.promises],
        "repayments": evidence.payments,
        "plans": [asdict(plan) for plan in file.plans],
    }


def _entries(evidence: Evidence) -> list[dict[str, Any]]:
    """One line for each thing that happened to the money, in order."""
    file = evidence.file
    promised = {promise.promise_id: promise for promise in file.promises}
    lines = [
        _entry(p.made_at, p.loan, "promise made", f"by {p.promised_on}; {p.state}", (p.amount_minor, p.currency))
        for p in file.promises
    ]
    lines += [_entry(p.agreed_at, p.loan, "new schedule", f"{p.reason} from {p.effective_on}") for p in file.plans]
    for paid in evidence.payments:
        promise = promised[paid["promise_id"]]
        what = "repayment returned" if paid["returned"] else "repayment"
        said = f"{paid['payment_id']} for promise {promise.promise_id}"
        lines.append(_entry(paid["valued_at"], promise.loan, what, said, (paid["amount_minor"], promise.currency)))
    for loan in file.case.loans:
        said = f"{loan.days_past_due} days past due, {loan.outstanding_minor} outstanding"
        lines.append(_entry(loan.as_of, loan.loan, "overdue", said, (loan.overdue_minor, loan.currency)))
    lines += [_seen(episode) for episode in file.episodes]
    return sorted(lines, key=lambda line: (line["at"], line["loan"], line["what"], line["said"]))


def _seen(episode: Episode) -> dict[str, Any]:
    return _entry(episode.opened_at, episode.loan or "", f"alert {episode.detector}", episode.reason)


def _entry(at: datetime, loan: str, what: str, said: str, money: tuple[int | None, str] = (None, "")) -> dict[str, Any]:
    amount, currency = money
    return {"at": at, "loan": loan, "what": what, "amount_minor": amount, "currency": currency, "said": said}


def _verdict(evidence: Evidence) -> dict[str, Any]:
    verdict = evidence.verdict
    return {
        "faults": verdict.faults,
        "cases_checked": verdict.cases,
        "head": {"number": verdict.head.number, "hash": verdict.head.hash},
    }


def _json(value: Any) -> bytes:
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
    return orjson.dumps(value, option=options | orjson.OPT_APPEND_NEWLINE)


def _json_line(line: Mapping[str, Any]) -> bytes:
    """With sorted keys and no spaces: without the two hashes these are the bytes that were hashed."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(dict(line), option=options)


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """For a spreadsheet, in which no cell is a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("at", "loan", "what", "amount_minor", "currency", "said"))
    for row in rows:
        writer.writerow([_cell(value) for value in row.values()])
    return out.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _page(name: str, evidence: Evidence) -> bytes:
    file = evidence.file
    return (
        _pages()
        .get_template(f"{name}.jinja")
        .render(
            case=file.case,
            file=file,
            evidence=evidence,
            entries=_entries(evidence),
            verdict=_verdict(evidence),
            lines=list(_told(evidence.lines)),
        )
        .encode()
    )


def _told(lines: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for line in lines:
        yield {**line, "detail": orjson.dumps(line["detail"], option=orjson.OPT_SORT_KEYS).decode()}


@cache
def _pages() -> jinja2.Environment:
    sources = resources.files("streams.casework") / "evidence_pages"
    loader = jinja2.FunctionLoader(lambda name: (sources / name).read_text(encoding="utf-8"))
    pages = jinja2.Environment(
        loader=loader,
        autoescape=jinja2.select_autoescape(["html.jinja"], default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters["when"] = _when
    return pages


def _when(value: datetime | date | None) -> str:
    if value is None:
        return ""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else value.isoformat()
