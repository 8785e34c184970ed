"""A training set out of hub sets and generators: who lies on which side, whole runs over a hub here, and runs cut off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st

import generators
from detectors.dataset.items import DatasetItem, load_media, read_folder
from neurons.datasets.building.build import DONE, Maker, One, Sizes, build, open_folder
from neurons.datasets.building.sides import Sides, choose
from subnet.errors import GenerationError, SettingsError
from subnet.media.embedded import items, path
from subnet.types import Label, Modality, Sample, Split
from tests.unit.neurons.running import Assay
from tests.unit.subnet.media.hub.hub_server import HubServer, serve
from tests.unit.subnet.media.hub.shard_files import shard_bytes

NAMES = st.text("abcdefghij-/0123456789", min_size=1, max_size=12)


@given(st.sets(NAMES, min_size=2, max_size=12), st.lists(NAMES, min_size=1, max_size=30), st.integers(0, 9))
def test_nothing_crosses_over(families: set[str], photographs: list[str], seed: int) -> None:
    """What is made of a photograph may lie on its side alone; families held out never train, and some family does;
    the same seed gives the same sides, and a family's place does not hang on others that are not held out by need."""
    sides = choose(families, (), seed)
    assert sides == choose(sorted(families, reverse=True), (), seed)
    assert sides.held_out
    assert families - sides.held_out
    for photograph in photographs:
        side = sides.of_photograph(photograph)
        assert side is Sides(seed, frozenset()).of_photograph(photograph)
        for family in families:
            assert sides.allows(family, side) == (family not in sides.held_out or side is Split.TEST)
            assert family not in sides.held_out or sides.of_new(family, photograph) is Split.TEST


def test_shares_are_about_what_they_should_be() -> None:
    """Of many photographs 10 % are for validation and 15 % for testing."""
    sides = [Sides(3, frozenset()).of_photograph(f"set/{number}") for number in range(4000)]
    assert sides.count(Split.VALIDATION) == pytest.approx(400, abs=80)
    assert sides.count(Split.TEST) == pytest.approx(600, abs=100)


def test_what_cannot_be_held_out_is_said() -> None:
    """A family that is not there, and all of them."""
    with pytest.raises(SettingsError, match="--held_out gan: no family"):
        choose({"flux", "sdxl"}, ("gan",), 0)
    with pytest.raises(SettingsError, match="none trained on"):
        choose({"flux", "sdxl"}, ("flux", "sdxl"), 0)


SETS = ("lfw", "dtd")
COUNT = 24  # photographs on the hub of each, of which EACH are taken
EACH = 5


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Two sets in the layout of the hub's, with photographs that ship."""
    photos = [path(row).read_bytes() for row in items(Modality.IMAGE, "train")[: 2 * COUNT]]
    parts = {name: photos[at * COUNT : (at + 1) * COUNT] for at, name in enumerate(SETS)}
    return {
        f"bitmind/{name}": {"data/train-00000-of-00001.parquet": shard_bytes("parquet", part, Modality.IMAGE)}
        for name, part in parts.items()
    }


@pytest.fixture
def hub(shards: dict[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serve(HubServer(shards)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
        yield server


def by_side(folder: Path) -> dict[str, list[DatasetItem]]:
    return {side: read_folder(folder / side) for side in Split if (folder / side).is_dir()}


def test_one_command_makes_a_set(hub: HubServer, assay: Assay, tmp_path: Path) -> None:
    """Photographs of the hub, twins by two generators: no photograph, twin or held-out generator crosses over, both
    classes look the same on disk, `datasets` reads it, and the same command has nothing left to do."""
    out = tmp_path / "set"
    words = ("dataset", "build", out, "--source", "lfw", "--source", "dtd", "--reals", EACH, "--twins", 1)
    words += ("--generator", "vae-tiny", "--generator", "ae-nearest", "--held_out", "nearest", "--device", "cpu")
    ran = assay(*map(str, words))
    assert ran.status == 0, ran.err
    assert "held out of training: nearest" in ran.out
    assert "research use" in ran.err
    sides = by_side(out)
    met: dict[str, set[str]] = defaultdict(set)
    for side, records in sides.items():
        for record in records:
            met[record.pair].add(side)
            assert record.path.suffix == ".png"
            assert side == "test" or record.origin != "ae-nearest"
    assert all(len(where) == 1 for where in met.values())
    assert sum(record.label is Label.REAL for records in sides.values() for record in records) == EACH * len(SETS)
    fakes = [record for records in sides.values() for record in records if record.label is Label.SYNTHETIC]
    assert len(fakes) == EACH * len(SETS)
    assert {load_media(record).frames.shape for record in fakes} == {(1, 256, 256, 3)}
    table = load_dataset("json", data_files=str(out / "train" / "index.jsonl"), split="train", cache_dir=str(tmp_path))
    assert len(table) == len(sides["train"])
    before = (out / DONE).read_bytes()
    asked = hub.requests("/resolve/")
    assert assay(*map(str, words)).status == 0
    assert (out / DONE).read_bytes() == before
    assert hub.requests("/resolve/") == asked
    refused = assay(*map(str, words), "--seed", "5")
    assert "begun with other settings" in refused.message


class Album:
    """Photographs by number, one after the other."""

    name = "album"

    def __init__(self) -> None:
        from subnet.media.embedded.source import EmbeddedSource

        self.photos, self.drawn = EmbeddedSource(Split.TRAIN), 0

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        return self.photos.draw(modality, label, rng)


class Failing:
    """A generator that fails from its third item on."""

    name, modality = "ae-nearest", Modality.IMAGE

    def __init__(self) -> None:
        self.made, self.inner = 0, generators.load_generator("ae-nearest")

    def generate(self, prompts: list[str], rng: np.random.Generator) -> list[Sample]:
        raise GenerationError("of no use")

    def reconstruct(self, sample: Sample, rng: np.random.Generator) -> Sample:
        self.made += 1
        if self.made > 2:
            raise GenerationError("the card fell off")
        return self.inner.reconstruct(sample, rng)  # type: ignore[attr-defined, no-any-return]


def test_what_was_cut_off_is_made_again(tmp_path: Path) -> None:
    """A run that is killed between a photograph and its twins, in the middle of a line, ends as a whole one would: each
    photograph once, with its twins; a generator that fails is told, and loses nothing."""
    makers = [Maker(generators.TABLE["ae-nearest"], generators.load_generator("ae-nearest"))]
    sizes, sides, told = Sizes(4, 1, 0, 0), Sides(0, frozenset()), []
    root = tmp_path / "set"
    build(open_folder(root, {"a": 1}), [(Modality.IMAGE, Album())], makers, One(), sides, sizes, told.append)
    lines = (root / DONE).read_text().splitlines(keepends=True)
    (root / DONE).write_text("".join(lines[:5]) + lines[5][:40])  # the third photograph's twin, without it
    build(open_folder(root, {"a": 1}), [(Modality.IMAGE, Album())], makers, One(), sides, sizes, told.append)
    records = [record for part in by_side(root).values() for record in part]
    assert len(records) == 8
    assert len({record.pair for record in records}) == 4
    assert told == []
    broken = [Maker(generators.TABLE["ae-nearest"], Failing())]  # type: ignore[arg-type]
    more = Sizes(7, 1, 0, 0)
    build(open_folder(root, {"a": 1}), [(Modality.IMAGE, Album())], broken, One(), sides, more, told.append)
    assert told == ["ae-nearest: the card fell off"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(SettingsError, match="holds other things"):
        open_folder(tmp_path / "mine", {})
