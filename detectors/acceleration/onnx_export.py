"""A network as an ONNX file, and back as something that runs in onnxruntime.

Every export is compared with the network it came from, on noise, before it is used.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from detectors.acceleration.session import INPUT, OUTPUT, ExportError, log_odds, session
from subnet.files import write_atomically

PARITY = 1e-4  # most that log-odds may differ, as a share of those beyond 1


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's progress and the deprecations inside it are not for our users."""
    logger = logging.getLogger("onnxscript")
    before = logger.level
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(before)


def to_onnx(network: nn.Module, example: Tensor) -> bytes:
    """An ONNX model with inputs like `example` (V, ...), any number of views, and one log-odds per view.

    Raises ExportError for a network that the exporter cannot follow.
    """
    from torch.onnx.errors import OnnxExporterError

    pair = torch.cat([example[:1], example[:1]]).cpu()
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network.cpu().eval(),
                (pair,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                dynamo=True,
                verbose=False,
            )
    except (OnnxExporterError, RuntimeError) as error:
        raise ExportError(f"{type(network).__name__} cannot be exported to ONNX: {error}") from error
    if program is None:
        raise ExportError(f"{type(network).__name__}: the exporter gave nothing back")
    serialised: bytes = program.model_proto.SerializeToString()
    return serialised


class OnnxNetwork(nn.Module):
    """Views (V, ...) -> log-odds (V,) in onnxruntime on the CPU, for views of one shape."""

    def __init__(self, model: bytes, threads: int = 0) -> None:
        super().__init__()
        self.session = session(model, threads)
        self.shape = tuple(side for side in self.session.get_inputs()[0].shape[1:])

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(log_odds(self.session, x.numpy()))


@torch.inference_mode()
def parity(network: nn.Module, exported: nn.Module, example: Tensor, seed: int = 0) -> float:
    """The largest difference of log-odds on views like `example`'s, beyond 1 as a share of them.

    The views are noise, one colour, and frames that stand still: in the last two the small numbers decide that are
    added against a division by zero. NaN where a network answers none.
    """
    noise = torch.randn((3, *example.shape[1:]), generator=torch.Generator().manual_seed(seed))
    still = noise[:1, :1].expand_as(noise[:1]) if noise.ndim == 5 else noise[:1]
    views = torch.cat([noise, torch.zeros_like(noise[:1]), torch.full_like(noise[:1], 0.5), still])
    wanted = network(views).reshape(-1)
    return float(((exported(views).reshape(-1) - wanted).abs() / wanted.abs().clamp(min=1.0)).max())


def _from_file(cache: Path, threads: int) -> OnnxNetwork | None:
    """The model in a file of an earlier run; None when it is damaged."""
    try:
        return OnnxNetwork(cache.read_bytes(), threads)
    except ExportError:
        return None


def export(network: nn.Module, example: Tensor, *, threads: int = 0, cache: Path | None = None) -> OnnxNetwork:
    """`network` in onnxruntime; read from the file `cache` where that is there, else written to it.

    Raises ExportError when it cannot be exported, or answers differ by more than PARITY.
    """
    kept = _from_file(cache, threads) if cache is not None and cache.is_file() else None
    if kept is not None and kept.shape == tuple(example.shape[1:]) and parity(network, kept, example) <= PARITY:
        return kept
    model = to_onnx(network, example)
    result = OnnxNetwork(model, threads)
    difference = parity(network, result, example)
    if not difference <= PARITY:
        raise ExportError(f"{type(network).__name__}: the export differs by {difference:.2g}, more than {PARITY}")
    if cache is not None:
        write_atomically(cache, model)
    return result
