"""Feature families against independent formulas, the network on them, and the head that is trained on a few items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import torch
from skimage import color
from torch import Tensor

from detectors.acceleration.accelerate import accelerated, backend_of, drift
from detectors.checkpoints import read, write
from detectors.families import family
from detectors.heads.head import Head
from detectors.public_checkpoints import build
from detectors.spectral import frequency, texture
from detectors.spectral.network import FEATURES, Spectral
from detectors.spectral.statistics import PERIODS, SHIFTS, describe
from detectors.torch_detector import TorchDetector
from detectors.training.loop import Progress, Training, train
from subnet.errors import CheckpointError, UnknownName
from subnet.registry import resolve
from subnet.types import Media, Modality
from tests.unit.detectors.folders import assert_paced, write_images


def noise(count: int = 2, height: int = 96, width: int = 128) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", FEATURES)
def test_a_family_gives_as_many_finite_numbers_as_it_says(name: str) -> None:
    """On noise, on flat and black pictures, and of any size; each picture alone or beside others."""
    row = FEATURES[name]
    function = resolve(row.target)
    x = torch.cat([noise(), torch.full((1, 3, 96, 128), 0.3), torch.zeros(1, 3, 96, 128)])
    together = function(x)
    assert together.shape == (4, row.size)
    assert together.isfinite().all()
    torch.testing.assert_close(function(x[1:2]), together[1:2], atol=2e-3, rtol=2e-3)
    assert function(noise(1, 256, 256)).shape == (1, row.size)


def test_cosines_are_the_dct() -> None:
    """The table is SciPy's orthonormal DCT-II."""
    x = np.random.default_rng(0).normal(size=48)
    np.testing.assert_allclose(
        frequency.cosines(48, torch.device("cpu")).double().numpy() @ x, scipy.fft.dct(x, norm="ortho"), atol=1e-5
    )


def test_bands_hold_their_frequencies() -> None:
    """The low band of F3-Net is what SciPy's DCT gives with i + j below N / 2.82."""
    x = noise(1, 64, 64)
    given = x[0, 0].double().numpy()
    coefficients = scipy.fft.dctn(given, norm="ortho")
    i, j = np.mgrid[:64, :64]
    low = scipy.fft.idctn(np.where(i + j < 64 / 2.82, coefficients, 0), norm="ortho")
    assert float(frequency.bands(x)[0, 0]) == pytest.approx(np.log(low.std()), abs=1e-3)


def test_the_radial_profile_is_the_mean_over_rings() -> None:
    """NumPy's spectrum under the same window, averaged ring by ring."""
    x = noise(1, 64, 64)
    grey = x[0].double().numpy().transpose(1, 2, 0) @ np.array([0.299, 0.587, 0.114])
    window = np.outer(*[torch.hann_window(64).double().numpy()] * 2)
    power = np.abs(np.fft.fftshift(np.fft.fft2((grey - grey.mean()) * window))) ** 2 / (window**2).sum()
    down, across = np.mgrid[-32:32, -32:32] / 64
    ring = (np.hypot(down, across) * 2 * frequency.RADII).astype(int)
    wanted = [np.log(power[ring == number] + frequency.FLOOR).mean() for number in range(frequency.RADII)]
    np.testing.assert_allclose(frequency.radial_profile(x)[0].numpy(), wanted, atol=1e-2)


def test_the_phase_alone_is_drawn() -> None:
    """A picture and itself at half the contrast have one phase: the same numbers."""
    x = noise(1, 64, 64)
    torch.testing.assert_close(frequency.phase(x), frequency.phase(x / 2 + 0.0), atol=1e-2, rtol=1e-2)


def test_up_sampling_shows_in_periods_and_grids_as_peaks() -> None:
    """Noise repeated to twice its size is periodic; a faint pattern of every second column peaks where it must."""
    plain, small = noise(1, 128, 128), noise(1, 64, 64)
    blown_up = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    place = 3 + len(SHIFTS)  # of the first of PERIODS
    periods = [float(describe(x.diff(dim=3)[..., :126]).reshape(3, -1)[0, place]) for x in (plain, blown_up)]
    assert PERIODS[0] == 2
    assert periods[1] > 10 * periods[0]
    striped = plain + 0.1 * (torch.arange(128) % 2 - 0.5)
    higher = (frequency.peaks(striped) - frequency.peaks(plain))[0]
    middle = frequency.FRACTIONS // 2 - 1  # 0 down, half the sampling rate across
    assert int(higher[: -len(frequency.QUANTILES)].argmax()) == middle
    assert float(higher[middle]) > 1


def test_filters_are_those_of_their_papers() -> None:
    """The Laplacian of a Gaussian is SciPy's but for the cut; filters of SRM see no plane."""
    x = np.random.default_rng(0).normal(size=(64, 64))
    kernel = texture._log_kernel(2.0)
    reach = kernel.shape[0] // 2
    ours = torch.nn.functional.conv2d(torch.from_numpy(x).float()[None, None], kernel[None, None])[0, 0].numpy()
    theirs = scipy.ndimage.gaussian_laplace(x, 2.0, truncate=3.0)[reach:-reach, reach:-reach]
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999
    assert ours.std() == pytest.approx(theirs.std(), rel=0.02)
    row, column = torch.meshgrid(torch.arange(5.0), torch.arange(5.0), indexing="ij")
    for kernel in texture.srm_kernels():
        assert float(kernel.abs().max()) == 1.0
        for plane in (torch.ones(5, 5), row, column):
            assert float((kernel * plane).sum()) == pytest.approx(0.0, abs=1e-6)


def test_the_residual_of_low_rank_is_numpys() -> None:
    """Energy share and deviation of what rank 8 leaves."""
    x = noise(1, 64, 64)
    grey = x[0].double().numpy().transpose(1, 2, 0) @ np.array([0.299, 0.587, 0.114])
    u, s, v = np.linalg.svd(grey - grey.mean())
    rest = grey - grey.mean() - (u[:, :8] * s[:8]) @ v[:8]
    block = texture.svd_residual(x)[0, texture.SVD_SIZE // 3 : 2 * texture.SVD_SIZE // 3]
    assert float(block[0]) == pytest.approx(np.log(rest.std()), abs=1e-3)
    assert float(block[-1]) == pytest.approx(np.log((s[8:] ** 2).sum() / (s**2).sum()), abs=1e-3)


def test_colours_are_those_of_the_standards() -> None:
    """L*a*b* is scikit-image's in hundredths, YCbCr its digital one without offset, saturation and value HSV's."""
    x = noise(1, 16, 16)
    picture = x[0].permute(1, 2, 0).double().numpy()
    np.testing.assert_allclose(texture._lab(x)[0].permute(1, 2, 0).numpy() * 100, color.rgb2lab(picture), atol=0.05)
    ycbcr = (color.rgb2ycbcr(picture) - np.array([16, 128, 128])) / np.array([219, 224, 224])
    np.testing.assert_allclose(texture._ycbcr(x)[0].permute(1, 2, 0).numpy(), ycbcr, atol=1e-3)
    np.testing.assert_allclose(
        texture._hsv(x)[0, 1:].permute(1, 2, 0).numpy(), color.rgb2hsv(picture)[..., 1:], atol=3e-2
    )


def test_a_blurred_region_is_noticed() -> None:
    """A face pasted at another resolution: the spread of fine detail over regions grows."""
    x = noise(1, 128, 128)
    pasted = x.clone()
    pasted[..., 32:96, 32:96] = torch.nn.functional.avg_pool2d(x, 5, stride=1, padding=2)[..., 32:96, 32:96]
    plain, warped = texture.regions(x)[0], texture.regions(pasted)[0]
    assert float(warped[0]) > 3 * float(plain[0])
    assert float(warped[2]) < -1 < float(plain[2])


def fitted(families: tuple[str, ...]) -> Spectral:
    network = Spectral(families)
    torch.manual_seed(0)
    network.head.weight.normal_()
    return network.eval()


def test_families_combine_and_come_back(tmp_path: Path) -> None:
    """Weights say which families they are of; the network is rebuilt with those, and answers the same."""
    network = fitted(("srm", "radial"))
    x = noise()
    torch.testing.assert_close(network.features(x), torch.cat([texture.srm(x), frequency.radial(x)], dim=1))
    write(tmp_path / "some.safetensors", network.state_dict(), preprocess=family("spectral").preprocess)
    again = build(read(tmp_path / "some.safetensors"), "spectral")
    assert torch.equal(again(x), network(x))
    state = {**network.state_dict(), "families": torch.tensor([1, 99])}
    write(tmp_path / "other.safetensors", state, preprocess=family("spectral").preprocess)
    with pytest.raises(CheckpointError, match=r"\[1, 99\]"):
        build(read(tmp_path / "other.safetensors"), "spectral")
    with pytest.raises(UnknownName, match="did you mean radial"):
        Spectral(("radal",))


def test_what_onnx_cannot_say_is_served_by_torch() -> None:
    """Transforms and decompositions are beyond the exporter: served in torch, with the same answers."""
    network = fitted(("radial", "svd"))
    network.head = Head(**{"features": len(network.head.mean)})
    detector = TorchDetector("spectral", Modality.IMAGE, network, preprocess=family("spectral").preprocess)
    served = accelerated(detector)
    media = [Media(np.random.default_rng(0).integers(0, 256, (1, 80, 96, 3), dtype=np.uint8))]
    assert drift(detector, served, media) < 1e-5
    used = backend_of(served)
    assert used is not None
    assert used.engine == "eager"


def test_it_learns_from_a_few_photographs(tmp_path: Path) -> None:
    """A head on all families tells photographs from blurred twins at the first attempt, calibrated and whole; its run
    tells how far it is, from the features to the validation, and the time left."""
    settings = Training(
        "spectral",
        write_images(tmp_path / "train", 10),
        tmp_path / "out.safetensors",
        validation=write_images(tmp_path / "validation", 5, "validation"),
    )
    told: list[Progress] = []
    done = train(settings, told.append)
    assert done.auc > 0.8
    assert_paced(told)
    checkpoint = read(done.weights)
    assert checkpoint.notes["detector"] == "spectral"
    assert checkpoint.calibration is not None
