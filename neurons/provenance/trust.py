"""Certificates of authorities whose Content Credentials are trusted, such as the C2PA trust list."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Final

from subnet.errors import SettingsError

_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def anchors(path: Path, flag: str = "--trust") -> str:
    """The certificates in a file in PEM (RFC 7468), without what stands between them.

    Raises SettingsError that names the `flag` for a file without any, or with one that is damaged.
    """
    fix = "name a file with certificates in PEM"
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise SettingsError(f"{flag} {path}: there is no such file; {fix}") from error
    except OSError as error:
        raise SettingsError(f"{flag} {path}: it cannot be read ({error.strerror}); {fix}") from error
    text = "\n".join(block.decode() for block in _BLOCK.findall(data))
    if not text or text.count("-----BEGIN") != data.count(b"-----BEGIN CERTIFICATE-----"):
        raise SettingsError(f"{flag} {path}: {'a certificate in it is damaged' if text else 'it has none'}; {fix}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"{flag} {path}: a certificate in it is damaged; {fix}") from error
    return text
