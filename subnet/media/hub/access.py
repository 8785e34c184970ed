"""Where the hub is and who we are there, by the variables and files that the hub's own programs read.

Source: the page on environment variables of huggingface_hub 1.x (HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HOME,
XDG_CACHE_HOME, HF_HUB_DISABLE_IMPLICIT_TOKEN).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from subnet.errors import SettingsError

ENDPOINT = "https://huggingface.co"
_YES = {"1", "on", "yes", "true"}


@dataclass(frozen=True)
class Access:
    """An endpoint, and the token that goes to it and nowhere else; None asks as a stranger."""

    endpoint: str = ENDPOINT
    token: str | None = field(default=None, repr=False)


STRANGER = Access()


def read_access(variables: Mapping[str, str]) -> Access:
    """Access by `variables`. Raises SettingsError for an endpoint that is no web address."""
    endpoint = variables.get("HF_ENDPOINT", "").strip().rstrip("/") or ENDPOINT
    address = urlsplit(endpoint)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise SettingsError(f"HF_ENDPOINT must begin with https:// or http:// and name a host, not {endpoint!r}")
    return Access(endpoint, _token(variables))


def _token(variables: Mapping[str, str]) -> str | None:
    """The token of a variable, else of the file that `hf auth login` writes."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if given := variables.get(name, "").strip():
            return given
    if variables.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").strip().lower() in _YES:
        return None
    path = variables.get("HF_TOKEN_PATH") or f"{_home(variables)}/token"
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None  # no file, or none that we may read: public sets need none


def _home(variables: Mapping[str, str]) -> str:
    cache = variables.get("XDG_CACHE_HOME") or "~/.cache"
    return variables.get("HF_HOME") or f"{cache}/huggingface"
