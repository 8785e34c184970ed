"""docker/update.sh with real git, real signatures and a real program that is started again: good, bad and false releases."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import ROOT

SCRIPT = ROOT / "docker/update.sh"
PROGRAM = """import http.server, json, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status})
        self.end_headers()
        self.wfile.write(b"{version}")
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("git", "ssh-keygen", "curl", "flock"))),
    reason="git, ssh-keygen, curl or flock is missing",
)


def run(*words: str, cwd: Path) -> str:
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(
        words, cwd=cwd, check=True, capture_output=True, text=True, env=os.environ | quiet
    ).stdout.strip()


class Place:
    """A forge with releases, an installation of the first one, and its program, which a loop keeps running."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.forge, self.root = folder, folder / "forge", folder / "opt"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        for key in ("owner", "stranger"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, cwd=folder)
        (folder / "signers").write_text("owner@example.org " + (folder / "owner.pub").read_text())
        self.forge.mkdir()
        run("git", "init", "-q", "-b", "main", cwd=self.forge)
        for key, value in {"user.name": "Owner", "user.email": "owner@example.org", "gpg.format": "ssh"}.items():
            run("git", "config", key, value, cwd=self.forge)
        self.release("v0.1.0")
        self.root.mkdir()
        run("git", "clone", "-q", "--bare", str(self.forge), "repository.git", cwd=self.root)
        run(
            "git",
            "--git-dir=repository.git",
            "worktree",
            "add",
            "-q",
            "--detach",
            "releases/v0.1.0",
            "v0.1.0",
            cwd=self.root,
        )
        (self.root / "current").symlink_to("releases/v0.1.0")
        keep = f"while true; do {sys.executable} {self.root}/current/program.py {self.port} & echo $! > {folder}/pid; wait; done"
        self.keeper = subprocess.Popen(["bash", "-c", keep], start_new_session=True)

    def release(self, tag: str, *, status: int = 200, key: str | None = "owner", program: str = PROGRAM) -> None:
        (self.forge / "program.py").write_text(program.format(status=status, version=tag))
        run("git", "add", "-A", cwd=self.forge)
        run("git", "commit", "-q", "--allow-empty", "-m", f"Release {tag}", cwd=self.forge)
        signed = ["-c", f"user.signingkey={self.folder / key}", "tag", "-s"] if key else ["tag", "-a"]
        run("git", *signed, "-m", tag, tag, cwd=self.forge)

    def update(self, **more: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "ASSAY_ROOT": str(self.root),
            "ASSAY_SIGNERS": str(self.folder / "signers"),
            "ASSAY_UNITS": "assay-miner",
            "ASSAY_HEALTH": f"curl -sf http://127.0.0.1:{self.port}/ready",
            "ASSAY_SETUP": "test -f program.py",
            "ASSAY_RESTART": f"kill -TERM $(cat {self.folder}/pid)",
            "ASSAY_PATIENCE": "4",
            "ASSAY_PAUSE": "0.3",
        }
        return subprocess.run(
            [str(SCRIPT)], env=os.environ | settings | more, check=False, capture_output=True, text=True, timeout=120
        )

    @property
    def current(self) -> str:
        return (self.root / "current").readlink().name

    def answer(self) -> str:
        """What the running program says it is, whatever its status."""
        for _ in range(100):
            told = subprocess.run(
                ["curl", "-s", f"http://127.0.0.1:{self.port}/"], check=False, capture_output=True, text=True
            )
            if told.stdout:
                return told.stdout
            time.sleep(0.1)
        raise AssertionError("nothing answers")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    try:
        assert place.answer() == "v0.1.0"
        yield place
    finally:
        os.killpg(place.keeper.pid, signal.SIGKILL)
        place.keeper.wait()


def test_a_good_release_is_taken_and_a_bad_one_rolled_back(place: Place) -> None:
    """The newest signed tag runs when it is well; one that is not is left for good, and the one before runs again."""
    assert place.update().returncode == 0
    assert place.answer() == "v0.1.0"
    place.release("v0.10.0")
    done = place.update()
    assert (done.returncode, place.current, place.answer()) == (0, "v0.10.0", "v0.10.0"), done.stderr
    place.release("v0.11.0", status=503)
    done = place.update()
    assert (done.returncode, place.current, place.answer()) == (1, "v0.10.0", "v0.10.0"), done.stderr
    assert "back on v0.10.0" in done.stderr
    assert place.update().returncode == 0  # it is not tried again
    place.release("v0.12.0", program="raise SystemExit(1)")
    assert (place.update().returncode, place.answer()) == (1, "v0.10.0")
    place.release("v0.13.0")
    assert (place.update().returncode, place.answer()) == (0, "v0.13.0")
    assert {path.name for path in (place.root / "releases").iterdir()} == {"v0.10.0", "v0.13.0"}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["unsigned", "stranger", "light", "renamed", "aside", "moved"])
def test_false_releases_are_refused(place: Place, fault: str) -> None:
    """Before anything of theirs is checked out or run, and with a reason."""
    match fault:
        case "unsigned":
            place.release("v0.2.0", key=None)
        case "stranger":
            place.release("v0.2.0", key="stranger")
        case "light":
            run("git", "tag", "v0.2.0", cwd=place.forge)
        case "renamed":  # the owner's own signature under an old release, sold as a new one
            tag = run("git", "rev-parse", "v0.1.0", cwd=place.forge)
            run("git", "update-ref", "refs/tags/v0.2.0", tag, cwd=place.forge)
        case "aside":  # signed, but of a history without the release that runs
            run("git", "checkout", "-q", "--orphan", "other", cwd=place.forge)
            place.release("v0.2.0")
        case "moved":
            run("git", "tag", "-d", "v0.1.0", cwd=place.forge)
            place.release("v0.1.0")
    done = place.update()
    assert done.returncode == 1
    assert any(word in done.stderr for word in ("refused", "moved")), done.stderr
    assert (place.current, place.answer()) == ("v0.1.0", "v0.1.0")
    assert [path.name for path in (place.root / "releases").iterdir()] == ["v0.1.0"]


@pytest.mark.slow
def test_what_cannot_be_built_or_backed_up_is_not_switched_to(place: Place) -> None:
    """The running release is not even stopped."""
    before = (place.folder / "pid").read_text()
    place.release("v0.2.0")
    assert place.update(ASSAY_BACKUP="false").returncode == 1
    assert place.update(ASSAY_SETUP="false").returncode == 1
    assert place.current == "v0.1.0"
    assert (place.folder / "pid").read_text() == before


@pytest.mark.slow
def test_a_pin_takes_no_other(place: Place) -> None:
    """ASSAY_PIN names the one tag that is taken, however many are newer."""
    place.release("v0.2.0")
    place.release("v0.3.0")
    assert (place.update(ASSAY_PIN="v0.2.0").returncode, place.answer()) == (0, "v0.2.0")
    assert (place.update(ASSAY_PIN="v0.9.0").returncode, place.answer()) == (1, "v0.2.0")


def test_settings_that_lack_are_named(tmp_path: Path) -> None:
    """Status 2, and the variable; a file of signers that is empty lets nobody in, and says so."""
    (tmp_path / "signers").touch()
    names = ("ASSAY_ROOT", "ASSAY_UNITS", "ASSAY_HEALTH", "ASSAY_SIGNERS")
    whole = os.environ | dict.fromkeys(names, str(tmp_path / "signers"))
    for name, given in [*((name, whole | {name: ""}) for name in names), ("ASSAY_SIGNERS", whole)]:
        done = subprocess.run([str(SCRIPT)], env=given, check=False, capture_output=True, text=True)
        assert (done.returncode, name in done.stderr) == (2, True), done.stderr
