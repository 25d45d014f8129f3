from __future__ import annotations

import base64
import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import promql_parser
import pytest
import yaml

from streams.cli.lazy import COMMANDS
from streams.metrics import Metrics
from streams.settings import Settings, load, variable

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS = ("development", "production")
OLDEST, NEWEST = "1.30", "1.37"
WITHOUT_SCHEMA = {("keda.sh/v1alpha1", "ScaledObject"), ("monitoring.coreos.com/v1", "PodMonitor")}
"""Kinds of operators that the cluster brings: the API server's own schemas do not know them."""
PODS = {"StatefulSet", "Deployment", "Job"}

Object = dict[str, Any]


@functools.cache
def rendered(overlay: str) -> tuple[Object, ...]:
    """What `kubectl apply -k` would send."""
    tool = next((t for t in (("kubectl", "kustomize"), ("kustomize", "build")) if shutil.which(t[0])), None)
    if tool is None:
        reason = "neither kubectl nor kustomize is on the PATH"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"the manifests must be rendered in CI, and {reason}", pytrace=False)
        pytest.skip(f"needs kustomize: {reason}")
    folder = str(KUBERNETES / "overlays" / overlay)
    answer = subprocess.run([*tool, folder], capture_output=True, text=True, timeout=60, check=False)
    assert ("", 0) == (answer.stderr, answer.returncode)
    return tuple(yaml.safe_load_all(answer.stdout))


def of_kind(overlay: str, *kinds: str) -> dict[str, Object]:
    """The objects of some kinds, by name."""
    return {one["metadata"]["name"]: one for one in rendered(overlay) if one["kind"] in kinds}


def named(name: str, among: dict[str, Object]) -> Object:
    """A generated object by the name that it was given before its hash."""
    return next(one for key, one in among.items() if key == name or key.startswith(f"{name}-"))


def container(one: Object) -> Object:
    """The one container of a pod."""
    (only,) = one["spec"]["template"]["spec"]["containers"]
    found: Object = only
    return found


def environment(overlay: str, one: Object) -> dict[str, str]:
    """The variables that the overlay gives to a pod: what its secrets hold in production is not here."""
    variables: dict[str, str] = {}
    for source in container(one).get("envFrom", ()):
        if "configMapRef" in source:
            variables |= named(source["configMapRef"]["name"], of_kind(overlay, "ConfigMap"))["data"]
        elif overlay == "development":
            secret = named(source["secretRef"]["name"], of_kind(overlay, "Secret"))
            variables |= {name: base64.b64decode(value).decode() for name, value in secret.get("data", {}).items()}
    return variables


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_takes_every_object(overlay: str, version: str) -> None:
    """Each is valid by the API server's schema, unknown fields refused; only two kinds of operators have none there."""
    unknown = set()
    for one in rendered(overlay):
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            unknown.add((one["apiVersion"], one["kind"]))
    assert (WITHOUT_SCHEMA if overlay == "production" else set()) == unknown


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_pod_may_do_more_than_it_must(overlay: str) -> None:
    """Not root, nothing written but /tmp and checkpoints, no capability, no token of the cluster, memory bounded."""
    pods = of_kind(overlay, *PODS)
    assert 7 == len(pods)
    for one in pods.values():
        spec, only = one["spec"]["template"]["spec"], container(one)
        assert (True, 10_001) == (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"])
        assert not spec["automountServiceAccountToken"]
        assert {"drop": ["ALL"]} == only["securityContext"]["capabilities"]
        assert only["securityContext"]["readOnlyRootFilesystem"]
        assert not only["securityContext"]["allowPrivilegeEscalation"]
        kept = {"/var/lib/ews"} if one["kind"] == "StatefulSet" else set()
        assert {"/tmp", *kept} == {m["mountPath"] for m in only["volumeMounts"] if not m.get("readOnly")}  # noqa: S108 - a pod's
        assert "memory" in only["resources"]["limits"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_started_with_settings_that_exist(
    overlay: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No variable is unknown, and the development overlay's are whole: a process would start with them."""
    known = {variable(name) for name in Settings.model_fields}
    for one in of_kind(overlay, *PODS).values():
        variables = environment(overlay, one) | {
            e["name"]: e.get("value", "ews-worker-0") for e in container(one).get("env", ())
        }
        assert set() == variables.keys() - known
        # The cluster would add EWS_API_SERVICE_HOST for a service of ours: an unknown setting.
        assert one["spec"]["template"]["spec"]["enableServiceLinks"] is False
        if overlay == "development":
            with monkeypatch.context() as patch:
                patch.chdir(tmp_path)
                for name, value in variables.items():
                    patch.setenv(name, value)
                load()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_runs_a_command_that_exists(overlay: str) -> None:
    """The arguments begin with a command of `ews`."""
    commands = {row.name for row in COMMANDS}
    for one in of_kind(overlay, *PODS).values():
        only = container(one)
        said = [part.split()[1] for part in only["args"][0].split(" && ")] if "command" in only else only["args"][:1]
        assert set(said) <= commands


def test_a_worker_keeps_its_name_over_a_restart() -> None:
    """Static membership: the id of a worker is its pod's name, in both stages; checkpoints lie on its own volume."""
    for one in of_kind("production", "StatefulSet").values():
        instance, checkpoints = container(one)["env"]
        assert ("EWS_CHECKPOINT_DIR", "/var/lib/ews/checkpoints") == (checkpoints["name"], checkpoints["value"])
        assert ("EWS_INSTANCE_ID", "metadata.name") == (
            instance["name"],
            instance["valueFrom"]["fieldRef"]["fieldPath"],
        )


def test_what_runs_is_watched_and_guarded() -> None:
    """Each long-running pod has probes on both answers, a budget of disruptions, and is reached by no default."""
    running = of_kind("production", "StatefulSet", "Deployment")
    budgets = of_kind("production", "PodDisruptionBudget").values()
    guarded = [one["spec"]["selector"]["matchLabels"] for one in budgets]
    for one in running.values():
        only = container(one)
        probes = ("startupProbe", "livenessProbe", "readinessProbe")
        assert ["/healthz", "/healthz", "/readyz"] == [only[probe]["httpGet"]["path"] for probe in probes]
        assert one["spec"]["selector"]["matchLabels"] in guarded
    default = of_kind("production", "NetworkPolicy")["ews-default"]["spec"]
    assert {"Ingress", "Egress"} == set(default["policyTypes"])
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in of_kind("production", *PODS).values()]
    assert all(default["podSelector"]["matchLabels"].items() <= label.items() for label in labels)


def test_only_who_needs_kafka_or_the_database_reaches_it() -> None:
    """A worker reaches no database, the API no broker."""
    policies = of_kind("production", "NetworkPolicy")

    def reaching(name: str) -> set[str]:
        (expression,) = policies[name]["spec"]["podSelector"]["matchExpressions"]
        return set(expression["values"])

    def settings(kind: str) -> set[str]:
        pods = of_kind("production", *PODS).values()
        return {
            one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
            for one in pods
            if any(kind in source.get("configMapRef", {}).get("name", "") for source in container(one)["envFrom"])
        }

    assert settings("ews-kafka") == reaching("ews-kafka")
    assert {"tables", "cases", "notifier", "api"} == reaching("ews-database")


def test_workers_scale_by_a_lag_that_is_measured_and_no_further_than_partitions() -> None:
    """The query is PromQL over metrics that a worker has; more workers than partitions would stand idle."""
    (scaled,) = of_kind("production", "ScaledObject").values()
    (trigger,) = scaled["spec"]["triggers"]
    workers = of_kind("production", "StatefulSet")[scaled["spec"]["scaleTargetRef"]["name"]]
    settings = named("ews-kafka", of_kind("production", "ConfigMap"))["data"]
    assert int(settings["EWS_PARTITIONS"]) == scaled["spec"]["maxReplicaCount"]
    assert "replicas" not in workers["spec"]
    promql_parser.parse(trigger["metadata"]["query"])
    metrics = {family.name for family in Metrics().registry.collect()}
    assert "ews_lag_records" in metrics
    assert "ews_lag_records" in trigger["metadata"]["query"]
    assert (
        f'job="{workers["spec"]["template"]["metadata"]["labels"]["early-warning/job"]}"'
        in trigger["metadata"]["query"]
    )
