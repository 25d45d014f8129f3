from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.cli.lazy import COMMANDS
from streams.settings import Settings, variable

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose.yaml"
OURS = {"topics", "tables", "keys", "worker-1", "worker-2", "portfolio", "cases", "notifier", "api"}
OTHERS = {"kafka", "postgres", "databases", "prometheus", "alertmanager", "grafana"}


def services() -> dict[str, dict[str, Any]]:
    """The services as they are written, merge keys taken in."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


@pytest.mark.docker
def test_compose_takes_the_file() -> None:
    """`docker compose config` reads it whole, and every service is there."""
    command = ["docker", "compose", "--file", str(COMPOSE), "config", "--format", "json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ("", 0) == (answer.stderr, answer.returncode)
    assert OURS | OTHERS == json.loads(answer.stdout)["services"].keys()


def test_every_process_is_confined_and_its_settings_exist() -> None:
    """Read-only, without capabilities, bounded memory where it goes on running; no variable that `ews` refuses."""
    known = {variable(name) for name in Settings.model_fields}
    for name in OURS:
        service = services()[name]
        assert (True, ["ALL"], ["/tmp"]) == (service["read_only"], service["cap_drop"], service["tmpfs"])  # noqa: S108 - a container's
        assert {key for key in service["environment"] if key.startswith("EWS_")} <= known
    for name, service in services().items():
        if service["restart"] == "unless-stopped":
            assert "memory" in service["deploy"]["resources"]["limits"], name
            assert "healthcheck" in service, name


def test_nothing_listens_beyond_this_machine() -> None:
    """Every published port is one of loopback: the development passwords guard nothing."""
    ports = [port for service in services().values() for port in service.get("ports", ())]
    assert 5 == len(ports)
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_process_is_scraped_under_the_name_that_dashboards_go_by() -> None:
    """The jobs of the compose file's Prometheus are those of prometheus.yml, and name services that there are."""
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/compose.yml").read_text(encoding="utf-8"))["scrape_configs"]
    here = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    targets = {t.partition(":")[0] for job in scraped for static in job["static_configs"] for t in static["targets"]}
    assert {job["job_name"] for job in here} <= {job["job_name"] for job in scraped}
    assert OURS - {"topics", "tables", "keys"} == targets


def test_grafana_finds_the_dashboards_and_their_source() -> None:
    """The folder that it is told to read is the one that is mounted, and the data source is Prometheus."""
    mounts = dict(volume.split(":")[1::-1] for volume in services()["grafana"]["volumes"])
    provider = yaml.safe_load((ROOT / "deploy/grafana/dashboards/ews.yaml").read_text(encoding="utf-8"))["providers"][0]
    source = yaml.safe_load((ROOT / "deploy/grafana/datasources/prometheus.yaml").read_text(encoding="utf-8"))
    folder = (COMPOSE.parent / mounts[provider["options"]["path"]]).resolve()
    assert ROOT / "dashboards" == folder
    assert list(folder.glob("*.json"))
    assert ("prometheus", "http://prometheus:9090") == (
        source["datasources"][0]["type"],
        source["datasources"][0]["url"],
    )


def test_the_image_holds_what_is_pinned() -> None:
    """What builds it is held at one version, as are all packages; the context lets in our packages and no more."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {one.partition("=")[0].partition(">")[0] for one in project["build-system"]["requires"]}
    pinned = {one.partition("==")[0] for one in project["tool"]["uv"]["build-constraint-dependencies"]}
    assert wanted == pinned
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert {
        "LICENSE",
        "README.md",
        "pyproject.toml",
        *project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
    } == let_in
    assert "*" in ignored


def test_every_service_of_ours_runs_a_command_that_exists() -> None:
    """The arguments begin with a command of `ews`."""
    commands = {row.name for row in COMMANDS}
    plain = [service["command"] for name, service in services().items() if name in OURS and "entrypoint" not in service]
    assert 7 == len(plain)
    assert {command[0] for command in plain} <= commands
