"""The table of public data sets that real media is drawn from. Data only; `hub.open_source` makes a source of a row.

Revisions are "main", resolved to a commit when a listing is made; the commit stands in each item's provenance. Sizes
are those the sets had when they were last described in public code. The mirrors under `bitmind/` are re-packed as
parquet; rights in the pictures stay with the original sets, whose terms are noted: mostly research, nothing is shipped.
"""

from __future__ import annotations

from dataclasses import dataclass

from subnet.errors import SettingsError
from subnet.registry import table
from subnet.types import Label, Modality


@dataclass(frozen=True)
class SourceRow:
    """One data set on the hub. `pattern` selects shards by path; `kind` is what they are: parquet, zip, tar or file.

    `column` names the column, or members of archives, with the media; "" leaves that to `hub.columns`.
    """

    name: str
    modality: Modality
    repository: str
    kind: str
    licence: str
    size_gb: float
    about: str
    label: Label = Label.REAL
    revision: str = "main"
    pattern: str = "*"
    gated: bool = False
    column: str = ""


def _image(name: str, licence: str, size_gb: float, about: str) -> SourceRow:
    return SourceRow(name, Modality.IMAGE, f"bitmind/{name}", "parquet", licence, size_gb, about, pattern="*.parquet")


SOURCES = table(
    [
        _image("bm-real", "unstated by the mirror", 6.7, "28 k photographs of many kinds"),
        _image(
            "open-image-v7-256", "CC-BY-4.0 annotations, CC-BY-2.0 pictures", 216, "9 M everyday photographs, 256 px"
        ),
        _image("celeb-a-hq", "non-commercial research", 2.8, "30 k aligned celebrity faces"),
        _image("ffhq-256", "CC-BY-NC-SA-4.0 set; pictures by their authors", 7.6, "70 k faces from Flickr, 256 px"),
        _image("MS-COCO-unique-256", "CC-BY-4.0 annotations, Flickr terms", 13.6, "123 k scenes with common objects"),
        _image("AFHQ", "CC-BY-NC-4.0", 7.0, "15 k faces of cats, dogs and wild animals"),
        _image("lfw", "research use", 0.2, "13 k faces in the wild"),
        _image("caltech-256", "CC-BY-4.0", 1.2, "30 k objects in 256 categories"),
        _image("caltech-101", "CC-BY-4.0", 0.2, "9 k objects in 101 categories"),
        _image("dtd", "research use", 0.6, "5.6 k textures"),
        SourceRow(
            "OpenVid-1M",
            Modality.VIDEO,
            "nkp37/OpenVid-1M",
            "zip",
            "CC-BY-4.0 set; clips by their authors",
            7000,
            "1 M clips of at least 512 px; archives of about 40 GB, read in part and never fetched whole",
            pattern="OpenVid_part*.zip",
        ),
        SourceRow(
            "imagenet-vidvrd",
            Modality.VIDEO,
            "shangxd/imagenet-vidvrd",
            "zip",
            "ImageNet terms, research use",
            3,
            "1,000 camera clips from ImageNet VID",
            pattern="*.zip",
        ),
    ]
)


def any_repository(repository: str, modality: Modality, label: Label = Label.REAL, revision: str = "main") -> SourceRow:
    """A row for a data set by name, "owner/name" or "owner/name:COLUMN": every shard of a known kind in it.

    Raises SettingsError.
    """
    place, colon, column = repository.partition(":")
    owner, slash, name = place.partition("/")
    if not (owner and slash and name) or "/" in name or (colon and not column):
        raise SettingsError(f"a data set on the hub is called owner/name or owner/name:COLUMN, not {repository!r}")
    return SourceRow(
        *(repository, modality, place, "any", "unknown", 0, "by name"), label=label, revision=revision, column=column
    )
