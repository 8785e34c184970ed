"""What else a detector can say for its answer, beside where it looked: members' shares, the known item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from detectors.cluster.elsewhere import Elsewhere
from detectors.ensemble.stack import Ensemble
from detectors.retrieval.index import Index
from detectors.torch_detector import TorchDetector
from subnet.protocols import Detector
from subnet.types import Media


def account(detector: Detector, media: Media) -> dict[str, Any]:
    """For a stack the `shares` of its members; for an index what is `known`, None for an unknown picture; else {}."""
    if isinstance(detector, Elsewhere):
        return dict(detector.account(media))
    if isinstance(detector, Ensemble):
        return {"shares": [asdict(share) for share in detector.shares(media)]}
    if isinstance(detector, TorchDetector) and isinstance(detector.network, Index):
        (match,) = detector.network.matches(detector.views(media))
        return {"known": match and {**asdict(match), "label": match.label.name.lower()}}
    return {}


def lines(found: Mapping[str, Any]) -> list[str]:
    """The same for people, a line each."""
    told = [
        f"share of {share['member']}: {share['contribution']:+.2f} (it says {share['log_odds']:+.2f})"
        for share in found.get("shares", [])
    ]
    if "known" in found:
        form = "known: {name}, {label}, by {by} ({bits} bits, {similarity:.3f})"
        told.append(form.format(**found["known"]) if found["known"] else "known: no")
    return told
