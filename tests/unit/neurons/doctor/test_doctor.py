"""`assay doctor`: each check against the state that it is there to find."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import pytest

import detectors as detector_package
import generators as generator_package
from neurons import settings as s
from neurons.doctor import machine, media, network
from neurons.doctor.machine import Health
from subnet.chain.devnode.keys import wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron
from subnet.chain.devnode.node.server import devnode
from subnet.types import Endpoint, Hyperparameters, Neuron, Snapshot
from tests.unit.neurons.running import Assay
from tests.unit.subnet.wire import rig

HYPERPARAMETERS = Hyperparameters(tempo=360, weights_rate_limit=100)
WALLET = s.WalletSettings(name="cold", hotkey="hot")
ABSENT = "ws://127.0.0.1:9"  # the discard port: nobody listens


@contextmanager
def web(date: str | None) -> Iterator[str]:
    """A web server on loopback whose answers carry `date`."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(404)
            if date is not None:
                self.send_header("Date", date)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0, Health.OK), (60, Health.FAIL), (-60, Health.FAIL)], ids=["right", "ahead", "behind"]
)
def test_clock_is_compared(shift: int, verdict: Health) -> None:
    """A clock a minute away from the server's fails with the fix; a right one passes."""
    with web(formatdate(time.time() - shift, usegmt=True)) as url:
        (found,) = network.clock(url)
    assert found.verdict is verdict
    assert ("timedatectl" in found.fix) == (verdict is not Health.OK)
    if shift:
        assert ("ahead" in found.found) == (shift > 0)


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_a_server_without_a_date_only_warns(date: str | None) -> None:
    """What cannot be compared is said, and is no failure."""
    with web(date) as url:
        assert [found.verdict for found in network.clock(url)] == [Health.WARN]


def test_packages_of_another_distribution() -> None:
    """A distribution that is not there fails; the project's own dependencies are all as required."""
    assert [found.verdict for found in machine.packages("assay-of-nobody")] == [Health.FAIL]
    assert [found.verdict for found in machine.packages()] == [Health.OK]


def test_a_port_that_is_taken() -> None:
    """An occupied port fails and names the flag; once free it passes."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        (found,) = network.port(s.AxonSettings(port=number, ip="127.0.0.1"))
    assert found.verdict is Health.FAIL
    assert "--axon.port" in found.fix
    assert [f.verdict for f in network.port(s.AxonSettings(port=number, ip="127.0.0.1"))] == [Health.OK]


async def test_an_axon_of_our_own_on_its_port(tmp_path: Path) -> None:
    """A port that a miner of Assay holds is no fault: it is told whether that miner is ready."""
    for number, changes in enumerate(({}, {"metagraph": lambda: None})):
        running = await rig.start(tmp_path / f"{number}.db", **changes)
        try:
            axon = s.AxonSettings(port=running.serving.port, ip="127.0.0.1")
            (found,) = await asyncio.to_thread(list, network.port(axon))
        finally:
            await running.close()
        assert "an Assay miner runs" in found.found
        assert found.verdict is (Health.WARN if changes else Health.OK)


def test_another_web_server_is_another_program() -> None:
    """A server that answers on /health with anything else occupies the port."""
    with web(None) as url:
        (found,) = network.port(s.AxonSettings(port=urlsplit(url).port or 0, ip="127.0.0.1"))
    assert found.verdict is Health.FAIL


@pytest.mark.parametrize(
    ("ip", "port", "chain", "verdict"),
    [
        ("10.1.2.3", None, None, Health.FAIL),
        ("192.168.0.9", 8091, None, Health.FAIL),
        ("100.64.0.1", None, None, Health.FAIL),
        ("::ffff:10.0.0.1", None, None, Health.FAIL),
        ("fd00::1", None, None, Health.FAIL),
        ("8.8.8.8", None, None, Health.OK),
        ("2606:4700::1111", 9000, None, Health.OK),
        ("10.1.2.3", None, "ws://127.0.0.1:9944", Health.OK),
    ],
)
def test_an_address_to_publish(ip: str, port: int | None, chain: str | None, verdict: Health) -> None:
    """What validators would not call is told before it is published; on a development chain they call private ones."""
    axon = s.AxonSettings(external_ip=ip, external_port=port)
    (found,) = network.address(axon, s.SubtensorSettings(chain_endpoint=chain))
    assert found.verdict is verdict
    assert bool(found.fix) == (verdict is Health.FAIL)


@pytest.mark.parametrize(("host", "counts"), [("10.0.0.7", (1, 0)), ("8.8.8.8", (0, 0)), ("127.0.0.1", (1, 0))])
def test_an_address_on_chain(host: str, counts: tuple[int, int], tmp_path: Path) -> None:
    """A private address that stands on chain fails, with its fix; where the chain is this machine's it is fine."""
    wallet = wallet_from_seed("miner", tmp_path, "doctor")
    hotkey = wallet.hotkey.ss58_address
    me = Neuron(0, hotkey, hotkey, 1.0, permit=False, endpoint=Endpoint(host, 8091))
    snapshot = Snapshot(7, 1, (me,), HYPERPARAMETERS)
    for endpoint, count in zip(("finney", "ws://127.0.0.1:9944"), counts, strict=True):
        subtensor = s.SubtensorSettings(chain_endpoint=None if endpoint == "finney" else endpoint)
        found = list(network.registration(snapshot, subtensor, s.WalletSettings(), wallet))
        assert [f.verdict for f in found] == [Health.OK] + [Health.FAIL] * count
        assert all("--axon.external_ip" in f.fix for f in found[1:])


def test_lines_to_run_carry_wallet_and_network(tmp_path: Path) -> None:
    """The suggested btcli lines name what was given to the doctor, quoted for a shell; btcli knows every flag."""
    wallet = s.WalletSettings(name="my cold", hotkey="hot", path=tmp_path)
    line = network.btcli("subnets register --netuid 7", s.SubtensorSettings(network="test"), wallet)
    assert shlex.split(line) == [
        *("btcli", "subnets", "register", "--netuid", "7", "--wallet", "my cold", "--wallet-hotkey", "hot"),
        *("--wallet-path", str(tmp_path), "--network", "test"),
    ]
    _, found = network.keys(wallet, needed=True)
    assert "btcli wallet create --wallet 'my cold' --wallet-hotkey hot" in found.fix
    (tmp_path / "my cold").mkdir()
    (tmp_path / "my cold" / "coldkeypub.txt").touch()
    for needed in (True, False):
        _, found = network.keys(wallet, needed=needed)
        assert "btcli wallet new-hotkey --wallet 'my cold' --wallet-hotkey hot" in found.fix


def copy_weights(to: Path, package: Any) -> Path:
    shutil.copytree(Path(package.__file__).parent / "weights", to)
    return to


def flip(file: Path, place: int) -> None:
    """One bit of one byte, counted from the end where `place` is below 0."""
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


def test_damaged_and_missing_weights_of_detectors(tmp_path: Path) -> None:
    """A damaged file is told by its name and all who use it, and hides no missing one."""
    folder = copy_weights(tmp_path / "weights", detector_package)
    (found,) = media.detectors(folder)
    assert found.verdict is Health.OK
    flip(folder / "npr.safetensors", -5)
    (folder / "tall.safetensors").unlink()
    (found,) = media.detectors(folder)
    assert found.verdict is Health.FAIL
    assert "npr.safetensors of npr, frames is damaged" in found.found
    assert "tall.safetensors of tall is missing" in found.found
    shutil.copyfile(Path(detector_package.__file__).parent / "weights" / "npr.safetensors", folder / "npr.safetensors")
    (found,) = media.detectors(folder)
    assert (found.verdict, "assay train tall" in found.fix) == (Health.WARN, True)


@pytest.mark.parametrize("place", [10, -1, -4000])
def test_damaged_tensors_of_generators(tmp_path: Path, place: int) -> None:
    """One flipped bit of a header or a tensor is found in any file, and so is a file that is not there."""
    folder = copy_weights(tmp_path / "weights", generator_package)
    (found,) = media.generators(folder)
    assert found.verdict is Health.OK
    flip(folder / "autoencoder.safetensors", place)
    (folder / "tiny-diffusion" / "unet" / "config.json").unlink()
    (found,) = media.generators(folder)
    assert found.verdict is Health.FAIL
    assert "damaged: autoencoder.safetensors" in found.found
    assert "missing: tiny-diffusion/unet/config.json" in found.found
    (folder / "SHA256SUMS").unlink()
    (found,) = media.generators(folder)
    assert found.verdict is Health.FAIL


def test_every_file_of_generator_weights_is_pinned() -> None:
    """The list beside the weights names every file there is, but itself and the page about them."""
    folder = Path(generator_package.__file__).parent / "weights"
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    pinned = {line.split("  ", 1)[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert pinned == there - {"README.md", "SHA256SUMS"}


def test_a_clip_is_decoded_and_a_picture_judged() -> None:
    """What is reported is that it works, on media and weights that ship."""
    (clip,), (picture,) = media.video(), media.judging()
    assert (clip.verdict, picture.verdict) == (Health.OK, Health.OK), (clip, picture)
    assert "frames decoded" in clip.found
    assert "P(synthetic)" in picture.found


def test_a_library_that_opens_no_clip_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyAV of another version, whose `open` takes other arguments: the doctor fails instead of reading versions."""

    older = av.open

    def unlike(file: object, mode: str | None = None, format: str | None = None, *, options: object = None) -> object:
        return older(file, mode, format, options=options)

    monkeypatch.setattr(av, "open", unlike)
    (found,) = media.video()
    assert found.verdict is Health.FAIL
    assert "unexpected keyword" in found.found
    (found,) = media.judging("nobody")
    assert found.verdict is Health.FAIL


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    """Free space is that of the nearest folder that exists, and nothing is made."""
    (found,) = machine.disk(tmp_path / "not" / "yet")
    assert found.verdict in (Health.OK, Health.WARN)
    assert not (tmp_path / "not").exists()


async def test_chain_and_registration(tmp_path: Path) -> None:
    """On a living node the block is told, and whether the hotkey stands in the metagraph."""
    known, stranger = (wallet_from_seed(name, tmp_path, "doctor") for name in ("known", "stranger"))
    hotkey = known.hotkey.ss58_address
    async with devnode(Genesis(7, (GenesisNeuron(hotkey, hotkey, 10.0),)), instant=True) as node:
        subtensor = s.SubtensorSettings(chain_endpoint=node.endpoint)
        found = await network.chain(subtensor, 7, WALLET, known, deadline=20)
        assert [f.verdict for f in found] == [Health.OK, Health.OK]
        assert "uid 0" in found[1].found
        missing = (await network.chain(subtensor, 7, WALLET, stranger, deadline=20))[1]
        assert missing.verdict is Health.FAIL
        assert "btcli subnets register --netuid 7" in missing.fix
        assert missing.fix.endswith(f"--network {node.endpoint}")
        nobody = (await network.chain(subtensor, 7, WALLET, None, deadline=20))[1]
        assert nobody.verdict is Health.FAIL
        other = await network.chain(subtensor, 8, WALLET, known, deadline=20)
        assert other[-1].verdict is Health.FAIL
        assert "no subnet 8" in other[-1].found


async def test_a_silent_node_is_given_up() -> None:
    """A node that accepts and never answers costs the deadline and no more."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        subtensor = s.SubtensorSettings(chain_endpoint=f"ws://127.0.0.1:{mute.getsockname()[1]}")
        (found,) = await network.chain(subtensor, 7, WALLET, None, deadline=1.0)
    assert found.verdict is Health.FAIL
    assert time.monotonic() - began < 10


def test_without_a_subnet_nothing_fails(assay: Assay) -> None:
    """On a healthy machine without wallet, chain or network the status is 0: a local network needs none of these."""
    ran = assay(
        "doctor",
        "--subtensor.chain_endpoint",
        ABSENT,
        "--clock_url",
        "http://127.0.0.1:9",
        "--axon.port",
        "0",
        "--json",
    )
    checks = {row["check"]: row for row in ran.json["checks"]}
    assert ran.status == 0, [row for row in ran.json["checks"] if row["verdict"] == "fail"]
    assert ran.json["ok"] is True
    assert checks["wallet"]["verdict"] == checks["chain"]["verdict"] == checks["clock"]["verdict"] == "warn"
    assert checks["embedded set"]["verdict"] == checks["generators"]["verdict"] == "ok"
    assert checks["detectors"]["verdict"] == checks["video"]["verdict"] == checks["judging"]["verdict"] == "ok"
    assert all(row["fix"] for row in checks.values() if row["verdict"] != "ok")


def test_with_a_subnet_wallet_and_chain_must_be_right(assay: Assay) -> None:
    """With --netuid the status is 1 where wallet and chain are missing, each with its fix."""
    where = (
        "--netuid",
        "34",
        "--subtensor.chain_endpoint",
        ABSENT,
        "--clock_url",
        "http://127.0.0.1:9",
        "--axon.port",
        "0",
    )
    ran = assay("doctor", *where)
    assert ran.status == 1
    assert "btcli wallet" in ran.out
    assert "--subtensor.chain_endpoint" in ran.out
