"""The cards of the weights of images that ship: judge the exams once, then write the cards from the answers.

    python -m benchmarks.claims judge stored fit challenges everyday everyday-stored whole current --current DIR
    python -m benchmarks.claims judge stored fit challenges everyday --detectors camo segment --out runs/others
    python -m benchmarks.claims judge pans-fit pans current --current DIR --detectors frames tall --out runs/clips
    python -m benchmarks.claims write [--out runs/claims]

`ensemble` and its members `npr`, `ucf` and `spectral` answer together: the members cost nothing beside the stack. Sets:
`fit` (validation photographs, of which threshold and reach are fitted) and the exams `challenges` (test photographs),
each photograph with one embedded twin, generators taking turns, as validators send them, levels taking turns, too;
`stored` (how fine validation photographs are as they are stored, and the autoencoders' twins of that size, written
alike: nobody is asked) and the exam `whole` (test photographs in the same way); `everyday`, 380 pictures of that exam,
all kinds but what is saved again, at level 0, `everyday-stored`, all 570 as they are stored, and `current`, a folder
with fake/GENERATOR/, as stored, too. Of clips `pans-fit` and the exams `pans` and `current`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from benchmarks import opinions
from detectors import TABLE, load_detector
from detectors.calibration import Calibration, sigmoid
from detectors.checkpoints import HERE
from detectors.claims.card import Card
from detectors.claims.density import Floats
from detectors.claims.features import listening
from detectors.claims.shelf import CARD, Claims, claims_of, keep, keep_density, read_card, trained_on
from detectors.claims.showing import manner, shown
from detectors.claims.sitting import Opinion, Picture, exam_of, reach_of
from detectors.claims.sitting import opinions as opinions_of
from detectors.claims.table import with_chapter
from detectors.dataset.items import DatasetItem, load_media, read_folder
from detectors.ensemble.stack import Ensemble
from detectors.evaluation.answering import View, show
from detectors.evaluation.selection import select
from detectors.whole_picture import View as Part
from detectors.whole_picture import combined, cut, fineness_of, parts, unfit
from generators import EMBEDDED, load_generator
from neurons.commands.evaluate import data_folder
from neurons.datasets.spec import DataSpec, materialise
from neurons.progress import LogLines
from neurons.settings import home
from subnet.codec.image import decode_image, encode_image, normalise
from subnet.media import embedded
from subnet.media.cutting import cut as pool_cut
from subnet.media.everyday import EVERYDAY, RESAVED
from subnet.protocols import Detector
from subnet.types import Label, Media, Modality, Provenance, Sample, Split

QUALITY = 92
STORED = "stored"
LEVELS = (0, 1, 2, 3)
EVERYDAY_ITEMS = 380  # twenty of each kind
MAKERS = tuple(row.name for row in EMBEDDED if row.modality is Modality.IMAGE)  # diffusion, the last, draws 256 x 256


def photographs(split: Split) -> Iterator[tuple[int, str, Media]]:
    """Number, name and pixels of each embedded photograph; all crops of one file have its number."""
    files: dict[str, int] = {}
    for item in embedded.items(Modality.IMAGE, split):
        number = files.setdefault(item.source, len(files))
        yield number, item.id, decode_image(embedded.path(item).read_bytes())


def pairs(
    split: Split, ready: Callable[[Media, int], Media], names: Sequence[str]
) -> Iterator[tuple[int, str, dict[str, Media]]]:
    """Each photograph, made `ready`, with its twin by one generator: media by "" or the generator's name."""
    makers = [load_generator(name) for name in names]
    for place, (number, name, stored) in enumerate(photographs(split)):
        media, maker = ready(stored, place), makers[place % len(makers)]
        sample = Sample(media, Label.REAL, Provenance("", name))
        twin = maker.reconstruct(sample, np.random.default_rng([place, 1]))  # type: ignore[attr-defined]
        yield number, name, {"": media, maker.name: twin.media}


def challenges(split: Split) -> Iterator[Picture]:
    """As validators send them: a pair at one level, those of the validation split at two, levels taking turns."""

    def ready(media: Media, place: int) -> Media:
        return pool_cut(media, np.random.default_rng(place), 1).media

    for place, (number, name, media) in enumerate(pairs(split, ready, MAKERS)):
        # Of the test split every generator is shown at every level, of the validation split at two.
        turns = (place, place + 2) if split is Split.VALIDATION else (place + place // len(LEVELS),)
        for level in (turn % len(LEVELS) for turn in turns):
            for origin, each in media.items():
                yield _picture(show(each, f"{name}{origin}", View(level), 0), origin, number)


def whole(split: Split) -> Iterator[Picture]:
    """At the size they are stored in, written alike."""
    for number, _, media in pairs(split, lambda media, _: media, MAKERS[:-1]):
        for origin, each in media.items():
            yield _picture(decode_image(encode_image(each, QUALITY)), origin, number)


def _picture(media: Media, origin: str, number: int) -> Picture:
    return Picture(media, Label.SYNTHETIC if origin else Label.REAL, origin or "photograph", number)


def folder(path: Path) -> Iterator[Picture]:
    """What a folder holds, as it is stored."""
    return shown(read_folder(path), path, (), 0)


def everyday() -> Iterator[Picture]:
    """Kinds of everyday pictures in turn, at level 0; how fine they are is a matter of what is stored."""
    path, plain = _everyday()
    chosen = select(plain, Modality.IMAGE, EVERYDAY_ITEMS, 0, EVERYDAY, reals_alone=True)
    for record, picture in zip(chosen, shown(chosen, path, (0,), 0), strict=True):
        yield replace(picture, fineness=fineness_of(load_media(record)))


def everyday_stored() -> Iterator[Picture]:
    """All of them as they are stored, which is what people show."""
    path, plain = _everyday()
    return shown(plain, path, (), 0)


def pans(split: Split, count: int) -> Iterator[Picture]:
    """Pans over photographs and their twins as they are stored: the embedded set has clips of few places."""
    path = materialise(DataSpec(split, Modality.VIDEO, count, seed=1, pans=1.0), home() / "data")
    return shown(read_folder(path), path, (), 0)


def _everyday() -> tuple[Path, list[DatasetItem]]:
    path = data_folder(EVERYDAY, Modality.IMAGE, None, 0, "cpu")
    return path, [record for record in read_folder(path) if record.origin != RESAVED]


def judged(detectors: Sequence[Detector], pictures: Iterator[Picture]) -> Iterator[dict[str, Opinion]]:
    """The opinions of all detectors, and of the members of a stack, on each picture that can be judged, by name."""
    for each in pictures:
        if unfit(each.media):
            continue
        found: dict[str, Opinion] = {}
        for detector in detectors:
            if isinstance(detector, Ensemble):
                found |= _with_members(detector, each)
            else:
                (found[detector.name],) = opinions_of(detector, [each])
        yield found


def _with_members(stack: Ensemble, each: Picture) -> dict[str, Opinion]:
    """The opinion of a stack, and those of its members, who are asked once."""
    chosen = parts(each.media)
    with listening(stack) as heard, torch.inference_mode():
        odds = stack.opinions([normalise(cut(each.media, box), None) for _, box in chosen])
        features = heard.take_each(len(chosen))
    fine = fineness_of(each.media) if each.fineness is None else each.fineness
    p = [stack.calibration.probability(float(logit)) for logit in stack.head(odds)]
    whole_features = np.concatenate([found for found in features if found is not None], axis=1)
    answers: dict[str, tuple[list[float], Floats | None]] = {stack.name: (p, whole_features)}
    answers |= {
        name: ([sigmoid(float(value)) for value in column], found)
        for name, column, found in zip(stack.members, odds.T, features, strict=True)
    }
    return {
        name: Opinion(each.label, each.kind, each.content, _combined(chosen, told), found, fine)
        for name, (told, found) in answers.items()
    }


def _combined(chosen: Sequence[tuple[str, tuple[int, int, int, int]]], told: Sequence[float]) -> float:
    return combined([Part(kind, box, p) for (kind, box), p in zip(chosen, told, strict=True)])


def judge(
    names: Sequence[str],
    sets: Mapping[str, Callable[[], Iterator[Picture]]],
    out: Path,
    limit: int | None,
    asked: Sequence[str],
) -> None:
    """Write the opinions of the detectors that are `asked` on each set that is named below `out`."""
    out.mkdir(parents=True, exist_ok=True)
    detectors = [load_detector(name) for name in asked]
    for name in names:
        if name == STORED:
            fine = [fineness_of(each.media) for each in whole(Split.VALIDATION)]
            (out / f"{STORED}.json").write_text(json.dumps(fine))
            continue
        tell, found = LogLines(name), defaultdict[str, list[Opinion]](list)
        for number, each in enumerate(judged(detectors, islice(sets[name](), limit))):
            for detector, opinion in each.items():
                found[detector].append(opinion)
            tell("pictures", number + 1, number + 2)
        opinions.write(out / f"{name}.parquet", found)
        print(f"{name}: {[len(each) for each in found.values()]} opinions", file=sys.stderr, flush=True)


FITTED = {
    "fit": "the embedded validation photographs and their twins",
    "pans-fit": "pans over the embedded validation photographs and their twins",
}
# Every exam: how it is shown, and whether its fakes are of current generators.
EXAMS = {
    "challenges": (manner(LEVELS), False),
    "whole": (manner(()), False),
    "everyday": ("at level 0, how fine as stored", False),
    "everyday-stored": (manner(()), False),
    "pans": (manner(()), False),
    "current": (manner(()), True),
}


def write(out: Path) -> None:
    """The cards of all whose opinions lie below `out`, and the chapters of all cards.

    Without opinions on a set to fit exams join the card that is there.
    """
    answers = {path.stem: opinions.read(path) for path in sorted(out.glob("*.parquet"))}
    for name in dict.fromkeys(name for given in answers.values() for name in given):
        detector = load_detector(name)
        claims = claims_of(name, detector)
        for key, data in FITTED.items():
            if given := answers.get(key, {}).get(name):
                claims = _fitted(name, given, data, out)
        card, calibration = claims.card, getattr(detector, "calibration", Calibration())
        for exam, (manner_of, current) in EXAMS.items():
            if given := answers.get(exam, {}).get(name):
                found = exam_of(given, card, calibration, claims.density, name=exam, shown=manner_of, current=current)
                card = card.with_exam(found)
        print(keep(HERE / name, card))
    for row in TABLE.values():
        page, known = HERE / f"{row.name}.md", read_card(HERE / f"{row.name}{CARD}")
        if known is not None and page.exists():
            page.write_text(with_chapter(page.read_text(encoding="utf-8"), known), encoding="utf-8")


def _fitted(name: str, given: Sequence[Opinion], data: str, out: Path) -> Claims:
    """An empty card with threshold and reach of these opinions; how fine clips are nobody asks."""
    stored = out / f"{STORED}.json"
    fine = [each for each in json.loads(stored.read_text()) if each is not None] if stored.exists() else []
    reach, density = reach_of(given, data, fine)
    if density is not None:
        reach = replace(reach, density=keep_density(HERE / name, density))
    return Claims(Card(name, TABLE[name].sha256, trained_on(HERE / TABLE[name].weights), reach), density)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["judge", "write"])
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--detectors", nargs="+", default=["ensemble"])
    parser.add_argument("--current", type=Path)
    parser.add_argument("--limit", type=int, help="most pictures of a set; the first photographs by name")
    parser.add_argument("--out", type=Path, default=Path("runs/claims"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    sets: dict[str, Callable[[], Iterator[Picture]]] = {
        "fit": lambda: challenges(Split.VALIDATION),
        "challenges": lambda: challenges(Split.TEST),
        "whole": lambda: whole(Split.TEST),
        "pans-fit": lambda: pans(Split.VALIDATION, 57),
        "pans": lambda: pans(Split.TEST, 30),
        "everyday": everyday,
        "everyday-stored": everyday_stored,
        "current": lambda: folder(asked.current),
    }
    if asked.what == "judge":
        judge(asked.sets, sets, asked.out, asked.limit, asked.detectors)
    else:
        write(asked.out)


if __name__ == "__main__":
    main()
