"""Content Credentials (C2PA): a signed account of how a file was made, read by c2pa-python in a process of its own.

The reader is native code over bytes of strangers, so that it runs with bounds on memory, processor time and files, and
nothing is fetched: no manifest from elsewhere, no certificate's status. Source: C2PA specification 2.2, chapters 10
(manifests), 14 (trust), 15 (validation), 18 (actions).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from neurons.provenance import credentials_child
from neurons.provenance.clue import Clue, State, told
from neurons.provenance.xmp import BY_MODEL, MEANINGS
from subnet.confined import ask

SECONDS: Final = 30.0
MOST_FACTS: Final = 24
NAME: Final = "content credentials"
FIX: Final = "pip install 'assay-subnet[provenance]'"
_MARK: Final = b"c2pa"  # the label of every manifest store
_MOST_ANSWER: Final = 4 * 2**20  # bytes
_PROVES: Final = (
    "A signature that holds shows that this file is what its signer signed and nothing was changed since, and not that "
    "the account in it is true: the signer vouches for it. Credentials are easily removed, so that none prove nothing."
)
_NONE: Final = Clue(NAME, State.NOTHING, "The file has no Content Credentials.", _PROVES)
_SAYS: Final = {
    "Trusted": "Signed by somebody on the trust list that was given, and unchanged since.",
    "Valid": "Signed, and unchanged since; who signed is on no trust list that was given, so that it may be anybody.",
    "Invalid": "There is a manifest, and it does not hold: the file was changed since, or the signature is not sound.",
}


def credentials(data: bytes, kind: str, trust: Path | None = None) -> Clue:
    """The manifest of a file of media type `kind`. `trust` are certificates in PEM of authorities that are trusted."""
    if _MARK not in data:
        return _NONE
    if find_spec("c2pa") is None:
        return Clue(NAME, State.NOT_READ, f"The file has some, and nothing here reads them: {FIX}.", _PROVES)
    found = _asked(data, kind, trust)
    if found is None:
        return Clue(NAME, State.NOT_READ, "The file has some that cannot be read within the bounds here.", _PROVES)
    if "error" in found:
        damaged = "The file has some that are damaged, or not of a kind that is read."
        return _NONE if found["error"] == credentials_child.NONE else Clue(NAME, State.NOT_READ, damaged, _PROVES)
    return _clue(found)


def _asked(data: bytes, kind: str, trust: Path | None) -> Mapping[str, Any] | None:
    """What the child says; None where it says nothing in time."""
    words = [kind, *([os.fspath(trust.absolute())] if trust else [])]
    answer = ask(credentials_child.__name__, words, data, SECONDS)
    try:
        found = json.loads(answer[1][:_MOST_ANSWER]) if answer and answer[0] == 0 else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _clue(store: Mapping[str, Any]) -> Clue:
    manifests = _part(store, "manifests")
    active = _part(manifests, str(store.get("active_manifest")))
    state = str(store.get("validation_state"))
    kinds = tuple(dict.fromkeys(kind for manifest in manifests.values() for kind in _sources(manifest)))
    says = _SAYS.get(state, _SAYS["Invalid"])
    if made := [MEANINGS[kind] for kind in kinds if kind in BY_MODEL]:
        says += f" Its account says: {'; '.join(made)}."
    facts = (("validation", told(state)), *_signer(active), *_tools(active))
    facts += tuple(("digital source type", told(kind)) for kind in kinds)
    facts += tuple(("action", told(action)) for action in dict.fromkeys(_actions(active)))
    facts += tuple(("finding", told(code)) for code in _codes(store))
    return Clue(NAME, State.FOUND, says, _PROVES, facts[:MOST_FACTS])


def _signer(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    signature = _part(manifest, "signature_info")
    for key in ("common_name", "issuer", "time"):
        if signature.get(key):
            yield f"signature: {key.replace('_', ' ')}", told(str(signature[key]))


def _tools(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The programs that wrote the claim."""
    for each in _list(manifest, "claim_generator_info"):
        name = " ".join(str(each[key]) for key in ("name", "version") if each.get(key))
        if name:
            yield "written by", told(name)
    if manifest.get("claim_generator"):
        yield "written by", told(str(manifest["claim_generator"]))


def _each_action(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for assertion in _list(manifest, "assertions"):
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            yield from _list(_part(assertion, "data"), "actions")


def _actions(manifest: Mapping[str, Any]) -> Iterator[str]:
    return (str(each["action"]) for each in _each_action(manifest) if each.get("action"))


def _sources(manifest: Mapping[str, Any]) -> Iterator[str]:
    for each in _each_action(manifest):
        if each.get("digitalSourceType"):
            yield str(each["digitalSourceType"]).rstrip("/").rpartition("/")[2]


def _codes(store: Mapping[str, Any]) -> Iterator[str]:
    return (str(each["code"]) for each in _list(store, "validation_status") if each.get("code"))


def _part(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def _list(values: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = values.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
