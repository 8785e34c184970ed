"""`assay generate`: make synthetic media with one generator, and look at it."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from neurons import settings as s
from neurons.datasets.no_trace import make_folder
from neurons.progress import bar, warn
from subnet.errors import GenerationError, SettingsError
from subnet.types import Label, Modality, Sample, Split

if TYPE_CHECKING:
    import numpy as np

    from subnet.protocols import Generator, Source

CRF = 12  # of MP4 files: quality beyond what the eye can tell


@dataclass(frozen=True)
class Output:
    """One item on disk: the media file and the provenance beside it."""

    file: Path
    provenance: Path
    sample: Sample

    def facts(self) -> dict[str, object]:
        return {"file": str(self.file), **_facts(self.sample)}


def generate(
    model: str,
    *,
    prompt: tuple[str, ...] = (),
    count: Annotated[int, Parameter(name=["--count", "-n"])] = 4,
    out: Path = Path("generated"),
    seed: int = 0,
    device: str = "auto",
    photos: Path | None = None,
    json: s.Json = False,
) -> None:
    """Make synthetic media with MODEL: a PNG or MP4 for each item, its provenance as JSON beside it, a contact sheet.

    Parameters
    ----------
    model
        A name of `assay generators`.
    prompt
        What is to be seen; several are taken in turn. Without any, prompts are made up.
    count
        Items to make.
    out
        Folder for the files. The same command writes the same files.
    seed
        Same seed: same items, on the same kind of device.
    device
        auto, cpu, cuda or cuda:N.
    photos
        Folder of real photos or clips for models that start from one; by default the embedded test set.
    """
    import generators
    from generators.rows import Task
    from subnet.media.contact_sheet import draw_sheet
    from subnet.registry import find

    if count < 1:
        raise SettingsError(f"--count must be at least 1, not {count}")
    if any(not text.strip() for text in prompt):
        raise SettingsError("--prompt is empty; say what is to be seen, or leave it out to have prompts made up")
    row = find(generators.TABLE, model, "generator")
    reads_text = row.task is not Task.RECONSTRUCT
    if prompt and not reads_text:
        print(f"assay: {model} draws real media again and reads no prompt", file=sys.stderr)
    loaded = generators.load_generator(model, device=s.device(device), reals=_reals(photos))
    make_folder(out)
    outputs, failures = [], []
    with bar(model, count) as progress:
        for number in range(count):
            try:
                outputs.append(_make(loaded, prompt if reads_text else ("",), out, seed, number))
            except GenerationError as error:
                failures.append(f"item {number}: {error}")
            progress(number + 1)
    if not outputs:
        raise GenerationError(f"{model} made nothing: {failures[0]}")
    sheet = out / f"{model}-{seed}-sheet.png"
    draw_sheet([(item.sample.media, _caption(item.sample)) for item in outputs], sheet)
    _print(outputs, failures, sheet, json)


def _make(loaded: Generator, prompts: Sequence[str], out: Path, seed: int, number: int) -> Output:
    import numpy as np

    from subnet.codec import image as codec
    from subnet.game.sampling import derive

    rng = np.random.default_rng(derive("generate", loaded.name, seed, number))
    text = prompts[number % len(prompts)] if prompts else _invent_prompt(loaded.modality, rng)
    sample = loaded.generate([text], rng)[0]
    video = sample.modality is Modality.VIDEO
    file = out / f"{loaded.name}-{seed}-{number:04d}.{'mp4' if video else 'png'}"
    about = file.with_suffix(".json")
    data = codec.encode_video(sample.media, CRF) if video else codec.encode_png(sample.media)
    try:
        out.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        about.write_text(jsonlib.dumps(_facts(sample), indent=2) + "\n")
    except OSError as error:
        raise SettingsError(f"--out {out}: cannot write there: {error.strerror}") from error
    return Output(file, about, sample)


def _invent_prompt(modality: Modality, rng: np.random.Generator) -> str:
    from generators.prompts.offline import prompt

    return prompt(rng, modality)


def _reals(photos: Path | None) -> Source:
    from subnet.codec.sandbox import VideoDecoder
    from subnet.media.cutting import CLIP_LIMITS
    from subnet.media.embedded.source import EmbeddedSource
    from subnet.media.folder import FolderSource

    if photos is None:
        return EmbeddedSource(Split.TEST)
    if not photos.is_dir():
        raise SettingsError(f"--photos {photos}: not a folder")
    source = FolderSource(
        *(photos, Label.REAL, photos.name),
        decode_video=VideoDecoder(CLIP_LIMITS).decode,
        on_bad=lambda path, reason: warn(f"left out {path}: {reason}"),
    )
    for note in source.inventory.notes():
        warn(note)
    return source


def _facts(sample: Sample) -> dict[str, object]:
    """Everything known about an item, as JSON."""
    frames = sample.media.frames
    provenance = sample.provenance
    return {
        "label": sample.label.name.lower(),
        "modality": str(sample.modality),
        "width": frames.shape[2],
        "height": frames.shape[1],
        "frames": frames.shape[0],
        "fps": sample.media.fps,
        **{**asdict(provenance), "parameters": dict(provenance.parameters)},
    }


def _caption(sample: Sample) -> str:
    """The prompt, the photo that was started from, or both."""
    about = sample.provenance
    photo = "" if about.source == about.model else about.item
    return " / ".join(part for part in (photo, about.prompt) if part) or str(about.model)


def _print(outputs: Sequence[Output], failures: Sequence[str], sheet: Path, json: bool) -> None:
    for line in failures:
        print(f"assay: {line}", file=sys.stderr)
    if json:
        facts = [item.facts() for item in outputs]
        print(jsonlib.dumps({"items": facts, "failures": list(failures), "contact_sheet": str(sheet)}))
    else:
        for line in _lines(outputs):
            print(line)
        print(sheet)


def _lines(outputs: Sequence[Output]) -> Iterator[str]:
    for item in outputs:
        yield f"{item.file}  {_caption(item.sample)}"
