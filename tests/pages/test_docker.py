"""The container files against the code that they describe; no container engine is needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from neurons.chain_view import ChainView
from neurons.cli import build
from neurons.gateway.metrics import Metrics
from neurons.validator.telemetry import Telemetry
from subnet.chain.devnode.keys import keypair, seeded
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.evidence.journal import Journal
from subnet.evidence.records import DEPARTED, DepartedRecord
from subnet.evidence.state import StateStore
from subnet.media.pool.pool import Pool
from subnet.types import Modality, Prediction
from subnet.wire.handler import AxonConfig, RequestHandler
from subnet.wire.nonces import SqliteNonceStore
from tests.places import ROOT

DOCKER = ROOT / "docker"
PROMTOOL = shutil.which("promtool")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of all series that validator, miner and gateway export, by their own registries."""
    log, folder = structlog.get_logger(), tmp_path_factory.mktemp("pool")
    telemetry = Telemetry(False, None, None, log)
    telemetry.watch(
        ChainView(MemoryChain(MemorySubnet(seeded(validators=1, miners=1)), keypair("//Val0").ss58_address), log),
        Pool(folder),
        folder,
    )
    gateway = Metrics()
    gateway.watch(list, int)
    axon = AxonConfig(keypair("//Miner"), dict, SqliteNonceStore(folder / "nonces.db"), _silent, {})
    names = set()
    for registry in (telemetry.registry, RequestHandler(axon).registry, gateway.registry):
        for metric in registry.collect():
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(metric.type, [""])
            names |= {metric.name + suffix for suffix in suffixes}
    return names


async def _silent(modality: Modality, body: bytes, hotkey: str) -> Prediction:
    return Prediction(0.5)


def series(expression: str) -> set[str]:
    """Names of our series, and of processes, in a PromQL expression."""
    return set(re.findall(r"\b(?:assay|process)_\w+", expression))


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DOCKER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_dashboard_draws_only_what_is_exported(exported: set[str]) -> None:
    """Every series in the Grafana dashboard is one that a program exports, and all of ours are drawn, once a panel."""
    panels = json.loads((DOCKER / "grafana/dashboards/assay.json").read_text())["panels"]
    drawn = {name for panel in panels for target in panel.get("targets", []) for name in series(target["expr"])}
    assert drawn <= exported
    ours = {name for name in exported if name.startswith("assay_") and not name.endswith(("_sum", "_count"))}
    assert ours <= drawn
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_alerts_rest_on_what_is_exported(exported: set[str]) -> None:
    """Every rule asks for series that are exported, says how urgent it is, what is wrong and what to do."""
    assert rules()
    for rule in rules():
        assert series(rule["expr"]) <= exported, rule["alert"]
        assert series(rule["expr"]) or rule["expr"].startswith("up"), rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"].keys() == {"summary", "fix"}, rule["alert"]


def test_every_alert_has_an_example_and_is_explained() -> None:
    """The examples of promtool make each rule fire, and the page for operators has a row for each."""
    names = {rule["alert"] for rule in rules()}
    assert set(re.findall(r'alertname="(\w+)"', (DOCKER / "alerts.test.yml").read_text())) == names
    page = (ROOT / "docs/operating.md").read_text()
    assert set(re.findall(r"^\| `([A-Z]\w+)` \|", page, re.MULTILINE)) == names


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: the package prometheus)")
@pytest.mark.parametrize("command", ["check config docker/prometheus.yml", "test rules docker/alerts.test.yml"])
def test_promtool_agrees(command: str) -> None:
    """Prometheus's own tool reads the files, and finds that each example makes its alert fire and no other."""
    done = subprocess.run([str(PROMTOOL), *command.split()], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


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


UNITS = sorted((DOCKER / "systemd").glob("assay-*.service"))
PROGRAMS = ("miner", "producer", "validator")
SERVICES = (*PROGRAMS, "replicas")  # Ray is in no image


def parsed(command: str, arguments: list[str]) -> None:
    """Fails where the command line does not know these flags."""
    needed = ["--netuid", "34"] if command in {"miner", "validator"} and "--netuid" not in arguments else []
    build().parse_args([command, *needed, *arguments], exit_on_error=False, print_error=False)


def known_variables() -> set[str]:
    """Every variable that a program reads, by its own --help."""
    return set(re.findall(r"`((?:ASSAY|BT)_\w+)`", (ROOT / "docs/commands.md").read_text()))


def test_units_start_what_there_is() -> None:
    """Each program has a unit, its flags parse, and its files lie below what it may write."""
    assert {unit.stem for unit in UNITS} == {f"assay-{name}" for name in (*SERVICES, "update")}
    for name in SERVICES:
        text = (DOCKER / f"systemd/assay-{name}.service").read_text()
        (line,) = re.findall(r"^ExecStart=/opt/assay/current/\.venv/bin/assay (.+)$", text, re.MULTILINE)
        command, *arguments = line.split()
        assert command == name
        parsed(command, arguments)
        assert all(path.startswith("/var/lib/assay/") for path in arguments if path.startswith("/"))


def test_compose_and_pm2_pass_flags_that_there_are() -> None:
    """Commands of containers and of pm2 parse."""
    services = yaml.safe_load((DOCKER / "compose.yml").read_text())["services"]
    for name in PROGRAMS:
        words = [re.sub(r"\$\{NETUID.*\}", "34", word) for word in services[name]["command"]]
        parsed(name, [word for word in words if word != name])
    rows = re.findall(r'program\("(\w+)", \[(.*?)\]\)', (DOCKER / "pm2.config.js").read_text())
    assert {name for name, _ in rows} == set(SERVICES)
    for name, arguments in rows:
        parsed(name, re.findall(r'"([^"]+)"', arguments))


def test_environment_files_name_variables_that_are_read() -> None:
    """assay.env: by the programs; update.env: by the script, which asks for no others without a default."""
    given = re.findall(r"^(?:# )?(\w+)=", (DOCKER / "systemd/assay.env").read_text(), re.MULTILINE)
    assert set(given) <= known_variables()
    script = (DOCKER / "update.sh").read_text()
    offered = set(re.findall(r"\b(ASSAY_\w+)=", (DOCKER / "systemd/update.env").read_text()))
    assert offered <= set(re.findall(r"ASSAY_\w+", script))
    (needed,) = re.findall(r"^for name in (.+); do$", script, re.MULTILINE)
    assert set(needed.split()) <= offered


def test_the_backup_before_an_update_is_one(tmp_path: Path) -> None:
    """The example goes where its unit may write, and makes a folder of its own: else every update would be given up."""
    (example,) = re.findall(r"^# ASSAY_BACKUP=(.+)$", (DOCKER / "systemd/update.env").read_text(), re.MULTILINE)
    unit = (DOCKER / "systemd/assay-update.service").read_text()
    (writable,) = re.findall(r"^ReadWritePaths=(.+)$", unit, re.MULTILINE)
    assert any(f"journal.db {path}/" in example for path in writable.split())
    journal = tmp_path / "validator-34-HOTKEY" / "journal.db"
    kept = Journal(journal)
    StateStore(kept).write(DEPARTED, DepartedRecord(block=1, hotkeys=("gone",)))
    kept.close()
    command = example.replace("/opt/assay/current/.venv/bin/assay", f"{sys.executable} -m neurons")
    done = subprocess.run(
        ["bash", "-c", command.replace("/var/lib/assay", str(tmp_path))],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"ASSAY_HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.glob("backups/*/journal.db"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_reads_the_units(tmp_path: Path) -> None:
    """No unknown key, no bad value. Programs that are not installed here are replaced by one that is."""
    paths = []
    for unit in sorted((DOCKER / "systemd").glob("assay-*.*")):
        paths.append(tmp_path / unit.name)
        paths[-1].write_text(re.sub(r"^ExecStart=/\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, paths)], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_pm2_file_is_one() -> None:
    """Node reads it: four programs, each started once, by the interpreter of the repository."""
    code = "console.log(JSON.stringify(require('./docker/pm2.config.js')))"
    told = subprocess.run(["node", "-e", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    apps = json.loads(told)["apps"]
    assert {app["name"]: app["instances"] for app in apps} == dict.fromkeys(SERVICES, 1)
    assert {app["script"] for app in apps} == {str(ROOT / ".venv/bin/assay")}
