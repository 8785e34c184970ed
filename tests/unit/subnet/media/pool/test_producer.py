"""The producer: fills what is lowest, repeats itself exactly, and is not stopped by one bad maker."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.errors import GenerationError, SettingsError
from subnet.media.pool.item import Cell, parse_cell
from subnet.media.pool.pool import Pool
from subnet.media.pool.producer import (
    Event,
    Make,
    PoolPlan,
    Producer,
    ProducerStep,
    Target,
    equal_shares,
    flaw,
    item_rng,
    make_item,
    next_cell,
    read_plan,
    stream_of,
    weighted,
)
from subnet.types import Label, Media, Modality, Provenance, Sample

A = Cell(Modality.IMAGE, Label.REAL, "photos")
B = Cell(Modality.IMAGE, Label.SYNTHETIC, "ae")
C = Cell(Modality.VIDEO, Label.SYNTHETIC, "jitter")
CELLS = [A, B, C]


def maker(cell: Cell, size: int = 256) -> Callable[[np.random.Generator], Sample]:
    def make(rng: np.random.Generator) -> Sample:
        pixels = rng.integers(0, 256, (1, size, size, 3), dtype=np.uint8)
        return Sample(Media(pixels), cell.label, Provenance(cell.origin, str(pixels.sum())))

    return make


def contents(pool: Pool) -> list[tuple[str, str]]:
    return sorted((item.id, item.content) for cell in pool.cells() for item in pool.items(cell))


@given(st.lists(st.integers(0, 20), min_size=3, max_size=3), st.lists(st.integers(0, 25), min_size=3, max_size=3))
def test_the_next_cell_is_lowest_relative_to_its_target(targets: list[int], levels: list[int]) -> None:
    """No open cell is emptier than the chosen one; None exactly when every target is met."""
    plan = PoolPlan(tuple(Target(cell, count) for cell, count in zip(CELLS, targets, strict=True)))
    now = dict(zip(CELLS, levels, strict=True))
    share = {t.cell: now[t.cell] / t.count for t in plan.targets if now[t.cell] < t.count}
    chosen = next_cell(plan, now)
    assert (chosen is None) == (not share)
    if chosen is not None:
        assert share[chosen] == min(share.values())
        assert next_cell(plan, now, resting=[chosen]) != chosen


@given(st.lists(st.floats(0, 10), min_size=3, max_size=3).filter(lambda w: sum(w) > 0.01), st.integers(1, 5000))
def test_weights_share_out_the_total(weights: list[float], total: int) -> None:
    """Counts follow the weights to within rounding, and no weighted cell is left out."""
    given_weights = dict(zip(CELLS, weights, strict=True))
    plan = weighted(given_weights, total)
    assert {t.cell for t in plan.targets} == {cell for cell, weight in given_weights.items() if weight > 0}
    for target in plan.targets:
        assert target.count >= 1
        assert abs(target.count - total * given_weights[target.cell] / sum(weights)) <= 1


def test_equal_shares_are_half_real_and_mostly_images() -> None:
    """95 : 5 images to videos, and real : synthetic alike."""
    cells = [A, B, Cell(Modality.IMAGE, Label.SYNTHETIC, "gan"), Cell(Modality.VIDEO, Label.REAL, "clips"), C]
    counts = {t.cell: t.count for t in equal_shares(cells, 2000).targets}
    assert [counts[cell] for cell in cells] == [950, 475, 475, 50, 50]


def test_the_pool_fills_to_the_plan_and_then_stops(tmp_path: Path) -> None:
    """Each cell reaches its target; then the producer reports that it is full; a retired item is replaced."""
    pool = Pool(tmp_path, floor=0)
    producer = Producer(PoolPlan((Target(A, 3), Target(B, 2))), {A: maker(A), B: maker(B)}, pool)
    steps = [producer.step() for _ in range(6)]
    assert [step.event for step in steps] == [Event.STORED] * 5 + [Event.FULL]
    assert pool.levels() == {A: 3, B: 2}
    pool.retire(pool.items(A)[0])
    assert (producer.step().cell, producer.step().event) == (A, Event.FULL)
    assert [item.sequence for item in pool.items(A)] == [1, 2, 3]


def test_a_restart_makes_what_an_unbroken_run_makes(tmp_path: Path) -> None:
    """Stopped after every step and started again, a producer makes the same items as one that ran through."""
    plan, makers = PoolPlan((Target(A, 4), Target(B, 3)), seed=7), {A: maker(A), B: maker(B)}
    whole = Pool(tmp_path / "whole", floor=0)
    through = Producer(plan, makers, whole)
    for _ in range(7):
        through.step()
    broken = Pool(tmp_path / "broken", floor=0)
    for _ in range(7):
        Producer(plan, makers, broken).step()
    assert contents(whole) == contents(broken)


def test_seed_stream_cell_and_number_each_change_the_item() -> None:
    """Items differ when any of the four differs, and only then."""
    plan = PoolPlan((Target(A, 1),), seed=1)
    others = [
        (PoolPlan((Target(A, 1),), seed=2), A, 0),
        (PoolPlan((Target(A, 1),), 1, "x"), A, 0),
        (plan, B, 0),
        (plan, A, 1),
    ]
    first = item_rng(plan, A, 0).random()
    assert first == item_rng(plan, A, 0).random()
    assert len({first, *(item_rng(*other).random() for other in others)}) == 5


def test_one_bad_maker_rests_and_the_others_go_on(tmp_path: Path) -> None:
    """A maker that raises is tried again after longer and longer rests, then its number is passed over."""
    clock = [0.0]

    def broken(rng: np.random.Generator) -> Sample:
        raise GenerationError("out of memory")

    plan, makers = PoolPlan((Target(A, 100), Target(B, 100))), {A: broken, B: maker(B)}
    producer = Producer(plan, makers, Pool(tmp_path, floor=0), clock=lambda: clock[0])
    tried = []
    for second in range(40):
        clock[0] = float(second)
        step = producer.step()
        if step.event is Event.FAILED:
            tried.append((second, step.sequence))
            assert "out of memory" in step.reason
    assert tried == [(0, 0), (1, 0), (3, 0), (7, 1), (15, 1), (31, 1)]
    assert producer.counts[B, Event.STORED] == 34


@pytest.mark.parametrize("value", [0, 128, 255])
def test_black_and_constant_media_are_counted_and_passed_over(tmp_path: Path, value: int) -> None:
    """What NaN latents turn into never enters the pool; the next number is tried after a rest."""
    clock = [0.0]
    plain = Sample(Media(np.full((1, 256, 256, 3), value, np.uint8)), Label.SYNTHETIC, Provenance("ae", "x"))
    pool = Pool(tmp_path, floor=0)
    producer = Producer(PoolPlan((Target(B, 2),)), {B: lambda rng: plain}, pool, clock=lambda: clock[0])
    assert producer.step().event is Event.REJECTED
    clock[0] = 10.0
    assert producer.step().sequence == 1
    assert producer.counts[B, Event.REJECTED] == 2
    assert sum(pool.levels().values()) == 0


def test_a_photo_is_no_flaw() -> None:
    """Dark but textured media passes."""
    dark = np.random.default_rng(0).integers(0, 20, (1, 256, 256, 3), dtype=np.uint8)
    assert flaw(Media(dark)) is None


def test_other_sizes_are_brought_to_256(tmp_path: Path) -> None:
    """All that the pool holds has one size."""
    pool = Pool(tmp_path, floor=0)
    Producer(PoolPlan((Target(A, 1),)), {A: maker(A, 300)}, pool).step()
    drawn = pool.take(A, [])
    assert drawn is not None
    assert drawn.sample.media.frames.shape == (1, 256, 256, 3)


def test_an_item_made_again_exists_and_is_no_failure(tmp_path: Path) -> None:
    """What another run stored meanwhile is reported as there; the producer goes on with the next number."""
    pool, plan = Pool(tmp_path, floor=0), PoolPlan((Target(A, 3),))
    producer = Producer(plan, {A: maker(A)}, pool)
    assert make_item(plan, A, 0, maker(A), pool) == (Event.STORED, "")
    steps = [producer.step() for _ in range(3)]
    assert [(step.event, step.sequence) for step in steps] == [
        (Event.EXISTS, 0),
        (Event.STORED, 1),
        (Event.STORED, 2),
    ]


@pytest.mark.parametrize("error", [GenerationError("black"), OSError("no such file"), MemoryError("too large")])
def test_typed_errors_of_a_maker_are_failures(tmp_path: Path, error: Exception) -> None:
    """A maker's own error, a disk that refuses, and memory that runs out say why and end nothing."""

    def broken(rng: np.random.Generator) -> Sample:
        raise error

    event, reason = make_item(PoolPlan((Target(A, 1),)), A, 0, broken, Pool(tmp_path, floor=0))
    assert (event, reason) == (Event.FAILED, f"{type(error).__name__}: {error}")


def test_media_of_another_kind_never_enters_a_cell(tmp_path: Path) -> None:
    """Stored elsewhere it would leave its cell open for ever, and fill the disk: it is a failure, and not stored."""
    pool = Pool(tmp_path, floor=0)
    event, reason = make_item(PoolPlan((Target(B, 1),)), B, 0, maker(A), pool)
    assert event is Event.FAILED
    assert reason == f"GenerationError: asked for {B}, it gave {A.label.name.lower()} {A.modality}"
    assert sum(pool.levels().values()) == 0


def test_without_room_nothing_is_lost_and_the_number_stays(tmp_path: Path) -> None:
    """A refused put is reported with its reason, and the same item is made once there is room."""
    pool = Pool(tmp_path, floor=0, budget=1000)
    producer = Producer(PoolPlan((Target(A, 2),)), {A: maker(A)}, pool)
    assert [producer.step().event for _ in range(2)] == [Event.NO_ROOM] * 2
    pool.budget = 10**9
    assert (producer.step().sequence, producer.step().sequence) == (0, 1)


def test_it_runs_until_told_to_stop(tmp_path: Path) -> None:
    """`run` ends when the event is set, also while it waits."""
    stop, full = threading.Event(), threading.Event()

    def watch(step: ProducerStep) -> None:
        if step.event is Event.FULL:
            full.set()

    producer = Producer(PoolPlan((Target(A, 2),)), {A: maker(A)}, Pool(tmp_path, floor=0))
    thread = threading.Thread(target=producer.run, args=(stop, watch, 60.0))
    thread.start()
    assert full.wait(timeout=30)
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_threads_share_the_cells_and_make_the_same_items(tmp_path: Path) -> None:
    """Four threads on three cells, one of them bad: no cell is worked on twice at a time, no thread reports that all is
    full while another is at work, and what is stored is what one thread stores."""
    plan = PoolPlan((Target(A, 12), Target(B, 9), Target(C, 5)), seed=3)
    at_work: Counter[Cell] = Counter()
    most: Counter[Cell] = Counter()

    def watched(cell: Cell) -> Make:
        make = maker(cell)

        def slowly(rng: np.random.Generator) -> Sample:
            at_work[cell] += 1
            most[cell] = max(most[cell], at_work[cell])
            time.sleep(0.005)
            at_work[cell] -= 1
            if cell == C:
                raise GenerationError("no weights")
            return make(rng)

        return slowly

    def filled(name: str, threads: int) -> Pool:
        pool, stop, at_full = Pool(tmp_path / name, floor=0), threading.Event(), list[dict[Cell, int]]()

        def watch(step: ProducerStep) -> None:
            if step.event is Event.FULL:
                at_full.append(pool.levels())
                stop.set()

        Producer(plan, {cell: watched(cell) for cell in CELLS}, pool).run(stop, watch, 0.01, threads)
        assert (at_full[0][A], at_full[0][B]) == (12, 9)
        return pool

    assert contents(filled("many", 4)) == contents(filled("one", 1))
    assert set(most.values()) == {1}


def test_a_thread_that_breaks_ends_all(tmp_path: Path) -> None:
    """What a listener raises is not swallowed, and no thread goes on without the others."""
    stop = threading.Event()

    def watch(step: ProducerStep) -> None:
        raise ZeroDivisionError

    producer = Producer(PoolPlan((Target(A, 50), Target(B, 50))), {A: maker(A), B: maker(B)}, Pool(tmp_path, floor=0))
    with pytest.raises(ZeroDivisionError):
        producer.run(stop, watch, 0.01, 3)
    assert stop.is_set()


def test_a_plan_reads_from_toml(tmp_path: Path) -> None:
    """Total, seed, stream and weights by cell."""
    path = tmp_path / "plan.toml"
    path.write_text('total = 10\nseed = 3\n[weights]\n"image/real/photos" = 1\n"image/synthetic/org/model" = 4\n')
    plan = read_plan(path)
    assert (plan.seed, plan.stream) == (3, stream_of(3))
    counts = {str(target.cell): target.count for target in plan.targets}
    assert counts == {"image/real/photos": 2, "image/synthetic/org/model": 8}


def test_a_plan_says_what_is_public(tmp_path: Path) -> None:
    """Origins that anybody can download are marked beside the weights; without the key none is."""
    path = tmp_path / "plan.toml"
    weights = '[weights]\n"image/real/photos" = 1\n"image/real/celebs" = 4\n'
    path.write_text(f'total = 10\npublic = ["image/real/celebs"]\n{weights}')
    assert [str(cell) for cell in read_plan(path).public] == ["image/real/celebs"]
    path.write_text(f"total = 10\n{weights}")
    assert read_plan(path).public == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('total = 1\npublic = ["image/real/y"]\n[weights]\n"image/real/x" = 1', "image/real/y, which has no weight"),
        ('total = 1\npublic = ["y"]\n[weights]\n"image/real/x" = 1', "'y' should read like"),
        ('total = 1\npublic = "image/real/x"\n[weights]\n"image/real/x" = 1', "public must be a list"),
        ('total = 1\npublic = [1]\n[weights]\n"image/real/x" = 1', "public must be a list"),
        ("total = 1", "weights"),
        ("[weights]", "total"),
        ("total = [", "plan.toml"),
        ('total = 1\n[weights]\n"image/fake/x" = 1', "image/fake/x"),
        ('total = 1\n[weights]\n"image/real/x" = -1', "at least 0"),
        ('total = 1\n[weights]\n"image/real/x" = nan\n"image/real/y" = 1', "finite"),
        ('total = 1\n[weights]\n"image/real/x" = inf', "finite"),
        ('total = "many"\n[weights]\n"image/real/x" = 1', "many"),
        ("total = 5\nweights = 3", "plan.toml"),
    ],
)
def test_a_wrong_plan_is_named(tmp_path: Path, text: str, said: str) -> None:
    """The message holds the file or the key that is wrong."""
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said):
        read_plan(path)


def test_a_missing_plan_or_maker_is_named(tmp_path: Path) -> None:
    """Both are told before anything is made."""
    with pytest.raises(SettingsError, match="cannot be read"):
        read_plan(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="image/real/photos"):
        Producer(PoolPlan((Target(A, 1),)), {}, Pool(tmp_path, floor=0))
    assert parse_cell("image/real/photos") == A
