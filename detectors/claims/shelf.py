"""Cards on disk: beside the weights that ship, under the row's name, and beside any other file of weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detectors import TABLE
from detectors.checkpoints import HERE, read, sha256_of
from detectors.claims.card import Card, from_json, to_json
from detectors.claims.density import Density, read_density, write_density
from subnet.errors import CheckpointError
from subnet.files import write_atomically
from subnet.protocols import Detector

CARD, DENSITY = ".claims.json", ".density.safetensors"


@dataclass(frozen=True, eq=False)
class Claims:
    """A card, and the density of features that belongs to it (None: these weights have no features, or no reach)."""

    card: Card
    density: Density | None = None


def place(text: str, detector: Detector) -> Path:
    """Where the card of the detector that a person called `text` lies, without its suffix.

    Beside the file of weights that was named; else in detectors/weights under the detector's name.
    """
    file = weights_file(text, detector)
    return HERE / detector.name if file is None or file.parent == HERE else file.with_suffix("")


def trained_on(path: Path) -> tuple[str, ...]:
    """Origins of the items that a file of weights was trained on, as its metadata tell; a stack's are its members'."""
    notes = read(path).notes
    members = [TABLE[str(each.get("detector"))] for each in notes.get("members", ()) if each.get("detector") in TABLE]
    inner = [name for row in members if row.weights for name in trained_on(HERE / row.weights)]
    return tuple(sorted({*map(str, notes.get("origins", ())), *inner}))


def weights_file(text: str, detector: Detector) -> Path | None:
    """The file of weights of the detector that a person called `text`; None for one without, or of several."""
    spec, row = Path(text.partition("=")[2] or text).expanduser(), TABLE.get(text)
    if row is not None:
        return HERE / row.weights if row.weights else None
    return spec if spec.is_file() else None


def read_card(path: Path) -> Card | None:
    """None where there is no such file. Raises CheckpointError for one that is no card."""
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError) as error:
        raise CheckpointError(
            f"claims: {path} is no card of weights ({error}): remove it, or write it again"
        ) from error


def claims_of(text: str, detector: Detector) -> Claims:
    """What is known of the detector that a person called `text`: an empty card where nothing was measured.

    Raises CheckpointError for a card that is damaged, or that is of other weights than these.
    """
    stem = place(text, detector)
    path = stem.with_name(stem.name + CARD)
    card = read_card(path)
    if card is None:
        return Claims(Card(detector.name, detector.weights_hash))
    if card.weights != detector.weights_hash:
        if stem.parent == HERE:  # weights of one's own under the name of a row
            return Claims(Card(detector.name, detector.weights_hash))
        raise CheckpointError(
            f"claims: {path} is of weights {card.weights[:12]}..., and these are {detector.weights_hash[:12]}...: "
            "remove it, or write it again with `assay claim`"
        )
    return Claims(card, _density(stem, card))


def _density(stem: Path, card: Card) -> Density | None:
    if card.reach is None or not card.reach.density:
        return None
    path = stem.with_name(stem.name + DENSITY)
    density = read_density(path)
    if sha256_of(path) != card.reach.density:
        raise CheckpointError(f"claims: {path} is not the file that the card beside it names: write both again")
    return density


def keep_density(stem: Path, density: Density) -> str:
    """Write the density beside the weights; returns its sha256."""
    path = stem.with_name(stem.name + DENSITY)
    write_density(path, density)
    return sha256_of(path)


def keep(stem: Path, card: Card) -> Path:
    """Write the card beside the weights."""
    path = stem.with_name(stem.name + CARD)
    write_atomically(path, to_json(card).encode())
    return path
