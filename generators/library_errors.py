"""The door to model libraries: whatever they raise becomes a GenerationError, so that no model can stop a producer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from subnet.errors import GenerationError, SubnetError

# What torch, diffusers and transformers raise is part of no contract: a size that does not fit, a file that is cut
# off, a package that is missing, a step beyond the schedule. The only list of its kind in this package.
LIBRARY_ERRORS = (ArithmeticError, ImportError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)


@contextmanager
def typed_errors(subject: str) -> Iterator[None]:
    """Inside, errors of a library are raised as GenerationError, led by `subject`; our own pass as they are."""
    try:
        yield
    except SubnetError:
        raise
    except LIBRARY_ERRORS as error:
        raise GenerationError(f"{subject}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return next((line for line in map(str.strip, str(error).splitlines()) if line), type(error).__name__)
