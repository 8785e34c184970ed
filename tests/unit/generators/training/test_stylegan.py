"""Training of StyleGAN2: real steps of tiny networks, killed and started again."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from generators.embedded.autoencoder import to_pixels
from generators.stylegan.loading import load_generator
from generators.training import pictures, stylegan
from generators.training.stylegan import Course, Recipe
from subnet.errors import CheckpointError, SettingsError

TINY = Recipe(images=24, side=16, style=8, layers=2, widths=(8, 8, 4), batch=4, warmup=2, g_reg_every=3)
FORMS = {"plain": TINY, "wavelet": replace(TINY, wavelet=True)}


class Crops(pictures.Pictures):
    """Random pictures; after `left` batches the program is killed."""

    def __init__(self, left: int = 10**6) -> None:
        super().__init__((), 16, 1.0)
        self.left = left

    def batch(self, count: int, rng: np.random.Generator) -> pictures.Pixels:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return rng.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


class Ramps(pictures.Pictures):
    """Pictures that grow brighter from left to right, each in a tint of its own."""

    def __init__(self) -> None:
        super().__init__((), 16, 1.0)

    def batch(self, count: int, rng: np.random.Generator) -> pictures.Pixels:
        ramp = np.linspace(40, 215, 16)[None, None, :, None] + rng.normal(0, 20, (count, 1, 1, 3))
        return np.clip(ramp, 0, 255).repeat(16, 1).astype(np.uint8)


@pytest.fixture(params=FORMS)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return FORMS[request.param]


def tensors(value: object, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in a state, with its path."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from tensors(inner, f"{name}/{key}")


def test_steps_move_both_networks(recipe: Recipe) -> None:
    """After steps with and without regularisers all is finite, every weight has moved, and buffers have not."""
    run = Course(recipe)
    before = {name: copy.deepcopy(getattr(run, name).state_dict()) for name in ("generator", "discriminator", "ema")}
    for _ in range(5):
        assert np.isfinite(run.advance(Crops())).all()
    assert run.path_mean > 0
    for network, old in before.items():
        new, moving = getattr(run, network).state_dict(), dict(getattr(run, network).named_parameters())
        for key, value in new.items():
            assert value.isfinite().all(), key
            assert torch.equal(value, old[key]) == (key not in moving), (network, key)


def test_it_learns() -> None:
    """Fakes come to look like the pictures of the source: the mean fake nears the mean picture by two fifths or more."""
    recipe = replace(TINY, images=240, wavelet=True, rate=1e-2, g_reg_every=8, augment=("translation",), half_life=40)
    run = Course(recipe)
    real = Ramps().batch(200, np.random.default_rng(0)).mean(0)

    def distance() -> float:
        chance = torch.Generator().manual_seed(0)
        with torch.inference_mode():
            w_BLS = run.ema.spread(run.ema.map(torch.randn(64, 8, generator=chance)))
            fakes = to_pixels(run.ema(w_BLS, run.ema.draw_noise(64, chance)))
        return float(np.abs(fakes.mean(0) - real).mean())

    before = distance()
    while run.step < run.recipe.steps:
        run.advance(Ramps())
    assert distance() < 0.6 * before


def test_killed_and_started_again(recipe: Recipe, tmp_path: Path) -> None:
    """A run that is killed between checkpoints ends in the very same weights and state as one that is not."""
    with pytest.raises(KeyboardInterrupt):
        stylegan.train(recipe, Crops(left=5), tmp_path / "killed", every=3)
    stylegan.train(recipe, Crops(), tmp_path / "killed", every=3)
    stylegan.train(recipe, Crops(), tmp_path / "whole", every=3)
    killed, whole = (
        dict(tensors(torch.load(tmp_path / name / "state.pt", weights_only=True))) for name in ("killed", "whole")
    )
    assert killed.keys() == whole.keys()
    assert [name for name in whole if not torch.equal(killed[name], whole[name])] == []
    weights = load_generator(tmp_path / "whole" / "stylegan.safetensors")
    assert weights.sizes == recipe.sizes
    assert (tmp_path / "whole" / "samples.png").stat().st_size > 1000


def test_lazy_regularisers_run_at_their_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1 on every fourth step, path lengths on every third here."""
    steps: dict[str, list[int]] = {"gradient_penalty": [], "path_lengths": []}
    run = Course(replace(TINY, d_reg_every=4))
    for name, when in steps.items():
        real = getattr(stylegan.adversarial, name)
        record = lambda *given, real=real, when=when: (when.append(run.step), real(*given))[1]  # noqa: E731
        monkeypatch.setattr(stylegan.adversarial, name, record)
    for _ in range(9):
        run.advance(Crops())
    assert steps == {"gradient_penalty": [0, 4, 8], "path_lengths": [0, 3, 6]}


def test_learning_rate() -> None:
    """It rises over the warm-up, stays, and falls to a tenth at the end; lazy regularisers scale it and Adam's memory."""
    run = Course(Recipe(images=8000, batch=8, warmup=10, decay=0.5, side=16, widths=(4, 4, 4), style=4, layers=1))
    factors = []
    for run.step in range(1000):
        factors.append(run.factor())
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:500] == [1.0] * 491
    assert np.all(np.diff(factors[500:]) <= 0)
    assert factors[-1] == pytest.approx(0.1, abs=1e-4)
    run.step = 100
    run.advance(pictures.Pictures(pictures.embedded_paths(["food"]), 16, 1.0))
    (group,) = run.discriminator_adam.param_groups
    assert group["lr"] == pytest.approx(2e-3 * 4 / 5)
    assert group["betas"] == pytest.approx((0.0, 0.99 ** (4 / 5)))


def test_styles_are_mixed(recipe: Recipe) -> None:
    """With mixing every sample has two styles, the first up to some layer and the second from there; without, one."""
    for mixing in (0.0, 1.0):
        run = Course(replace(recipe, mixing=mixing))
        w_BLS = run.styles(50, torch.Generator().manual_seed(0))
        changes = (w_BLS[:, 1:] != w_BLS[:, :-1]).any(2)
        assert changes.sum(1).tolist() == [int(mixing)] * 50
        assert not mixing or changes.any(0).all()


def test_averaged_weights() -> None:
    """After the first step the average has moved by 1 - 2^(-batch / half-life) of the way."""
    run = Course(replace(TINY, half_life=1000.0))
    before = copy.deepcopy(run.ema.state_dict())
    run.advance(Crops())
    share = 1 - 0.5 ** (4 / (0.05 * 4))
    for key, value in run.generator.named_parameters():
        torch.testing.assert_close(run.ema.state_dict()[key], before[key].lerp(value.detach(), share))


def test_damaged_state(tmp_path: Path) -> None:
    """A state that cannot be read is told, with what to do."""
    stylegan.train(replace(TINY, images=4), Crops(), tmp_path)
    whole = (tmp_path / "state.pt").read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"\x80\x04nothing"):
        (tmp_path / "state.pt").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="state.pt is damaged: remove it to begin anew"):
            stylegan.train(replace(TINY, images=4), Crops(), tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"side": 48}, "--side"),
        ({"side": 256}, "--side"),
        ({"images": 3}, "--images"),
        ({"batch": 0}, "--batch"),
        ({"closest": 0.0}, "--closest"),
        ({"d_reg_every": 0}, "--d-reg-every"),
        ({"half_life": 0.0}, "--half-life"),
        ({"rate": float("nan")}, "--rate"),
        ({"decay": 0.0}, "--decay"),
        ({"mixing": 1.5}, "--mixing"),
        ({"r1": -1.0}, "--r1"),
        ({"side": -16}, "--side"),
        ({"widths": (8, 0, 8)}, "--widths"),
        ({"widths": ()}, "--widths"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, object], reason: str) -> None:
    """The flag is named."""
    with pytest.raises(SettingsError, match=reason):
        replace(TINY, **change)


def test_state_of_another_network(tmp_path: Path) -> None:
    """A run does not go on from the state of a network of other sizes."""
    stylegan.train(replace(TINY, images=4), Crops(), tmp_path)
    with pytest.raises(CheckpointError, match="is of a network of sizes"):
        stylegan.train(replace(TINY, wavelet=True), Crops(), tmp_path)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    """Nothing is written over what was good."""
    with pytest.raises(CheckpointError, match="lower --rate"):
        stylegan.train(replace(TINY, rate=1e30, warmup=1), Crops(), tmp_path)
    assert not (tmp_path / "stylegan.safetensors").exists()


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command trains on the embedded photographs and tells bad input in one line."""
    words = ["stylegan", "--out", str(tmp_path / "out"), "--images", "8", "--side", "16", "--widths", "8", "4", "4"]
    words += ["--batch", "4", "--style", "8", "--layers", "1", "--wavelet", "--categories", "food", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", words)
    stylegan.main()
    assert load_generator(tmp_path / "out" / "stylegan.safetensors").sizes.side == 16
    monkeypatch.setattr(sys, "argv", [*words, "--data", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="data: "):
        stylegan.main()
