"""Published data sets by name: how their folders are laid out, how many files there are, and under which licence.

Data only, and pure functions over names of files: nothing here opens or fetches one. Counts are those that the authors
publish; None where they give none for a folder. The table of docs/data.md is written from these rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath

from detectors.dataset.folder_names import label_of
from subnet.codec.image import TARGET_SIZE
from subnet.registry import find, table
from subnet.types import Label, Split

WHOLE = "all"  # the split of what the authors do not divide
REAL, FAKE = Label.REAL, Label.SYNTHETIC


@dataclass(frozen=True)
class Part:
    """Folders of one label and one split.

    `way` is a path below the data set, component by component: `*` and `?` as in shells, `a|b` for one or the other,
    `**` for any number of folders, `<real>` and `<synthetic>` for any folder whose name says that label. `count` is the
    published number of files. `origin` is who made them; "" takes the folder at the first component that is not fixed.
    `numbers` limits the part to files whose names are numbers from the first to the last.
    """

    split: str
    way: str
    label: Label
    count: int | None = None
    origin: str = ""
    numbers: tuple[int, int] | None = None


@dataclass(frozen=True)
class Preset:
    """A data set as it is unpacked. Without parts it is a folder with an `index.jsonl`."""

    name: str
    summary: str
    parts: tuple[Part, ...]
    licence: str
    source: str
    twins: bool = False  # names `a_b` are made of the items `a` and `b`, and belong to them
    side: int | None = None  # of its pictures in pixels, where that is too small: they are read scaled up

    @property
    def factor(self) -> int:
        """How many times its pictures are scaled up, each pixel repeated; 1: not at all."""
        return 1 if self.side is None else min(TARGET_SIZE) // self.side


def _both(
    split: str, way: str, count: int | None = None, origin: str = "", photographs: str = "photographs"
) -> tuple[Part, ...]:
    """Real and synthetic folders side by side, `count` files in each; `photographs` is the origin of the real ones."""
    return (
        Part(split, f"{way}/<real>/**", REAL, count, photographs),
        Part(split, f"{way}/<synthetic>/**", FAKE, count, origin),
    )


_ARTIFACT_REAL = "afhq|celebahq|coco|ffhq|imagenet|landscape|lsun|metfaces"
_ARTIFACT_FAKE = (
    "big_gan|cips|cycle_gan|ddpm|denoising_diffusion_gan|diffusion_gan|face_synthetics|gansformer|gau_gan|"
    "generative_inpainting|glide|lama|latent_diffusion|mat|palette|pro_gan|projected_gan|sfhq|stable_diffusion|"
    "star_gan|stylegan1|stylegan2|stylegan3|taming_transformer|vq_diffusion"
)
_FORENSYNTHS = "github.com/PeterWang512/CNNDetection"
_RESEARCH = "for research, see the source"

PRESETS: dict[str, Preset] = table(
    (
        Preset(
            "dm-aer",
            "DM-AER-DeepFake-V1: aerial photographs of Million-AID, and a million images of StyleGAN2 (swagan) trained "
            "on AID; about 120,000 to 1,000,000. sample/ repeats images of validation/ and is left out",
            (
                *_both("train", "training", origin="stylegan2", photographs="million-aid"),
                *_both("validation", "validation", origin="stylegan2", photographs="million-aid"),
            ),
            "CC BY-NC-SA",
            "github.com/RijulGupta-DM/deepfake-satellite-images",
        ),
        Preset(
            "aid",
            "AID: aerial photographs of 30 kinds of scenes, 600 pixels a side",
            (Part(WHOLE, "**/airport|bareland|baseballfield|beach|bridge|center|church|commercial|denseresidential|"
                  "desert|farmland|forest|industrial|meadow|mediumresidential|mountain|park|parking|playground|pond|"
                  "port|railwaystation|resort|river|school|sparseresidential|square|stadium|storagetanks|viaduct",
                  REAL, 10_000, "aid"),),
            _RESEARCH,
            "captain-whu.github.io/AID",
        ),
        Preset(
            "million-aid",
            "Million-AID: a million aerial photographs of 51 kinds of scenes in a tree of three levels",
            (
                Part("train", "train/*land|*area/**", REAL, 10_000, "million-aid"),
                Part("test", "test/**", REAL, 990_848, "million-aid"),
            ),
            _RESEARCH,
            "captain-whu.github.io/DiRS",
        ),
        Preset(
            "ffhq",
            "Flickr-Faces-HQ: faces of 1024 pixels a side; the last 10,000 are for validation",
            (
                Part("train", "**/images1024x1024/0?000|1?000|2?000|3?000|4?000|5?000", REAL, 60_000, "ffhq"),
                Part("validation", "**/images1024x1024/6?000", REAL, 10_000, "ffhq"),
            ),
            "CC BY-NC-SA 4.0",
            "github.com/NVlabs/ffhq-dataset",
        ),
        Preset(
            "celeba",
            "CelebA, aligned and cropped faces, divided by number",
            (
                Part("train", "**/img_align_celeba/**", REAL, 162_770, "celeba", (1, 162_770)),
                Part("validation", "**/img_align_celeba/**", REAL, 19_867, "celeba", (162_771, 182_637)),
                Part("test", "**/img_align_celeba/**", REAL, 19_962, "celeba", (182_638, 202_599)),
            ),
            "for non-commercial research",
            "mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        ),
        Preset(
            "lsun-church",
            "LSUN church_outdoor, exported from its databases as images",
            (
                Part("train", "**/church_outdoor_train*/**", REAL, 126_227, "lsun-church"),
                Part("validation", "**/church_outdoor_val*/**", REAL, 300, "lsun-church"),
            ),
            "none stated",
            "github.com/fyu/lsun",
        ),
        Preset(
            "stylegan2",
            "StyleGAN2 and photographs of cars, cats, churches and horses: a part of the ForenSynths test set",
            _both("test", "**/stylegan2/*", origin="stylegan2"),
            "none stated",
            _FORENSYNTHS,
        ),
        Preset(
            "progan",
            "ProGAN and LSUN photographs of twenty kinds of things: ForenSynths, as most detectors are trained on",
            (
                *_both("train", "**/train|progan_train/**", 360_000, "progan"),
                *_both("validation", "**/val|progan_val/**", origin="progan"),
                *_both("test", "**/test/progan/*", origin="progan"),
            ),
            "none stated",
            _FORENSYNTHS,
        ),
        Preset(
            "patchwise",
            "the pairs of the patch study: FFHQ with StyleGAN2 to train and test on, churches as other content, "
            "CelebA with ProGAN as another generator; you arrange it out of these and what you make",
            (
                Part("train", "train/<real>/ffhq", REAL, 25_000),
                Part("train", "train/<synthetic>/stylegan2", FAKE, 25_000, "stylegan2"),
                Part("test", "test/<real>/ffhq", REAL, 2_000),
                Part("test", "test/<synthetic>/stylegan2", FAKE, 2_000, "stylegan2"),
                Part("other-content", "other-content/<real>/lsun-church", REAL, 2_000, "lsun-church"),
                Part("other-content", "other-content/<synthetic>/stylegan2", FAKE, 2_000, "stylegan2"),
                Part("other-generator", "other-generator/<real>/celeba", REAL, 2_000, "celeba"),
                Part("other-generator", "other-generator/<synthetic>/progan", FAKE, 2_000, "progan"),
            ),
            "those of its parts",
            "ffhq, celeba, lsun-church, github.com/NVlabs/stylegan2, github.com/tkarras/progressive_growing_of_gans",
        ),
        Preset(
            "140k-real-and-fake-faces",
            "faces of FFHQ and of StyleGAN, 256 pixels a side",
            (
                *_both("train", "**/real-vs-fake|real_vs_fake/train", 50_000, "stylegan"),
                *_both("validation", "**/real-vs-fake|real_vs_fake/valid", 10_000, "stylegan"),
                *_both("test", "**/real-vs-fake|real_vs_fake/test", 10_000, "stylegan"),
            ),
            "those of FFHQ (CC BY-NC-SA 4.0) and StyleGAN",
            "kaggle.com/datasets/xhlulu/140k-real-and-fake-faces",
        ),
        Preset(
            "real-and-fake-face-detection",
            "faces, and faces put together from others by people with an image editor",
            (
                Part(WHOLE, "**/real_and_fake_face/training_real", REAL, 1_081, "photographs"),
                Part(WHOLE, "**/real_and_fake_face/training_fake", FAKE, 960, "image editor"),
            ),
            "none stated",
            "kaggle.com/datasets/ciplab/real-and-fake-face-detection",
        ),
        Preset(
            "faces",
            "the two sets above put together as the study of CNN features has it; you arrange it",
            (*_both("train", "train"), *_both("validation", "valid"), *_both("test", "test")),
            "those of its parts",
            "140k-real-and-fake-faces, real-and-fake-face-detection",
        ),
        Preset(
            "cifake",
            "CIFAR-10, and ten kinds of things by Stable Diffusion 1.4, 32 pixels a side",
            (
                *_both("train", "train", 50_000, "stable-diffusion-1.4"),
                *_both("test", "test", 10_000, "stable-diffusion-1.4"),
            ),
            "MIT",
            "kaggle.com/datasets/birdy654/cifake-real-and-ai-generated-synthetic-images",
            side=32,
        ),
        Preset(
            "artifact",
            "ArtiFact: 25 generators and eight sources of photographs, 200 pixels a side, in a folder for each",
            (
                Part(WHOLE, f"{_ARTIFACT_REAL}/**", REAL, 964_989),
                Part(WHOLE, f"{_ARTIFACT_FAKE}/**", FAKE, 1_531_749),
            ),
            "one for each folder, listed at the source",
            "github.com/awsaf49/artifact",
        ),
        Preset(
            "genimage",
            "GenImage: ImageNet, and its thousand kinds of things by eight generators",
            (
                Part("train", "**/train/nature/**", REAL, 1_281_167, "imagenet"),
                Part("train", "*/**/train/ai/**", FAKE, 1_300_000),
                Part("validation", "**/val/nature/**", REAL, 50_000, "imagenet"),
                Part("validation", "*/**/val/ai/**", FAKE, 50_000),
            ),
            "CC BY-NC-SA 4.0",
            "github.com/GenImage-Dataset/GenImage",
        ),
        Preset(
            "faceforensics++",
            "FaceForensics++: a thousand clips of faces and what four methods make of each, at any one compression",
            (
                Part(WHOLE, "original_sequences/youtube/*/videos", REAL, 1_000, "youtube"),
                Part(WHOLE, "manipulated_sequences/deepfakes|face2face|faceswap|neuraltextures/*/videos", FAKE, 4_000),
            ),
            "for research, on request",
            "github.com/ondyari/FaceForensics",
            twins=True,
        ),
        Preset(
            "pool",
            "what your validator asks: the items of its pool, with an index",
            (),
            "one for each item, in the index",
            "assay pool export OUT",
        ),
    )
)  # fmt: skip


def preset(name: str) -> Preset:
    """Raises UnknownName with the nearest names."""
    return find(PRESETS, name, "preset")


def with_side(pixels: int) -> str | None:
    """The preset whose pictures are as small as this, and read scaled up."""
    return next((row.name for row in PRESETS.values() if row.side == pixels), None)


def splits(chosen: Preset) -> tuple[str, ...]:
    """The splits of a preset: train, validation, test where it has them, then others, in their order."""
    there = list(dict.fromkeys(part.split for part in chosen.parts)) or [WHOLE]
    usual = [str(split) for split in Split]
    return tuple(sorted(there, key=lambda split: usual.index(split) if split in usual else len(usual)))


@cache
def _pattern(way: str) -> re.Pattern[str]:
    """A way of `Part` as an expression for a folder that ends in "/"."""
    result, named = "", False
    for component in way.lower().split("/"):
        if component == "**":
            result += "(?:[^/]+/)*"
        elif component in ("<real>", "<synthetic>"):
            result += "(?P<label>[^/]+)/"
        else:
            text = "|".join(_shell(choice) for choice in component.split("|"))
            free = not named and set(component) & set("*?|")
            named = named or bool(free)
            result += f"(?P<origin>{text})/" if free else f"(?:{text})/"
    return re.compile(result)


def _shell(component: str) -> str:
    return re.escape(component).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def folder_origin(part: Part, folder: str) -> str | None:
    """Who made the files of `folder`, a path with slashes relative to the data set; None where it is not in `part`."""
    found = _pattern(part.way).fullmatch(f"{folder}/".lower() if folder else "")
    if found is None:
        return None
    groups = found.groupdict()
    if "label" in groups and label_of(groups["label"]) is not part.label:
        return None
    return part.origin or groups.get("origin") or PurePath(folder).name.lower()


def part_of(chosen: Preset, way: PurePath) -> tuple[Part, str] | None:
    """The part that a file lies in, and its origin; `way` is relative to the data set. None where it lies in none."""
    for part in chosen.parts:
        origin = _origin_in(part, way.parent.as_posix().removeprefix("."))
        if origin is not None and _numbered(part, way.stem):
            return part, origin
    return None


_origin_in = cache(folder_origin)


def _numbered(part: Part, stem: str) -> bool:
    if part.numbers is None:
        return True
    return stem.isdecimal() and part.numbers[0] <= int(stem) <= part.numbers[1]


def resembled(ways: Sequence[PurePath], presets: Mapping[str, Preset] = PRESETS) -> str | None:
    """The preset whose folders hold most of these files, relative to the data set; None where none holds half of them.

    Of several the one of which more parts are there.
    """
    scores = {}
    for name, candidate in presets.items():
        hits = Counter(found[0] for way in ways if (found := part_of(candidate, way)) is not None)
        share = sum(hits.values()) / len(ways) if ways else 0.0
        if candidate.parts and share >= 0.5:
            scores[name] = (share * len(hits) / len(candidate.parts), len(candidate.parts))
    return max(scores, key=lambda name: scores[name], default=None)
