"""Writes the evidence bundle of a case, into a directory or a ZIP file: all of it or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from streams.api.desk import CaseQuery
from streams.bootstrap.cases import open_desk
from streams.bootstrap.casework import is_case_id
from streams.casework.evidence import bundle
from streams.errors import Misconfigured, NotFound
from streams.stores.evidence import read_evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.api.desk import Desk
    from streams.settings import Settings
    from streams.stores.evidence import Evidence

MADE = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a ZIP: the earliest that there is, so that the same state gives the same bytes."""
MODE = 0o600 << 16
"""Notes may name persons: the files are for who made them, who passes them on."""


def export(settings: Settings, case_or_borrower: str, out: Path) -> Evidence:
    """Write the bundle to `out`: a file if it ends in .zip, else a directory, which must be empty or not there.

    Raises NotFound, Misconfigured or Unavailable.
    """
    _check(out)
    with open_desk(settings) as desk:
        evidence = read_evidence(desk.database, _case_of(desk, case_or_borrower))
    files = bundle(evidence)
    try:
        (_write_zip if out.suffix == ".zip" else _write_directory)(out, files)
    except OSError as fault:
        raise Misconfigured(f"{out} cannot be written ({fault.strerror}): name another place with --out") from fault
    return evidence


def _case_of(desk: Desk, case_or_borrower: str) -> str:
    """The case of that id, or the borrower's open one, or the latest ended one."""
    if is_case_id(case_or_borrower):
        return case_or_borrower
    for closed in (False, True):
        page = desk.cases(CaseQuery(borrower=case_or_borrower, closed=closed, limit=1))
        if page.items:
            return page.items[0].case_id
    raise NotFound(f"there is no case of a borrower {case_or_borrower}: try `ews cases list`")


def _check(out: Path) -> None:
    is_room = out.suffix != ".zip" and out.is_dir() and not any(out.iterdir())
    if out.exists() and not is_room:
        raise Misconfigured(f"{out} is there already: evidence is never written over, so name another place with --out")


def _write_zip(out: Path, files: Mapping[str, bytes]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    try:
        with os.fdopen(descriptor, "wb") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in sorted(files):
                entry = zipfile.ZipInfo(each, MADE)
                entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, MODE, 3
                archive.writestr(entry, files[each])
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_directory(out: Path, files: Mapping[str, bytes]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    whole = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        for name, value in files.items():
            (whole / name).write_bytes(value)
        whole.replace(out)
    except BaseException:
        shutil.rmtree(whole, ignore_errors=True)
        raise
