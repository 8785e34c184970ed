"""Which column or member of a shard holds the photographs, where masks, depth maps and hashes lie beside them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath

from subnet.errors import MediaUnreadable

NAMES = ("image", "video", "img", "jpg", "png", "webp", "mp4", "bytes", "content", "data")  # likeliest first
# Words in the names of columns and members that are no photographs; a name that the user gives is taken all the same.
_MASKS = """mask masks seg segs segm segmentation segmentations depth depths disparity normal normals edge edges canny
sketch annotation annotations label labels matte mattes alpha trimap saliency heatmap conditioning condition control
controlnet pose landmark landmarks flow thumbnail thumbnails thumb hash md5 sha1 sha256 phash embedding embeddings
latent latents instance panoptic semantic gt groundtruth albedo trimaps cond"""
MASKS = frozenset(_MASKS.split())
_CONTAINERS = {"list", "element", "item", "array", "bytes"}
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"\x1aE\xdf\xa3")


def is_mask(name: str) -> bool:
    """Whether a word of the name says that it is no photograph: masks/0.png, 000.seg.png, depthMap."""
    words = re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    return not MASKS.isdisjoint([*words, *(word.rstrip("0123456789") for word in words)])


def is_wanted(member: str, column: str) -> bool:
    """Whether a member of an archive may be taken: by `column` where the user names one, else unless it is a mask.

    `column` is a pattern of paths, a folder, or what follows the first dot of a name (as WebDataset has it).
    """
    if not column:
        return not is_mask(member)
    path = PurePosixPath(member)
    return fnmatch(member, column) or column in path.parts[:-1] or path.name.partition(".")[2] == column


def plain_name(leaf: str) -> str:
    """What people call the leaf "images.list.element.bytes": images."""
    parts = leaf.split(".")
    return ".".join(part for part in parts if part not in _CONTAINERS) or parts[0]


def choose(leaves: Sequence[str], features: Collection[str], wanted: str, heads: Mapping[str, bytes]) -> str:
    """The leaf of a parquet file that holds the media.

    `leaves` are those with bytes, `features` the columns that the file's own metadata calls images or videos, `wanted`
    the name that the user gave, `heads` the first bytes of each leaf. Raises MediaUnreadable, listing what is there,
    when there is none or more than one.
    """
    names = {leaf: plain_name(leaf) for leaf in leaves}
    listing = ", ".join(dict.fromkeys(names.values())) or "none"
    if wanted:
        kept = [leaf for leaf in leaves if wanted in (leaf, names[leaf], leaf.partition(".")[0])]
        if not kept:
            raise MediaUnreadable(f"no column {wanted} holds bytes; those that do are {listing}")
        return kept[0]
    kept = [leaf for leaf in leaves if leaf.partition(".")[0] in features] or list(leaves)
    kept = [leaf for leaf in kept if not is_mask(names[leaf])]
    if not kept:
        raise MediaUnreadable(f"no column with media; with bytes: {listing}: name one as owner/name:COLUMN")
    ranks = {leaf: _rank(names[leaf]) for leaf in kept}
    kept = [leaf for leaf in kept if ranks[leaf] == min(ranks.values())]
    if len(kept) > 1:
        kept = [leaf for leaf in kept if _is_media(heads.get(leaf, b""))]
    if len(kept) != 1:
        raise MediaUnreadable(f"it is not clear which column holds the media: {listing}; name it: owner/name:COLUMN")
    return kept[0]


def _rank(name: str) -> int:
    parts = name.lower().split(".")
    return min((NAMES.index(part) for part in parts if part in NAMES), default=len(NAMES))


def _is_media(head: bytes) -> bool:
    return head.startswith(_MAGIC) or head[4:8] in (b"ftyp", b"moov")
