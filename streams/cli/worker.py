"""`ews worker`: reads events, keeps the borrowers' states, raises alerts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from streams.agents.stage import STAGES
from streams.bootstrap.worker import run, run_supervised
from streams.cli.options import Bootstrap, TopicPrefix
from streams.settings import load


class StageName(StrEnum):
    """The stages there are (streams.agents.stage)."""

    BORROWERS = "borrowers"
    PORTFOLIO = "portfolio"


def worker(
    stage: Annotated[
        StageName, typer.Option(help="`borrowers`, or `portfolio`: cohorts and shared contacts, from what those tell.")
    ] = StageName.BORROWERS,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    supervise: Annotated[
        bool, typer.Option("--supervise", help="Keep it running: a parent with all imported starts it again at once.")
    ] = False,
) -> None:
    """Read events, keep the borrowers' states and raise alerts, until SIGTERM or Ctrl-C. Start more to scale out.

    Cohorts and shared contacts are judged by workers of a second stage, processes of their own. Give each worker of a
    stage a fixed EWS_INSTANCE_ID, so that a restart takes up its lanes at once. With --supervise SIGHUP renews the
    worker, and exit codes for which a restart does not help (docs/operation.md) end it.

    Example:
        ews worker
        ews worker --stage portfolio
        EWS_INSTANCE_ID=worker-1 ews worker --bootstrap kafka-1:9092 --supervise
    """
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    raise typer.Exit((run_supervised if supervise else run)(settings, stage=STAGES[stage]))
