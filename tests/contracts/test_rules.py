from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from dashboards.generate import ROOT
from dashboards.rules import FILES, FOLDER, Rule, rules

PROMETHEUS = "prom/prometheus:v2.42.0"
UNIT_TESTS = ROOT / "tests" / "prometheus"
ALERTS = [rule for rule in rules() if rule.is_alert]
RECORDINGS = [rule for rule in rules() if not rule.is_alert]
HEADINGS = {
    heading.lower() for heading in re.findall(r"^#+ (\w+)$", (ROOT / "docs/runbooks.md").read_text(), re.MULTILINE)
}


def _name(rule: Rule) -> str:
    return rule.name


def _promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Promtool over this checkout, which it cannot write to, without a network."""
    command = ["docker", "run", "--rm", "--network", "none", "-v", f"{ROOT}:/repo:ro", "-w", "/repo"]
    return subprocess.run(
        [*command, "--entrypoint", "promtool", PROMETHEUS, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("rule", ALERTS, ids=_name)
def test_an_alert_says_how_bad_it_is_what_it_is_and_what_to_do(rule: Rule) -> None:
    """A severity, a sentence, and a runbook whose section is there."""
    assert rule.labels["severity"] in {"critical", "warning", "info"}
    assert rule.annotations["summary"].endswith(".")
    page, _, anchor = rule.annotations["runbook_url"].partition("#")
    assert ("docs/runbooks.md", rule.name.lower()) == (page, anchor)
    assert anchor in HEADINGS


def test_no_runbook_is_left_over() -> None:
    """Every section that is called like an alert has one."""
    assert {heading for heading in HEADINGS if heading.startswith("ews")} == {rule.name.lower() for rule in ALERTS}


@pytest.mark.parametrize("rule", RECORDINGS, ids=_name)
def test_a_recording_is_named_by_its_level_metric_and_operation(rule: Rule) -> None:
    """As Prometheus advises: the labels that are kept, the metric, what was done to it."""
    assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", rule.name)


@pytest.mark.parametrize("rule", [*ALERTS, *RECORDINGS], ids=_name)
def test_every_rule_has_a_unit_test(rule: Rule) -> None:
    """An alert is shown at which series it fires and at which it is silent, a recording what it gives."""
    text = "".join(file.read_text() for file in sorted(UNIT_TESTS.glob("*_test.yaml")))
    if rule.is_alert:
        assert f"name: {rule.name} fires\n" in text
        assert f"name: {rule.name} is silent\n" in text
    else:
        assert f"expr: '{rule.name}'" in text


@pytest.mark.parametrize("name", ["prometheus.yml", "compose.yml"])
def test_every_configuration_loads_the_rules_and_names_our_jobs_alike(name: str) -> None:
    """The rules know our processes by `ews` at the head of the job's name."""
    config = yaml.safe_load((FOLDER / name).read_text())
    assert set(FILES) == {file.rpartition("/")[2] for file in config["rule_files"]}
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    assert {"ews-worker", "ews-portfolio", "ews-case-creator", "ews-notifier", "ews-api"} == jobs


@pytest.mark.docker
def test_promtool_accepts_the_configuration_with_its_rules() -> None:
    """deploy/prometheus/prometheus.yml and the rule files that it names."""
    checked = _promtool("check", "config", "deploy/prometheus/prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"SUCCESS: {len(ALERTS)} rules found" in checked.stdout
    assert f"SUCCESS: {len(RECORDINGS)} rules found" in checked.stdout


@pytest.mark.docker
def test_the_rules_pass_their_unit_tests() -> None:
    """`promtool test rules` over tests/prometheus/."""
    files = [f"tests/prometheus/{file.name}" for file in sorted(UNIT_TESTS.glob("*_test.yaml"))]
    tested = _promtool("test", "rules", *files)
    assert tested.returncode == 0, tested.stdout + tested.stderr
