"""Options that several commands share. None stands for what the settings say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Bootstrap = Annotated[
    str | None,
    typer.Option("--bootstrap", metavar="HOST:PORT[,...]", help="Kafka's brokers (EWS_BOOTSTRAP_SERVERS)."),
]
TopicPrefix = Annotated[
    str | None, typer.Option("--topic-prefix", metavar="TEXT", help="Put before each topic's name (EWS_TOPIC_PREFIX).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="The detectors' settings (EWS_POLICY_FILE), else the defaults."),
]
