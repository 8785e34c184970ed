"""Weights that are replaced while a miner serves: when they are taken, when refused, and who answers meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict

from neurons.miner import loading, reloading
from neurons.miner.answering import Answering, answering
from neurons.miner.loading import fingerprint, load_detectors
from neurons.miner.reloading import Reloading, fingerprints
from neurons.miner.settings import DetectorSettings
from subnet.codec.image import encode_image
from subnet.errors import CheckpointError
from subnet.files import write_atomically
from subnet.protocols import Detector
from subnet.types import Media, Modality
from tests.unit.neurons.miner.weights import spectral

PICTURE = encode_image(Media(np.random.default_rng(3).integers(0, 256, (1, 256, 256, 3), np.uint8)), 90)


class Rig:
    """A miner's detectors under steady requests: every answer, and every line of the log."""

    def __init__(self, answer: Answering, forced: asyncio.Event, logs: list[EventDict]) -> None:
        self.answer, self.forced, self.logs = answer, forced, logs
        self.answers: list[float] = []

    @property
    def serving(self) -> str:
        return self.answer.served[Modality.IMAGE].weights_hash

    def events(self, words: str) -> list[EventDict]:
        return [line for line in self.logs if words in line["event"]]

    async def ask(self) -> None:
        while True:
            answer = await self.answer(Modality.IMAGE, PICTURE, "validator")
            self.answers.append(round(answer.p_synthetic, 5))  # the last bits are of how many ride in its batch

    async def until(self, holds: Callable[[], object]) -> None:
        """Raises TimeoutError after half a minute."""
        async with asyncio.timeout(30):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(text: str, device: str = "cpu") -> AsyncIterator[Rig]:
    wanted = DetectorSettings(text, "constant-video", device, serving="plain")
    with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
        patch.setattr(reloading, "LOOK_SECONDS", 0.05)
        async with AsyncExitStack() as stack:
            known = fingerprints(wanted)
            rig = Rig(await answering(stack, load_detectors(wanted), 8), asyncio.Event(), logs)
            stop = asyncio.Event()
            tasks = [
                asyncio.create_task(
                    Reloading(wanted, known, rig.answer, rig.forced, structlog.get_logger()).keep(stop)
                ),
                *(asyncio.create_task(rig.ask()) for _ in range(3)),
            ]
            try:
                yield rig
                assert not [task for task in tasks if task.done()], "a request failed, or nobody looks any more"
            finally:
                for task in tasks:
                    task.cancel()
                for task in tasks:
                    with suppress(asyncio.CancelledError):
                        await task


@pytest.mark.parametrize("device", ["cpu", "cpu,cpu"])
async def test_replaced_weights_answer_from_the_next_batch_on(tmp_path: Path, device: str) -> None:
    """No request fails, the answers change once and for all, and what is served is named by its new hash."""
    file = tmp_path / "mine.safetensors"
    first = spectral(file, bias=-0.5)
    async with serving(str(file), device) as rig:
        await rig.until(lambda: len(rig.answers) > 5)
        assert rig.serving == first
        before = rig.answers[0]
        second = spectral(file, bias=0.5)
        await rig.until(lambda: rig.serving == second)
        since = len(rig.answers)
        await rig.until(lambda: len(rig.answers) > since + 5)
        (line,) = rig.events("weights replaced")
    after = rig.answers[-1]
    assert after > before
    assert rig.answers == sorted(rig.answers)
    assert set(rig.answers) == {before, after}
    assert (line["weights_hash"], line["before"], len(line["places"])) == (second, first, device.count("cpu"))


async def test_bad_weights_are_refused_and_the_old_ones_go_on(tmp_path: Path) -> None:
    """Garbage, a file cut short, none at all: each is told once with its flag; a good file is then taken again."""
    file = tmp_path / "mine.safetensors"
    first = spectral(file, bias=-0.5)
    whole = file.read_bytes()
    async with serving(str(file)) as rig:
        for number, bad in enumerate((b"garbage" * 99, whole[: len(whole) // 2], None), start=1):
            if bad is None:
                file.unlink()
            else:
                file.write_bytes(bad)
            await rig.until(lambda number=number: len(rig.events("weights refused")) == number)  # type: ignore[misc]
            since = len(rig.answers)
            await rig.until(lambda since=since: len(rig.answers) > since + 3)  # type: ignore[misc]
            assert rig.serving == first
        assert len(set(rig.answers)) == 1
        assert all(f"--detector.image {file}: weights: " in line["why"] for line in rig.events("refused"))
        second = spectral(file, bias=0.5)
        await rig.until(lambda: rig.serving == second)
        assert len(rig.events("weights refused")) == 3


async def test_weights_are_read_again_when_asked_to(tmp_path: Path) -> None:
    """On SIGHUP they are loaded and tested again, though nothing has changed; what was refused, too."""
    file = tmp_path / "mine.safetensors"
    first = spectral(file, bias=-0.5)
    async with serving(f"spectral={file}") as rig:
        rig.forced.set()
        await rig.until(lambda: len(rig.events("weights replaced")) == 2)  # images and videos
        assert rig.serving == first
        file.write_bytes(b"garbage")
        await rig.until(lambda: rig.events("weights refused"))
        rig.forced.set()
        await rig.until(lambda: len(rig.events("weights refused")) == 2)
        assert rig.serving == first


async def test_a_file_is_not_read_while_it_is_written(tmp_path: Path) -> None:
    """A copy that takes its time is taken once it rests: nothing is refused meanwhile."""
    file = tmp_path / "mine.safetensors"
    spectral(file, bias=-0.5)
    second = spectral(tmp_path / "next.safetensors", bias=0.5)
    whole = (tmp_path / "next.safetensors").read_bytes()
    async with serving(str(file)) as rig:
        with file.open("wb", buffering=0) as copy:
            for first in range(0, len(whole), 512):
                copy.write(whole[first : first + 512])
                await asyncio.sleep(0.02)
        await rig.until(lambda: rig.serving == second)
        assert rig.events("weights refused") == []


async def test_weights_that_change_while_they_are_read_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was loaded is not known to be the file's then: it never answers."""
    file = tmp_path / "mine.safetensors"
    spectral(file, bias=-0.5)
    third = tmp_path / "third.safetensors"
    wanted, opened = spectral(third, bias=0.5), loading.open_detector
    async with serving(str(file)) as rig:
        served = set[str]()

        def slow(text: str, *, device: str = "cpu") -> Detector:
            detector = opened(text, device=device)
            if third.exists() and detector.weights_hash != wanted:
                third.replace(file)
            return detector

        monkeypatch.setattr(loading, "open_detector", slow)
        second = spectral(file, bias=0.1)
        await rig.until(lambda: served.add(rig.serving) or rig.serving == wanted)  # type: ignore[func-returns-value]
        assert second not in served
        assert len(rig.events("changed while they were read")) == 1


def test_what_is_looked_at(tmp_path: Path) -> None:
    """Files however they are named, folders, members of a stack; not names of the table. Every change shows."""
    file, folder = tmp_path / "a=b,c.safetensors", tmp_path / "hub"
    folder.mkdir()
    for path in (file, folder / "config.json", tmp_path / "plain.pth"):
        path.write_bytes(b"1")
    plain = tmp_path / "plain.pth"
    assert fingerprint("npr") == fingerprint("hub:a/b/c@1#2") == fingerprint("nowhere.pth") == ()
    assert {name for name, *_ in fingerprint(f"hub={folder}")} == {str(folder / "config.json")}
    assert {name for name, *_ in fingerprint(f"ensemble=npr,ucf={plain}")} == {str(plain)}
    for text, named in ((f"npr={file}", file), (str(plain), plain), (f"npr={plain}", plain)):
        assert [name for name, *_ in fingerprint(text)] == [str(named)]
    states = [fingerprint(str(plain))]
    plain.write_bytes(b"12")
    states.append(fingerprint(str(plain)))
    os.utime(plain, ns=(1, 1))
    states.append(fingerprint(str(plain)))
    write_atomically(plain, b"12")
    os.utime(plain, ns=(1, 1))
    states += [fingerprint(str(plain)), ()]
    assert len(set(states)) == 5


def test_a_device_that_cannot_load_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of several cards is full or lost: it is told by name, and the others serve; when all fail, that is said."""
    file, opened = tmp_path / "mine.safetensors", loading.open_detector
    spectral(file, bias=0.5)
    calls: list[str] = []

    def full(text: str, *, device: str = "cpu") -> Detector:
        calls.append(text)
        if len(calls) == 2 and text == str(file):
            raise RuntimeError("CUDA out of memory")
        return opened(text, device=device)

    monkeypatch.setattr(loading, "open_detector", full)
    wanted = DetectorSettings(str(file), "constant-video", "cpu,cpu,cpu", serving="plain")
    with capture_logs() as logs:
        placed = load_detectors(wanted)
    assert list(placed[Modality.IMAGE]) == ["cpu", "cpu (3)"]
    assert list(placed[Modality.VIDEO]) == ["cpu"]
    assert [(line["device"], line["serving_on"]) for line in logs] == [("cpu (2)", ["cpu", "cpu (3)"])]
    file.write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match=r"--detector\.image .*mine\.safetensors: weights: "):
        load_detectors(wanted)
