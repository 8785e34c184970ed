"""What a model library raises comes out as one kind of error."""

from __future__ import annotations

import numpy as np
import pytest

import generators
from generators.embedded.twins import PictureTwin
from generators.library_errors import LIBRARY_ERRORS, first_line, typed_errors
from generators.rows import GeneratorRow, Task
from subnet.errors import GenerationError, SettingsError, SourceEmpty, SubnetError
from subnet.types import JSON, Frames, Label, Media, Modality, Provenance, Sample


@pytest.mark.parametrize("kind", [*LIBRARY_ERRORS, KeyError, IndexError, NotImplementedError, ZeroDivisionError])
def test_errors_of_a_library_become_generation_errors(kind: type[Exception]) -> None:
    """The subject leads, the first line of the message follows, and the cause is kept."""
    with pytest.raises(GenerationError, match=r"^'sdxl': .*bad size") as caught, typed_errors("'sdxl'"):
        raise kind("\n bad size \n at line 3")
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize("error", [SettingsError("no card"), SourceEmpty("no photos"), GenerationError("black")])
def test_our_own_errors_pass(error: SubnetError) -> None:
    """SettingsError is a ValueError, too: it stays what it is."""
    with pytest.raises(type(error)) as caught, typed_errors("'sdxl'"):
        raise error
    assert caught.value is error


def test_an_error_without_words_has_its_name() -> None:
    """`raise MemoryError` says nothing; its kind does."""
    assert first_line(MemoryError()) == "MemoryError"


class Breaking(PictureTwin):
    """A generator whose library gives up in the middle."""

    def draw_again(self, frames: Frames, seed: int, drawn: dict[str, JSON]) -> Frames:
        raise RuntimeError("CUDA error: device-side assert triggered")


def test_makers_raise_typed_errors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table's row that does not load, and a generator that breaks at work, both raise GenerationError."""
    row = GeneratorRow("breaking", Modality.IMAGE, Task.RECONSTRUCT, "json:loads", embedded=True)
    monkeypatch.setitem(generators.TABLE, "breaking", row)
    with pytest.raises(GenerationError, match="'breaking' does not load"):
        generators.load_generator("breaking")
    loaded = generators.load_generator("ae-nearest")
    assert isinstance(loaded, PictureTwin)
    broken = Breaking(loaded.row, loaded.model, weights=loaded.weights)
    real = Sample(Media(np.zeros((1, 64, 64, 3), np.uint8)), Label.REAL, Provenance("photos", "1"))
    with pytest.raises(GenerationError, match="ae-nearest: CUDA error"):
        broken.reconstruct(real, np.random.default_rng(0))
