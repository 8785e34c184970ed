"""The container files against the code that they describe; no container engine is needed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.places import ROOT

DOCKER = ROOT / "docker"


def exported() -> set[str]:
    """Names of all series that validator and miner export, by their sources."""
    names = set()
    for source in ("neurons/validator/telemetry.py", "subnet/wire/handler.py"):
        text = (ROOT / source).read_text()
        for kind, name in re.findall(r"(Counter|Gauge|Histogram)\(\s*\"(\w+)\"", text):
            suffixes = {"Counter": ["_total"], "Gauge": [""], "Histogram": ["_bucket", "_sum", "_count"]}[kind]
            names |= {name + suffix for suffix in suffixes}
    return names


def test_dashboard_draws_only_what_is_exported() -> None:
    """Every series in the Grafana dashboard is one that a program exports, and the validator's are all drawn."""
    board = json.loads((DOCKER / "grafana/dashboards/assay.json").read_text())
    drawn = {
        name
        for panel in board["panels"]
        for target in panel.get("targets", [])
        for name in re.findall(r"assay_\w+", target["expr"])
    }
    assert drawn <= exported()
    assert {name for name in exported() if not name.endswith(("_sum", "_count"))} <= drawn


@pytest.mark.parametrize("path", sorted(DOCKER.rglob("*.yml")), ids=lambda path: str(path.relative_to(DOCKER)))
def test_yaml_reads(path: Path) -> None:
    """Every YAML file is a mapping."""
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_compose_services_have_their_targets() -> None:
    """Targets that compose builds are stages of the Dockerfile, and every variable it reads is in .env.example."""
    text = (DOCKER / "compose.yml").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\w+)", (DOCKER / "Dockerfile").read_text(), re.MULTILINE))
    services = yaml.safe_load(text)["services"]
    assert {service["build"]["target"] for service in services.values() if "build" in service} <= stages
    known = set(re.findall(r"^(\w+)=", (DOCKER / ".env.example").read_text(), re.MULTILINE))
    assert set(re.findall(r"\$\{(\w+)", text)) <= known


def test_everything_copied_is_let_through() -> None:
    """What the Dockerfile copies is there, and not kept out by its ignore file."""
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    allowed = set(re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text(), re.MULTILINE))
    names = {name for line in copied for name in line.split()}
    assert names <= allowed
    assert all((ROOT / name).exists() for name in names)
