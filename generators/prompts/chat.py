"""What the models of the prompt pipeline share: loading by row, and randomness that stays inside one call."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from generators import capability
from generators.library_errors import typed_errors
from generators.prompts.rows import PromptRow
from subnet.errors import SettingsError


def open_model(row: PromptRow, kind: str, reader: str, device: str, token: str | None, cache: Path | None) -> Any:
    """The pair (model, processor or tokenizer) of a row; `kind` and `reader` are class names in transformers.

    Raises SettingsError when this machine cannot run the row or a package is missing, GenerationError when the files
    do not load.
    """
    import transformers

    for package in row.requires:
        if importlib.util.find_spec(package) is None:
            raise SettingsError(f"{row.name!r} needs the package {package}: pip install {package}")
    capability.require(row, capability.probe(cache, token=token is not None or None), device)
    revision = None if Path(row.repository).is_dir() else row.revision
    hub: dict[str, Any] = {"revision": revision, "token": token, "cache_dir": cache}
    dtype = torch.float32 if torch.device(device).type == "cpu" else getattr(torch, row.dtype)
    with typed_errors(f"{row.name!r}: {row.repository} does not load"):
        model = getattr(transformers, kind).from_pretrained(row.repository, dtype=dtype, **hub)
        processor = getattr(transformers, reader).from_pretrained(row.repository, **hub)
        if not row.requires:  # four-bit weights are placed while they load
            model.to(device)
    return model.eval(), processor


@contextmanager
def drawn_from(rng: np.random.Generator, device: str) -> Iterator[None]:
    """Inside, torch draws from a seed of `rng`; outside, its state is as before."""
    cards = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cards), torch.inference_mode():
        torch.manual_seed(int(rng.integers(2**53)))
        yield
