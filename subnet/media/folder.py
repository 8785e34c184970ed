"""A folder of the user's media as a source. A file that cannot be used is passed over, counted, and reported once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from subnet.codec import image as codec
from subnet.errors import MediaError, SettingsError, SourceEmpty
from subnet.media.cutting import Decode, cut, decode_clip
from subnet.types import Label, Modality, Provenance, Sample

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov")


def find_media(root: Path, modality: Modality) -> list[Path]:
    """Files of `modality` below `root` by suffix, at any depth, hidden ones left out, in order of their names."""
    suffixes = IMAGE_SUFFIXES if modality is Modality.IMAGE else VIDEO_SUFFIXES
    hits = (path for path in root.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    return sorted(path for path in hits if not any(part.startswith(".") for part in path.relative_to(root).parts))


class FolderSource:
    """Images and clips of one label below a folder. `bad` holds the files that could not be used, with the reason.

    For files that are not trusted give `decode_video=VideoDecoder(CLIP_LIMITS).decode`. `on_bad` is told once per file.
    """

    def __init__(
        self,
        root: Path,
        label: Label,
        name: str | None = None,
        *,
        licence: str = "unknown",
        decode_video: Decode = decode_clip,
        on_bad: Callable[[Path, str], None] = lambda path, reason: None,
    ) -> None:
        """Raises SettingsError when `root` is not a folder."""
        if not root.is_dir():
            raise SettingsError(f"the media folder {root} does not exist or is not a folder")
        self.root, self.label, self.licence = root, label, licence
        self.name = name or root.resolve().name
        self.bad: dict[Path, str] = {}
        self._on_bad = on_bad
        self._decode: dict[Modality, Decode] = {Modality.IMAGE: codec.decode_image, Modality.VIDEO: decode_video}
        self._files: dict[Modality, list[Path]] = {}

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        """A random file. Raises SourceEmpty, naming the folder, for another label or when no file can be used."""
        files = self._usable(modality) if label is self.label else []
        while files:
            path = files[int(rng.integers(len(files)))]
            try:
                media = cut(self._decode[modality](path.read_bytes()), rng)
            except (MediaError, OSError) as error:
                self._set_aside(path, str(error))
                files = self._usable(modality)
                continue
            return Sample(media, label, Provenance(self.name, str(path.relative_to(self.root)), self.licence))
        spoilt = f" ({len(self.bad)} could not be used)" if self.bad else ""
        raise SourceEmpty(f"the folder {self.root} has no usable {modality} of {label.name.lower()} media{spoilt}")

    def _usable(self, modality: Modality) -> list[Path]:
        if modality not in self._files:
            self._files[modality] = find_media(self.root, modality)
        return self._files[modality]

    def _set_aside(self, path: Path, reason: str) -> None:
        self.bad[path] = reason
        for files in self._files.values():
            if path in files:
                files.remove(path)
        self._on_bad(path, reason)
