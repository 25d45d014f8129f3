# /// script
# requires-python = ">=3.11"
# dependencies = ["quixstreams==3.28.1"]
# ///
"""The reference job on Quix Streams, in an environment of its own: it pins pydantic below the version that we need.

One state for each borrower and topic in RocksDB with a changelog, as its documentation shows for stateful processing.
Its producer waits for all replicas (librdkafka's default); a checkpoint is committed every 5 s, its default.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application, State
from report import Job, Report

from streams.local.reference import alert, apply


def main(job: Job) -> None:
    """Run the application until it is killed."""
    report = Report(job.events)
    app = Application(
        broker_address=job.bootstrap, consumer_group=f"{job.prefix}quix", auto_offset_reset="earliest",
        processing_guarantee=job.guarantee, state_dir="quix-state", loglevel="ERROR",
    )  # fmt: skip
    alerts = app.topic(job.alerts, key_serializer="bytes", value_serializer="bytes")

    def judge(event: dict[str, Any], kept: State) -> bytes | None:
        state = kept.get("rules", {})
        rule = apply(state, event)
        kept.set("rules", state)
        report.seen(1)
        return None if rule is None else alert(rule, event["event_id"], state["n"][event["kind"]])

    for name in job.sources:
        events = app.dataframe(app.topic(name, key_deserializer="bytes", value_deserializer="json"))
        events.apply(judge, stateful=True).filter(lambda told: told is not None).to_topic(alerts)
    app.run()


if __name__ == "__main__":
    main(Job.of_arguments())
