"""`assay detect`: judge files, and on request say why."""

from __future__ import annotations

import json as jsonlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Column, Table
from rich.text import Text

from neurons import settings as s
from neurons.datasets.no_trace import make_folder
from neurons.progress import bar
from neurons.terminal import terminal
from subnet.errors import MediaError, MediaUnreadable, SettingsError
from subnet.printing import printable
from subnet.types import Modality

if TYPE_CHECKING:
    from detectors.claims.shelf import Claims
    from neurons.verdicts.judging import Explained, Judged, Opened
    from subnet.codec.sandbox import VideoDecoder
    from subnet.protocols import Detector

    Found = dict[str, Any]

STEPS = 3  # of an explanation: the answer, the heat map, the test of the map
LONGEST = 48  # characters of a file's name in that of its explanation: file systems take 255 bytes
COLOURS = {"no trace found": "blue", "synthetic": "magenta", "uncertain": "yellow", "cannot tell": "dim"}


def detect(
    *files: Path,
    detector: str | None = None,
    explain: Annotated[bool, Parameter(negative="")] = False,
    out: Path = Path("explained"),
    html: Path | None = None,
    trust: Path | None = None,
    device: str = "auto",
    json: s.Json = False,
) -> None:
    """Judge images and clips: P(synthetic), whether that is sure enough to say so, and what the file says of itself.

    Exit status 0 when every file was looked at, whatever the answers; 2 when one could not be read.

    Parameters
    ----------
    files
        JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF or (extra heic) HEIC images; MP4, QuickTime, Matroska, WebM or AVI clips;
        folders of them.
    detector
        A name of `assay detectors`, a checkpoint file, or NAME=FILE; by default the best that is on this machine.
    explain
        Write a heat map of each file, and all numbers, below --out.
    out
        Folder for explanations.
    html
        Write everything as one page to this file, pictures inside it.
    trust
        Certificates (PEM) of authorities whose Content Credentials are trusted, such as the C2PA trust list.
    device
        auto, cpu, cuda or cuda:N.
    """
    from neurons.verdicts.files import decoder, find

    if not files:
        raise SettingsError("FILE: name at least one image, clip or folder")
    _check(html, trust)
    place = s.device(device)
    if explain:
        make_folder(out)
    chosen = find(files)
    if chosen.skipped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(chosen.skipped.items()))
        print(f"skipped {chosen.skipped.total()} files: {reasons}", file=sys.stderr)
    if not chosen.files:
        raise MediaUnreadable("the folders that were named hold no images or clips")
    steps = STEPS if explain or html else 1
    with decoder() as clips, bar("files" if steps == 1 else "steps", steps * len(chosen.files)) as progress:
        work = _Work(clips, _opening(detector, place), out if explain else None, trust, html is not None)
        _write_page(html, work.sections(chosen.files, steps, progress, json=json), len(chosen.files))
    if not json:
        _table(work.found)
    _fail([each for each in work.found if "error" in each], len(work.found), told=json)


def _check(html: Path | None, trust: Path | None) -> None:
    """Raises SettingsError for a page under the name of something else, and for certificates that are none."""
    if html is not None and html.suffix.lower() not in (".html", ".htm"):
        raise SettingsError(f"--html {html}: name a file that ends with .html")
    if trust is not None:
        from neurons.provenance.trust import anchors

        anchors(trust)


def _opening(name: str | None, device: str) -> Opened:
    """Detectors by modality, opened when the first file needs them."""

    @cache
    def opened(modality: Modality) -> tuple[Detector, Claims]:
        from detectors.claims.choice import better
        from neurons.verdicts.judging import open_chosen

        detector, claims = open_chosen(name, modality, device)
        if name is None and (rows := better(modality)):
            names = ", ".join(row.name for row in rows)
            print(
                f"{detector.name} answers; better ones can be fetched with `assay fetch NAME`: {names}", file=sys.stderr
            )
        return detector, claims

    return opened


def _from(start: int, progress: Callable[[int], None]) -> Callable[[int], None]:
    """The progress of one file, whose steps come after `start` others."""
    return lambda step: progress(start + step)


def _fail(failed: Sequence[Mapping[str, Any]], count: int, *, told: bool) -> None:
    """Raises MediaUnreadable when a file could not be read; each reason is told once."""
    if len(failed) == 1:
        raise MediaUnreadable(f"{failed[0]['file']}: {failed[0]['error']}")
    for each in () if told else failed:
        print(printable(f"{each['file']}: {each['error']}"), file=sys.stderr)
    if failed:
        raise MediaUnreadable(f"{len(failed)} of {count} files could not be read")


@dataclass
class _Work:
    """Files one after another: what is said of each is in `found`."""

    clips: VideoDecoder
    opened: Opened
    out: Path | None
    trust: Path | None
    page: bool
    found: list[Found] = field(default_factory=list)

    def sections(
        self, files: Sequence[Path], steps: int, progress: Callable[[int], None], *, json: bool
    ) -> Iterator[str]:
        """What a page says of each of `files`, where there is one; then the file is told, as text or `json`.

        All that is known is out before the next file is looked at: who breaks off has it.
        """
        for number, file in enumerate(files):
            section = self._look_at(file, _from(steps * number, progress))
            if section:
                yield section
            if json:
                print("[" if number == 0 else ", ", jsonlib.dumps(self.found[-1]), sep="", end="", flush=True)
            else:
                _say(self.found[-1])
            progress(steps * (number + 1))
        if json:
            print("]")

    def _look_at(self, file: Path, progress: Callable[[int], None]) -> str:
        """One more file, and its section; one that cannot be read gets its reason under "error", and has none."""
        from neurons.provenance.evidence import evidence
        from neurons.verdicts.files import decoded, load, several_in
        from neurons.verdicts.judging import explain, explains, judge_by

        try:
            data = load(file)
            given = decoded(data, self.clips, file.suffix)
            judged = judge_by(self.opened, str(file), given, several=several_in(data))
            clues = evidence(data, given, self.trust)
        except MediaError as error:
            self.found.append({"file": str(file), "error": str(error)})
            return ""
        found = {**judged.found, "evidence": [clue.to_json() for clue in clues]}
        explained = None
        if (self.out is not None and judged.views) or (self.page and explains(judged)):
            explained = explain(judged, progress)
            found |= explained.found
        if self.out is not None and explained is not None:
            found = _write(file, judged, explained, found, self.out)
        self.found.append(found)
        if not self.page:
            return ""
        from neurons.web.report.page import Report, section

        return section(Report(file.name, judged, explained, clues), len(self.found))


def _write_page(path: Path | None, sections: Iterator[str], count: int) -> None:
    """Have all `sections` made, and write each to a page as soon as it is; none begins a page of nothing."""
    first = next(sections, None)
    if path is None or first is None:
        return
    from neurons.web.report.page import alone

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for piece in alone(chain([first], sections), count):
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                error.filename = os.fspath(path)  # a write to a full disk names none
                raise


def _write(file: Path, judged: Judged, explained: Explained, found: Found, out: Path) -> Found:
    """Write PNG and JSON below `out`; `found` with the place of the picture."""
    from detectors.calibration import Verdict
    from detectors.explain.maps import explainable
    from detectors.explain.picture import draw
    from subnet.game.sampling import derive

    out.mkdir(parents=True, exist_ok=True)
    stem = out / f"{file.stem[:LONGEST]}-{derive(os.path.abspath(file)) % 16**6:06x}-{judged.detector.name}"
    calibration = explainable(judged.detector).detector.calibration
    png = draw(
        printable(file.name),
        found["p_synthetic"],
        calibration,
        explained.heat,
        judged.moments,
        gain=explained.test.gain,
        verdict=Verdict(found["verdict"]),
    )
    stem.with_name(stem.name + ".png").write_bytes(png)
    found = {**found, "heat_map": f"{stem}.png"}
    stem.with_name(stem.name + ".json").write_text(jsonlib.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def _table(found: Sequence[Mapping[str, Any]]) -> None:
    judged = [each for each in found if "error" not in each]
    table = Table(Column("file", overflow="fold"), "verdict", "P(synthetic)", "its parts", "detector", box=None)
    for each in judged:
        verdict = f"[{COLOURS[each['verdict']]}]{each['verdict']}[/]"
        known = each["p_synthetic"] is not None
        numbers = (f"{each['p_synthetic']:.3f}", "{:.3f} .. {:.3f}".format(*each["spread"])) if known else ("", "")
        table.add_row(Text(printable(each["file"])), verdict, *numbers, each["detector"])
    if judged:
        terminal().print(table)


def _say(each: Mapping[str, Any]) -> None:
    """What is known of one file."""
    from detectors.explain.account import lines

    if "error" in each:
        return
    print(printable(f"{each['file']}: {each['verdict']}: {each['reason']}"), flush=True)
    if part := each.get("hottest"):
        left, top, width, height = part["box"]
        place = f"{part['place']} ({width}x{height} at {left},{top})"
        print(printable(f"{each['file']}: most synthetic at the {place}: {part['p_synthetic']:.3f}"))
    if "seen" in each:
        text = "{}: {frames} frames between {from} s and {to} s of {duration} s"
        print(printable(text.format(each["file"], **each["seen"])))
    for clue in each["evidence"]:
        if clue["state"] == "found":
            print(printable(f"{each['file']}: {clue['name']}: {clue['says']}"))
    if "heat_map" in each:
        for line in lines(each):
            print(printable(f"{each['file']}: {line}"))
        print(printable(f"explained: {each['heat_map']}"))
