"""Whether media and models work here: a clip is decoded and written, a picture judged, weights are whole."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from neurons.doctor.machine import Finding, Health
from subnet.errors import SubnetError
from subnet.media import embedded
from subnet.types import Modality

AGAIN = "install Assay again"
# What a library of another version, a broken build or a missing one raises where it is used.
UNFIT = (ImportError, AttributeError, TypeError, ValueError, RuntimeError, OSError)


def video() -> Iterator[Finding]:
    """A clip is decoded, written as H.264, and decoded in a child process, as miners decode what strangers send."""
    fix = "install the versions that Assay was tested with: pip install -r requirements.lock"
    yield _tried("video", _decode, "a clip cannot be decoded and written here", fix)


def _decode() -> str:
    from importlib import metadata

    from subnet.codec import image as codec
    from subnet.codec.sandbox import VideoDecoder

    clip = codec.decode_video(embedded.path(embedded.items(Modality.VIDEO)[0]).read_bytes())
    with VideoDecoder() as decoder:
        count = len(decoder.decode(codec.encode_video(clip, 23)).frames)
    return f"{count} frames decoded, written and decoded again by PyAV {metadata.version('av')}"


def judging(name: str = "npr") -> Iterator[Finding]:
    """A photograph that ships is judged by a detector that ships."""
    yield _tried("judging", lambda: _judge(name), f"{name} cannot judge a picture here", AGAIN)


def _judge(name: str) -> str:
    from detectors import load_detector
    from subnet.codec import image as codec

    photo = codec.decode_image(embedded.path(embedded.items(Modality.IMAGE)[0]).read_bytes())
    (answer,) = load_detector(name).predict([codec.normalise(photo, None)])
    if not (math.isfinite(answer.p_synthetic) and 0 <= answer.p_synthetic <= 1):
        raise ValueError(f"the answer is {answer.p_synthetic}")
    return f"{name} judged a photograph: P(synthetic) {answer.p_synthetic:.3f}"


def _tried(check: str, work: Callable[[], str], trouble: str, fix: str) -> Finding:
    """What `work` says of its success, or why it failed."""
    try:
        return Finding(check, Health.OK, work())
    except (SubnetError, *UNFIT) as error:
        return Finding(check, Health.FAIL, f"{trouble}: {type(error).__name__}: {error}", fix)


def embedded_set() -> Iterator[Finding]:
    """Every file of the embedded photos and clips is the one that was indexed."""
    count, bad = len(embedded.items()), embedded.verify()
    if bad:
        found = f"{len(bad)} of {count} files are damaged: {_few(bad)}"
        yield Finding("embedded set", Health.FAIL, found, AGAIN)
    else:
        yield Finding("embedded set", Health.OK, f"{count} files as indexed")


def detectors(folder: Path | None = None) -> Iterator[Finding]:
    """The weights that ship, file by file: there, and the bytes that were pinned."""
    from detectors import TABLE
    from detectors.checkpoints import HERE

    users: dict[str, list[str]] = defaultdict(list)
    pins: dict[str, str] = {}
    for row in TABLE.values():
        if row.weights:
            users[row.weights].append(row.name)
            pins[row.weights] = row.sha256 or pins.get(row.weights, "")
    wrong, missing = _compare(folder or HERE, pins)
    parts = [f"{file} of {', '.join(users[file])} is damaged" for file in wrong]
    parts += [f"{file} of {', '.join(users[file])} is missing" for file in missing]
    if wrong:
        yield Finding("detectors", Health.FAIL, "; ".join(parts), AGAIN)
    elif missing:
        fix = f"train them: assay train {users[missing[0]][0]} --data embedded:train"
        yield Finding("detectors", Health.WARN, "; ".join(parts), fix)
    else:
        names = ", ".join(name for each in users.values() for name in each)
        yield Finding("detectors", Health.OK, f"{len(users)} files of weights as pinned, of {names}")


def generators(folder: Path | None = None) -> Iterator[Finding]:
    """The weights of the generators that ship are those of `SHA256SUMS` beside them, tensors and all."""
    import generators as package

    folder = folder or Path(package.__file__).parent / "weights"
    try:
        lines = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
        pins = {name: pin for pin, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        yield Finding("generators", Health.FAIL, f"no list of weights: {error}", AGAIN)
        return
    wrong, missing = _compare(folder, pins)
    parts = ([f"damaged: {_few(wrong)}"] if wrong else []) + ([f"missing: {_few(missing)}"] if missing else [])
    if parts:
        yield Finding("generators", Health.FAIL, "; ".join(parts), AGAIN)
    else:
        yield Finding("generators", Health.OK, f"{len(pins)} files as pinned")


def _compare(folder: Path, pins: dict[str, str]) -> tuple[list[str], list[str]]:
    """Names of files that are not the bytes of their sha256 ("" takes any), and of those that are not there."""
    wrong, missing = [], []
    for name, pin in pins.items():
        try:
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except FileNotFoundError:
            missing.append(name)
            continue
        except OSError:
            digest = "unreadable"
        if pin and digest != pin:
            wrong.append(name)
    return wrong, missing


def _few(names: list[str], count: int = 5) -> str:
    return ", ".join(names[:count]) + (" ..." if len(names) > count else "")
