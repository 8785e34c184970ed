"""Weights in files: the public layout loads strictly, what could run code or does not fit is refused with a reason."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from generators.stylegan.loading import load_generator, save_generator
from generators.stylegan.network import Generator, Sizes
from subnet.errors import CheckpointError
from tests.unit.generators.stylegan.public_layout import generator_state

PLAIN, WAVELET = (8, 8, 6, 4), (8, 6, 4)
SIZES = {"plain": Sizes(12, 3, PLAIN), "wavelet": Sizes(12, 3, WAVELET, wavelet=True)}


@pytest.fixture(params=SIZES)
def sizes(request: pytest.FixtureRequest) -> Sizes:
    return SIZES[request.param]


@pytest.mark.parametrize("ending", ["g_ema", "bare", "parallel", "safetensors"])
def test_public_checkpoints_load(ending: str, sizes: Sizes, tmp_path: Path) -> None:
    """All keys arrive, sizes are read off them, and what lies beside the generator is passed over."""
    state = generator_state(sizes.style, sizes.layers, sizes.widths, wavelet=sizes.wavelet)
    path = tmp_path / "000100.pt"
    if ending == "safetensors":
        save_file(state, path)
    elif ending == "g_ema":
        beside = {"g": state, "args": argparse.Namespace(size=32), "latent_avg": torch.zeros(12), "ada_aug_p": 0.1}
        torch.save({"g_ema": state, **beside}, path)
    else:
        torch.save({"module." * (ending == "parallel") + key: value for key, value in state.items()}, path)
    network = load_generator(path)
    assert network.sizes == sizes
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key]), key
    assert network(network.spread(torch.randn(2, 12))).isfinite().all()


def test_own_files(sizes: Sizes, tmp_path: Path) -> None:
    """What was saved draws the same picture when it is loaded; in half precision nearly the same."""
    torch.manual_seed(0)
    network = Generator(sizes).eval()
    w_BLS = network.spread(torch.randn(2, sizes.style))
    save_generator(network, tmp_path / "a.safetensors", {"seed": 0})
    save_generator(network, tmp_path / "b.safetensors", {"seed": 0}, torch.float16)
    with torch.no_grad():
        assert torch.equal(load_generator(tmp_path / "a.safetensors")(w_BLS), network(w_BLS))
        error = load_generator(tmp_path / "b.safetensors")(w_BLS) - network(w_BLS)
        assert error.std() < 0.01 * network(w_BLS).std()
    assert (tmp_path / "b.safetensors").stat().st_size < 0.7 * (tmp_path / "a.safetensors").stat().st_size


class Payload:
    """Calls a function when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["network.pkl", "network.pt"])
def test_pickled_networks_are_refused(name: str, tmp_path: Path) -> None:
    """Nothing in them is run, and the reason says what to do instead."""
    trap = tmp_path / "ran"
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"G_ema": Payload(trap)}))
    with pytest.raises(CheckpointError, match=r"is a pickled network, which may run any code.*g_ema") as caught:
        load_generator(path)
    assert str(path) in str(caught.value)
    assert not trap.exists()


def test_modules_inside_checkpoints_are_refused(tmp_path: Path) -> None:
    """A whole module under "g_ema" is code, not tensors."""
    torch.save({"g_ema": torch.nn.Linear(1, 1)}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="holds more than tensors"):
        load_generator(tmp_path / "a.pt")


def spoilt(change: Callable[[dict[str, torch.Tensor]], object]) -> dict[str, torch.Tensor]:
    state = generator_state(12, 3, PLAIN, wavelet=False)
    change(state)
    return state


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"g_ema": {"weight": torch.zeros(2)}}, "no StyleGAN2 generator: it lacks input.input"),
        ({"g_ema": 3}, "holds no table of tensors"),
        ([torch.zeros(1)], "holds no table of tensors"),
        ({}, "lacks input.input"),
        (spoilt(lambda state: state.pop("convs.0.noise.weight")), "convs.0.noise.weight"),
        (spoilt(lambda state: state.update({"convs.9.bias": torch.zeros(1)})), "convs.9.bias"),
        (spoilt(lambda state: state.update({"to_rgbs.0.bias": torch.zeros(1, 4, 1, 1)})), "to_rgbs.0.bias"),
        (spoilt(lambda state: state.update({"style.1.weight": torch.zeros(12)})), "lacks style.1.weight"),
    ],
)
def test_other_networks_are_refused(content: object, reason: str, tmp_path: Path) -> None:
    """A missing, an odd or a misshapen key is named."""
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=reason):
        load_generator(path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Missing, empty, cut short, or no weights at all."""
    whole = tmp_path / "whole.safetensors"
    save_generator(Generator(SIZES["plain"]), whole, {})
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "empty.pt").touch()
    (tmp_path / "text.pt").write_text("version https://git-lfs.github.com/spec/v1")
    for name in ("none.pt", "cut.safetensors", "empty.pt", "text.pt", "."):
        with pytest.raises(CheckpointError, match="weights: "):
            load_generator(tmp_path / name)
