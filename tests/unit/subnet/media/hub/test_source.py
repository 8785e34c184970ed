"""Hub sources: fresh items while the hub answers, kept ones while it does not, always within the budget."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from subnet.codec import image as codec
from subnet.errors import SourceEmpty
from subnet.media.hub.catalog import SourceRow, any_repository
from subnet.media.hub.client import Hub, Patience
from subnet.media.hub.source import HubSource
from subnet.types import Label, Modality, Sample
from tests.unit.subnet.media.hub.hub_server import DOWN, Fault, HubServer, serve
from tests.unit.subnet.media.hub.shard_files import media_bytes, shard_bytes

NAME = "someone/photos"
IMAGE, REAL = Modality.IMAGE, Label.REAL
QUICK = Patience(tries=2, first_wait=0.01, timeout=5.0)
Open = Callable[..., HubSource]


def shards(count: int = 4, kind: str = "parquet") -> dict[str, bytes]:
    items = {n: media_bytes(8, IMAGE, n) for n in range(count)}
    return {f"data/train-{n}.{kind}": shard_bytes(kind, items[n], IMAGE) for n in range(count)} | {
        "README.md": b"hello"
    }


@pytest.fixture
def server() -> Iterator[HubServer]:
    with serve(HubServer({NAME: shards()}, small=("README.md",))) as hub:
        yield hub


@pytest.fixture
def connect(server: HubServer, tmp_path: Path) -> Iterator[Open]:
    """Sources of the set, all on one folder, with a clock that tests may turn; `told` collects problems."""
    made: list[HubSource] = []
    hub = Hub(server.url, patience=QUICK)

    def open_source(row: SourceRow | None = None, told: list[str] | None = None, **options: object) -> HubSource:
        row = row or any_repository(NAME, IMAGE)
        report = (lambda text: None) if told is None else told.append
        options = {"floor": 0, "per_shard": 3, **options}
        source = HubSource(
            hub,
            row,
            tmp_path / "cache",
            decode_video=codec.decode_video,
            on_problem=report,
            **options,  # type: ignore[arg-type]
        )
        made.append(source)
        return source

    yield open_source
    for source in made:
        source.close()
    hub.close()


def draw(source: HubSource, count: int, seed: int = 0) -> list[Sample]:
    rng = np.random.default_rng(seed)
    return [source.draw(source.row.modality, REAL, rng) for _ in range(count)]


def shards_of(samples: list[Sample]) -> set[str]:
    return {str(sample.provenance.parameters["shard"]) for sample in samples}


def kept(root: Path) -> list[Path]:
    return [path for path in root.glob("*/*/*") if path.is_file()]


def test_items_come_from_several_shards_with_full_provenance(server: HubServer, connect: Open) -> None:
    """At most `per_shard` items of one shard in a row; each says repository, commit, shard and member."""
    samples = draw(connect(), 12)
    assert len(shards_of(samples)) >= 2
    about = samples[0].provenance
    assert samples[0].media.frames.shape == (1, 256, 256, 3)
    assert about.parameters["repository"] == NAME
    assert len(str(about.parameters["commit"])) == 40
    assert about.item.startswith("data/train-")
    assert "row" in str(about.parameters["member"])


def test_a_shard_is_fetched_once(server: HubServer, connect: Open) -> None:
    """What lies on disk is not fetched again, by this process or the next."""
    draw(connect(), 40)
    assert server.requests("resolve") == 4
    draw(connect(), 40)
    assert (server.requests("resolve"), server.requests("tree")) == (4, 1)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_serve_as_well(server: HubServer, connect: Open, kind: str) -> None:
    """Zip and tar shards give their members."""
    server.repositories[NAME] = shards(2, kind)
    assert all(str(sample.provenance.parameters["member"]).endswith(".jpg") for sample in draw(connect(), 6))


def test_plain_files_are_a_set_too(server: HubServer, connect: Open) -> None:
    """A repository of loose pictures works by name."""
    server.repositories[NAME] = {f"{n}.jpg": data for n, data in enumerate(media_bytes(3, IMAGE))}
    assert len(shards_of(draw(connect(), 12))) == 3


@pytest.mark.parametrize("kind", ["parquet", "zip"])
def test_a_large_shard_is_read_where_it_lies(server: HubServer, connect: Open, tmp_path: Path, kind: str) -> None:
    """Over `whole_up_to` nothing is kept, and only ranges are asked for."""
    server.repositories[NAME] = shards(1, kind)
    draw(connect(whole_up_to=1000), 3)
    assert kept(tmp_path / "cache") == []
    asked = [headers.get("range") for path, headers in server.seen if "resolve" in path]
    assert asked
    assert all(asked)


def test_when_the_hub_is_down_what_is_kept_serves(server: HubServer, connect: Open) -> None:
    """Draws go on from kept shards, the hub is left alone for as long as it asked, then it is asked again."""
    now = [1000.0]
    told: list[str] = []
    draw(connect(), 3)
    seen = len(server.seen)
    source = connect(told=told, clock=lambda: now[0])
    server.faults["resolve"] = [Fault(429, {"Retry-After": "500"})]
    names = shards_of(draw(source, 30))
    assert len(names) == 1
    assert len(server.seen) == seen + 1
    assert "trying again in 500 s" in told[0]
    now[0] += 501
    assert len(shards_of(draw(source, 30))) > 1


def test_a_dead_hub_with_nothing_kept_says_so(server: HubServer, connect: Open) -> None:
    """SourceEmpty with the hub's refusal, quickly, and no request storm on the next draw."""
    server.faults["api"] = [DOWN]
    source = connect()
    with pytest.raises(SourceEmpty, match="503"):
        draw(source, 1)
    requests = len(server.seen)
    with pytest.raises(SourceEmpty, match="503"):
        draw(source, 1)
    assert len(server.seen) == requests


def test_a_gated_set_says_what_to_do(server: HubServer, connect: Open) -> None:
    """The message names the token."""
    server.faults["api"] = [Fault(403)]
    with pytest.raises(SourceEmpty, match="HF_TOKEN"):
        draw(connect(), 1)


def test_the_budget_holds_and_the_oldest_go_first(server: HubServer, connect: Open, tmp_path: Path) -> None:
    """What is kept never exceeds the budget; the shard used longest ago is the first to go."""
    sizes = [len(data) for path, data in server.repositories[NAME].items() if "train" in path]
    source = connect(budget=sum(sorted(sizes)[-2:]) + 10)
    for n in range(10):
        draw(source, 3, seed=n)
        assert sum(path.stat().st_size for path in kept(tmp_path / "cache")) <= source.budget
        for age, path in enumerate(sorted(kept(tmp_path / "cache"), key=lambda p: p.stat().st_mtime)):
            os.utime(path, (1000 + age + n, 1000 + age + n))
    assert server.requests("resolve") > 4


def test_without_room_shards_are_read_in_part(server: HubServer, connect: Open, tmp_path: Path) -> None:
    """A floor that the disk cannot keep stops downloads, not draws; what is kept is not thrown away for nothing."""
    draw(connect(), 3)
    before = kept(tmp_path / "cache")
    source = connect(floor=10**18)
    assert len(shards_of(draw(source, 20))) > 1
    assert kept(tmp_path / "cache") == before


def test_a_broken_shard_never_stops_the_others(server: HubServer, connect: Open) -> None:
    """Garbage of the right hash is told once, deleted, and not fetched again."""
    server.repositories[NAME]["data/train-0.parquet"] = b"garbage" * 100
    told: list[str] = []
    samples = draw(connect(told=told), 40)
    assert shards_of(samples) == {f"data/train-{n}.parquet" for n in (1, 2, 3)}
    assert len([text for text in told if "train-0" in text]) == 1
    assert server.requests("train-0") == 1


def test_a_shard_of_spoilt_items_is_given_up(server: HubServer, connect: Open) -> None:
    """After five useless items in a row another shard's turn comes."""
    server.repositories[NAME]["data/train-0.parquet"] = shard_bytes("parquet", [b"no picture"] * 12, IMAGE)
    told: list[str] = []
    samples = draw(connect(told=told, per_shard=100), 60)
    assert len(samples) == 60
    assert len([text for text in told if "train-0" in text]) <= 5


def test_a_cut_transfer_and_a_wrong_hash_are_healed(server: HubServer, connect: Open, tmp_path: Path) -> None:
    """Both are fetched again; only whole files with the right hash are kept."""
    server.faults["resolve"] = [Fault(cut=5000), Fault(wrong=True), Fault(cut=100)]
    assert len(draw(connect(), 30)) == 30
    contents = set(server.repositories[NAME].values())
    assert all(path.read_bytes() in contents for path in kept(tmp_path / "cache"))


def test_nothing_usable_in_the_set(server: HubServer, connect: Open) -> None:
    """A set without shards, another label or modality: SourceEmpty that names it."""
    server.repositories[NAME] = {"README.md": b"hello"}
    with pytest.raises(SourceEmpty, match="no usable shard"):
        draw(connect(), 1)
    with pytest.raises(SourceEmpty, match="real images only"):
        connect().draw(IMAGE, Label.SYNTHETIC, np.random.default_rng(0))


def test_a_repository_has_an_owner_and_a_name() -> None:
    """Anything else is the user's mistake."""
    for name in ("photos", "/photos", "a/b/c", "a/"):
        with pytest.raises(ValueError, match="owner/name"):
            any_repository(name, IMAGE)
