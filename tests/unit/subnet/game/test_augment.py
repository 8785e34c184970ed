"""Augmentation levels, their operators and the distortion chains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subnet.errors import UnknownName
from subnet.game import operators as op
from subnet.game.augment import DISTORTIONS, LEVELS, OPERATORS, STEPS, Operation, augment, distort
from subnet.types import Frames


def scene(height: int = 64, width: int = 64, frames: int = 1, floor: int = 40) -> Frames:
    """A colourful picture without symmetry and without black, the same in every frame."""
    y, x = np.mgrid[:height, :width]
    red = 90 + 80 * np.sin(x / 7 + y / 23)
    green = 80 + 100 * (x > width / 3) + 20 * np.cos(y / 5)
    blue = 60 + 150 * y / height
    picture = np.stack([red, green, blue], axis=-1).clip(floor, 250).astype(np.uint8)
    return np.repeat(picture[None], frames, axis=0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("video", [False, True])
def test_shape_and_type_are_kept_for_any_size(level: int, video: bool) -> None:
    """Odd, tiny and oblong frames come out with their own shape, as uint8 RGB."""
    for size in ((64, 64), (33, 47), (16, 90), (7, 5)):
        frames = scene(*size, frames=3 if video else 1)
        result = augment(frames, level, rng(3), video=video)
        assert result.shape == frames.shape
        assert result.dtype == np.uint8


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(LEVELS))
def test_pure_and_made_again_from_the_seed(seed: int, level: int) -> None:
    """The same seed gives the same pixels, and the input stays as it was even when it may be written to."""
    frames = scene(40, 40)
    before = frames.copy()
    first, second = augment(frames, level, rng(seed)), augment(frames, level, rng(seed))
    assert np.array_equal(first, second)
    assert np.array_equal(frames, before)


def test_level_0_is_the_identity() -> None:
    """Nothing happens at level 0, and it costs nothing."""
    frames = scene()
    assert augment(frames, 0, rng()) is frames


@pytest.mark.parametrize("level", [1, 2, 3])
def test_every_draw_is_another(level: int) -> None:
    """Thirty miners get thirty different pictures."""
    frames = scene()
    assert len({augment(frames, level, rng(seed)).tobytes() for seed in range(30)}) == 30


@pytest.mark.parametrize("level", [4, -1, 7])
def test_unknown_levels_are_refused(level: int) -> None:
    """A level outside the table is the user's mistake and names the levels."""
    with pytest.raises(ValueError, match=r"\(0, 1, 2, 3\)"):
        augment(scene(), level, rng())


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_clip_shares_its_parameters(level: int) -> None:
    """Frames that are equal before geometry and colour are equal after: no parameter is drawn per frame."""
    clip, steps = scene(frames=4), [s for s in STEPS[level] if s.image not in ("noise", "jpeg", "jpeg-strong")]
    for step in steps:
        result = OPERATORS[step.image](rng(5), clip)
        assert all(np.array_equal(frame, result[0]) for frame in result), step.image


def test_parameters_do_not_depend_on_the_number_of_frames() -> None:
    """The first frame of a long clip is what a clip of one frame becomes (level 1: no compression between frames)."""
    one = augment(scene(frames=1), 1, rng(11), video=True)
    many = augment(scene(frames=5), 1, rng(11), video=True)
    assert np.array_equal(one[0], many[0])


def test_levels_share_their_geometry_for_a_seed() -> None:
    """Each step has a stream of its own: level 2 is level 1 with more on top, for the same seed."""
    frames = scene()
    steps_1, steps_2, steps_3 = STEPS[1], STEPS[2], STEPS[3]
    assert steps_2[: len(steps_1)] == steps_1 == steps_3[: len(steps_1)]
    first, second = augment(frames, 1, rng(2)).astype(float), augment(frames, 2, rng(2)).astype(float)
    assert np.corrcoef(first.mean(-1).ravel(), second.mean(-1).ravel())[0, 1] > 0.95


def test_flips_really_fire_and_not_always() -> None:
    """Over many seeds each of the four combinations of flips is seen about a quarter of the time."""
    flips = [s for s in STEPS[1] if s.image in ("mirror", "upend")]
    assert [s.chance for s in flips] == [0.5, 0.5]
    frames, seen = scene(48, 48), []
    for seed in range(200):
        grey = augment(frames, 1, rng(seed)).astype(float)[0]
        down = np.corrcoef(grey[..., 2].mean(axis=1), np.arange(48))[0, 1]  # blue grows downwards in the scene
        seen.append(bool(down < 0))
    assert 70 <= sum(seen) <= 130


def test_mirror_and_upend_are_exact() -> None:
    """Flips move pixels and change none."""
    frames = scene(20, 31)
    assert np.array_equal(op.mirror(frames), frames[:, :, ::-1])
    assert np.array_equal(op.upend(frames), frames[:, ::-1])
    assert np.array_equal(op.upend(op.mirror(op.upend(op.mirror(frames)))), frames)


@settings(max_examples=60, deadline=None)
@given(st.floats(-45, 45), st.integers(8, 70), st.integers(8, 70))
def test_rotation_leaves_no_black_corners(degrees: float, height: int, width: int) -> None:
    """A bright picture has no dark pixel after any turn, at any aspect."""
    frames = np.full((1, height, width, 3), 200, np.uint8)
    assert op.rotate(frames, degrees).min() >= 199


def test_rotation_turns_the_picture() -> None:
    """A quarter turn is clockwise and exact, and no turn changes nothing."""
    frames = scene(32, 32)
    assert np.array_equal(op.rotate(frames, 0), frames)
    turned = op.rotate(frames, 90).astype(int)
    assert np.abs(turned - np.rot90(frames, -1, axes=(1, 2))).max() <= 1


def test_crop_keeps_what_it_says() -> None:
    """Half of each side at the lower right corner is the lower right quarter, enlarged."""
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    frames[:, 32:, 32:] = 255
    assert op.crop(frames, 0.5, 1, 1)[:, 8:, 8:].min() > 250
    assert op.crop(frames, 0.5, 0, 0)[:, :56, :56].max() < 5
    assert np.array_equal(op.crop(scene(), 1.0, 0.3, 0.7), scene())


def test_colour_operators_do_what_their_factor_says() -> None:
    """Factor 1 changes nothing, saturation 0 is grey, contrast 0 is flat, and contrast keeps the mean level."""
    frames = scene()
    assert np.array_equal(op.saturation(frames, 1), frames)
    grey = op.saturation(frames, 0)
    assert np.ptp(grey, axis=-1).max() == 0
    assert np.array_equal(op.contrast(frames, 1), frames)
    assert np.ptp(op.contrast(frames, 0)) <= 1
    assert op.contrast(frames, 0.5).std() == pytest.approx(frames.std() * 0.5, rel=0.05)
    assert op.contrast(frames, 0.5).mean() == pytest.approx(frames.mean(), abs=2)
    assert np.array_equal(op.tone(frames, 1, (1, 1, 1)), frames)


def test_noise_has_its_sigma_and_differs_between_frames() -> None:
    """White noise of the given deviation; no two frames of a clip get the same grain."""
    flat = np.full((3, 96, 96, 3), 128, np.uint8)
    noisy = op.noise(flat, 6.0, rng())
    assert noisy.astype(float).std() == pytest.approx(6.0, rel=0.03)
    assert not np.array_equal(noisy[0], noisy[1])


def test_compression_is_real() -> None:
    """JPEG, WebP and H.264 lose more the harder they squeeze, and keep the picture's mean level."""
    frames = op.noise(scene(frames=2), 4, rng())

    def loss(after: Frames) -> float:
        assert after.mean() == pytest.approx(frames.mean(), abs=1.5)
        return float(((after.astype(float) - frames) ** 2).mean())

    assert 0 < loss(op.jpeg(frames, 95)) < loss(op.jpeg(frames, 60)) < loss(op.jpeg(frames, 20))
    assert 0 < loss(op.webp(frames, 95)) < loss(op.webp(frames, 20))
    assert 0 < loss(op.h264(frames, 15)) < loss(op.h264(frames, 25)) < loss(op.h264(frames, 40))


def test_jpeg_leaves_its_grid() -> None:
    """After JPEG of quality 30, steps between 8x8 blocks stand out from steps within: the codec truly ran."""
    frames = op.noise(scene(64, 64), 12, rng())
    luma = op.jpeg(frames, 30)[0].astype(float).mean(-1)
    steps = np.abs(np.diff(luma, axis=1)).mean(axis=0)
    assert steps[7::8].mean() > 1.3 * np.delete(steps, np.arange(7, len(steps), 8)).mean()


def test_a_video_ends_in_h264_and_an_image_in_jpeg() -> None:
    """The last step of levels 2 and 3 is the codec in which that modality travels."""
    for level in (2, 3):
        last = STEPS[level][-1]
        assert last.image.startswith("jpeg")
        assert last.video.startswith("h264")
        frames = scene(frames=2)
        assert not np.array_equal(augment(frames, level, rng(1), video=True), augment(frames, level, rng(1)))


def test_every_step_names_a_row_and_every_row_is_used() -> None:
    """The tables fit together: no step without an operator, no operator that never happens."""
    steps: list[Operation] = [step for level in LEVELS for step in STEPS[level]]
    named = {step.image for step in steps} | {step.video for step in steps if step.video}
    assert named == set(OPERATORS)
    assert tuple(STEPS) == LEVELS
    assert all(0 < step.chance <= 1 for step in steps)


@pytest.mark.parametrize("name", OPERATORS)
def test_each_operator_draws_its_own_parameters(name: str) -> None:
    """Another seed gives another picture (flips have no parameter), the same seed the same."""
    frames, operator = scene(), OPERATORS[name]
    assert np.array_equal(operator(rng(1), frames), operator(rng(1), frames))
    results = {operator(rng(seed), frames).tobytes() for seed in range(6)}
    assert (len(results) == 1) is (name in ("mirror", "upend"))


@pytest.mark.parametrize("name", DISTORTIONS)
def test_chains_run_from_untouched_to_severe(name: str) -> None:
    """Strength 0 returns the frames themselves; more strength is never less distortion, and the shape stays."""
    frames = op.noise(scene(frames=2), 3, rng())
    assert distort(frames, name, 0.0, rng()) is frames
    results = [distort(frames, name, strength, rng(4)) for strength in (0.3, 1.0)]
    losses = [float(((r.astype(float) - frames) ** 2).mean()) for r in results]
    assert all(r.shape == frames.shape and r.dtype == np.uint8 for r in results)
    assert 0 < losses[0] < losses[1]


def test_chains_say_their_parameter() -> None:
    """The axis of a robustness curve can be labelled: strength maps linearly to the parameter."""
    assert DISTORTIONS["jpeg"].value(0) == 100
    assert DISTORTIONS["jpeg"].value(0.5) == 60
    assert DISTORTIONS["jpeg"].value(1) == 20


def test_wrong_chains_and_strengths_are_refused() -> None:
    """A typo gets the nearest name, a strength outside [0, 1] a ValueError."""
    with pytest.raises(UnknownName, match="distortion.*did you mean jpeg"):
        distort(scene(), "jpg", 0.5, rng())
    for strength in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="strength"):
            distort(scene(), "jpeg", strength, rng())
