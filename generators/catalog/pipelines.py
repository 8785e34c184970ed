"""From a row of the catalog to a diffusers pipeline ready to be called: weights, scheduler, adapters, placement.

The only module that knows how diffusers loads things. Nothing is imported from it before a row is loaded.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch

from generators.library_errors import LIBRARY_ERRORS, first_line
from generators.rows import GeneratorRow
from subnet.errors import GenerationError, SettingsError
from subnet.types import JSON


class Placement(StrEnum):
    """Where the weights live while a pipeline works, from fastest to smallest."""

    DEVICE = "device"  # all on the device
    MODEL = "model"  # one whole component at a time
    SEQUENTIAL = "sequential"  # one layer at a time


@dataclass(frozen=True)
class Attempt:
    """How much is tried at once."""

    placement: Placement
    batch: int


def smaller(plan: Attempt, device: str) -> Attempt | None:
    """The next plan after memory ran out: offload by component, then half the batch, then offload by layer.

    None when there is nothing smaller. Without a device to offload from (a CPU) only the batch shrinks.
    """
    offload = torch.device(device).type != "cpu"
    if offload and plan.placement is Placement.DEVICE:
        return replace(plan, placement=Placement.MODEL)
    if plan.batch > 1:
        return replace(plan, batch=plan.batch // 2)
    if offload and plan.placement is Placement.MODEL:
        return replace(plan, placement=Placement.SEQUENTIAL)
    return None


@dataclass(frozen=True)
class Part:
    """Where a part of a pipeline comes from."""

    repository: str
    revision: str | None
    path: str | None  # a file or folder inside

    @property
    def local(self) -> bool:
        return Path(self.repository).is_dir()


def parse_part(text: str) -> Part:
    """ "repository[@revision][:path]" as its three pieces; a folder on disk may stand for the repository."""
    head, _, path = text.partition(":")
    repository, _, revision = head.partition("@")
    return Part(repository, revision or None, path or None)


def pipeline_class(name: str) -> Any:
    """The class called `name` in diffusers. Raises SettingsError when the installed release has none."""
    import diffusers

    kind = getattr(diffusers, name, None)
    if kind is None:
        raise SettingsError(f"diffusers {diffusers.__version__} has no pipeline {name!r}; install a newer release")
    return kind


def open_pipeline(row: GeneratorRow, device: str, *, token: str | None = None, cache: Path | None = None) -> Any:
    """The pipeline of `row`, in inference mode and quiet, not yet placed on a device.

    On a CPU all weights are float32: half precision is slower there and partly missing. Raises SettingsError for what
    the user can mend (gate, name, revision), GenerationError for files that do not load.
    """
    whole = parse_part(row.repository)
    hub: dict[str, Any] = {"token": token, "cache_dir": cache}
    try:
        replaced = {
            role: _component(role, parse_part(text), row, device, hub)
            for role, text in row.parts.items()
            if role != "lora"
        }
        pipeline = pipeline_class(row.pipeline).from_pretrained(
            whole.repository,
            revision=None if whole.local else row.revision or None,
            variant=row.variant,
            dtype=_dtypes(row, device),
            **replaced,
            **hub,
        )
        if "lora" in row.parts:
            _fuse(pipeline, parse_part(row.parts["lora"]), hub)
    except LIBRARY_ERRORS as error:
        raise explained(row, error) from error
    _schedule(pipeline, row)
    _save_memory(pipeline, row)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def place(pipeline: Any, placement: Placement, device: str) -> None:
    """Move `pipeline` to `device`, or set up offloading to it."""
    if placement is Placement.DEVICE:
        pipeline.to(device)
        return
    pipeline.remove_all_hooks()
    pipeline.to("cpu")
    free_memory()
    if placement is Placement.MODEL:
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)


def free_memory() -> None:
    """Give back what is no longer referenced, on the host and on the card."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _dtype(name: str, device: str) -> torch.dtype:
    if torch.device(device).type == "cpu":
        return torch.float32
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise SettingsError(f"{name!r} is no type of torch; use float32, float16 or bfloat16")
    return dtype


def _dtypes(row: GeneratorRow, device: str) -> dict[str, torch.dtype]:
    special = row.options.get("dtypes")
    names = {"default": row.dtype, **(special if isinstance(special, dict) else {})}
    return {role: _dtype(str(name), device) for role, name in names.items()}


def _component(role: str, part: Part, row: GeneratorRow, device: str, hub: Mapping[str, Any]) -> Any:
    """A part that takes a component's place; a motion adapter may be a bare file of weights."""
    import diffusers

    dtypes = _dtypes(row, device)
    dtype = dtypes.get(role, dtypes["default"])
    if part.path and part.path.endswith(".safetensors"):
        if role != "motion_adapter":
            raise SettingsError(
                f"{row.name}: the part {role!r} is a folder of its repository, not the file {part.path}"
            )
        return _bare_adapter(part, row, dtype, hub)
    return diffusers.AutoModel.from_pretrained(
        part.repository, revision=part.revision, subfolder=part.path, dtype=dtype, **hub
    )


def _bare_adapter(part: Part, row: GeneratorRow, dtype: torch.dtype, hub: Mapping[str, Any]) -> Any:
    import diffusers
    from safetensors.torch import load_file

    config = row.options.get("motion_config")
    adapter = diffusers.MotionAdapter(**(config if isinstance(config, dict) else {}))
    adapter.load_state_dict(load_file(_file(part, hub)))
    return adapter if dtype is torch.float32 else adapter.to(dtype=dtype)


def _file(part: Part, hub: Mapping[str, Any]) -> Path:
    if part.path is None:
        raise SettingsError(f"the part {part.repository} needs a file: repository@revision:file")
    if part.local:
        return Path(part.repository) / part.path
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(part.repository, part.path, revision=part.revision, **hub))


def _fuse(pipeline: Any, part: Part, hub: Mapping[str, Any]) -> None:
    """Add low-rank weights to the model for good, so that offloading and speed are those of the plain model."""
    path = _file(part, hub)
    pipeline.load_lora_weights(str(path.parent), weight_name=path.name, local_files_only=True)
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()


def _schedule(pipeline: Any, row: GeneratorRow) -> None:
    settings = row.options.get("scheduler")
    changes = settings if isinstance(settings, dict) else {}
    if row.scheduler is None and not changes:
        return
    kind = type(pipeline.scheduler) if row.scheduler is None else pipeline_class(row.scheduler)
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config, **changes)


def _save_memory(pipeline: Any, row: GeneratorRow) -> None:
    vae = getattr(pipeline, "vae", None)
    if row.options.get("tiling") and vae is not None:
        for name in ("enable_tiling", "enable_slicing"):
            if hasattr(vae, name):
                getattr(vae, name)()


def explained(row: GeneratorRow, error: Exception) -> SettingsError | GenerationError:
    """The same failure in words that say what to do."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, SettingsError):
        return error
    text = f"generator {row.name!r}: "
    if isinstance(error, GatedRepoError):
        page = f"https://huggingface.co/{row.repository}"
        return SettingsError(f"{text}{row.repository} is gated: accept its terms at {page} and set HF_TOKEN")
    if isinstance(error, RevisionNotFoundError):
        return SettingsError(f"{text}{row.repository} has no revision {row.revision!r}")
    if isinstance(error, RepositoryNotFoundError):
        return SettingsError(f"{text}there is no repository {row.repository!r}, or it is private: set HF_TOKEN")
    return GenerationError(f"{text}{row.repository} does not load: {first_line(error)}")


def describe(pipeline: Any, row: GeneratorRow) -> dict[str, JSON]:
    """What provenance says of the model itself."""
    return {
        "pipeline": row.pipeline,
        "repository": row.repository,
        "revision": row.revision,
        "scheduler": type(pipeline.scheduler).__name__,
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        **({"parts": dict(row.parts)} if row.parts else {}),
    }
