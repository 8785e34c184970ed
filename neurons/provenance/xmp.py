"""What a packet of XMP says of how a picture was made: IPTC's digital source type, and tools that are named.

XML of strangers: a document type, which entities would come from, ends the reading. Sources: ISO 16684-1; IPTC Photo
Metadata Standard 2023.2, "Digital Source Type", and the vocabulary at cv.iptc.org/newscodes/digitalsourcetype.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from neurons.provenance.clue import Clue, State, told

_SOURCE: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/ DigitalSourceType"
_NAMED: Final = {
    _SOURCE: "DigitalSourceType",
    "http://ns.adobe.com/xap/1.0/ CreatorTool": "CreatorTool",
    "http://ns.adobe.com/photoshop/1.0/ Credit": "Credit",
    "http://ns.adobe.com/xap/1.0/sType/ResourceEvent# softwareAgent": "softwareAgent",
    "http://purl.org/dc/terms/ provenance": "provenance",
}
_RDF_RESOURCE: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns# resource"
_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16
_MOST: Final = 64  # values
_DEEPEST: Final = 64
_PROVES: Final = (
    "Makers and agencies write this by agreement, and nothing signs it: it can be written, changed or removed by "
    "anybody, and most files have none."
)
MEANINGS: Final = {  # by the last part of the term's address
    "trainedAlgorithmicMedia": "made by a trained model",
    "compositeWithTrainedAlgorithmicMedia": "with parts made by a trained model",
    "algorithmicMedia": "made by an algorithm that was not trained",
    "compositeSynthetic": "put together with synthetic parts",
    "digitalCapture": "taken by a digital camera",
    "computationalCapture": "taken by a camera that computes its pictures from several",
    "compositeCapture": "put together from captured pictures",
    "humanEdits": "changed by a person",
    "minorHumanEdits": "changed slightly by a person",
    "algorithmicallyEnhanced": "improved by an algorithm",
    "digitalArt": "drawn by a person with digital tools",
    "digitalCreation": "made by a person with digital tools",
    "dataDrivenMedia": "drawn from data",
    "screenCapture": "taken from a screen",
    "virtualRecording": "recorded from a virtual event",
    "negativeFilm": "digitised from a negative",
    "positiveFilm": "digitised from a positive",
    "print": "digitised from a print",
    "composite": "put together from several parts",
}
BY_MODEL: Final = frozenset(("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"))


class _Packet:
    """Values of the fields that are looked for, as attributes or as elements."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._text: list[str] = []

    def parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.StartDoctypeDeclHandler = _refuse
        return parser

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _DEEPEST:
            raise ValueError("the packet is too deep")
        self._open.append(name)
        self._text.clear()
        for key, value in attributes.items():
            self._keep(name if key == _RDF_RESOURCE else key, value)

    def _end(self, name: str) -> None:
        self._keep(name, "".join(self._text))
        self._text.clear()
        self._open.pop()

    def _keep(self, name: str, value: str) -> None:
        if name in _NAMED and value.strip() and len(self.found) < _MOST:
            self.found.append((_NAMED[name], value.strip()))


def _refuse(*_: object) -> None:
    raise ValueError("a document type is not taken")


def fields(packet: bytes) -> tuple[tuple[str, str], ...] | None:
    """Fields of a packet that tell how a picture was made; None for one that cannot be read."""
    if not packet.strip(b"\0 \r\n\t"):
        return ()
    reader = _Packet()
    try:
        reader.parser().Parse(packet if packet[:2] in _MARKS else packet.strip(b"\0"), True)
    except (expat.ExpatError, ValueError):
        return None
    return tuple(reader.found)


def source_type(found: tuple[tuple[str, str], ...] | None) -> Clue:
    """IPTC's digital source type among `fields`."""
    name = "digital source type"
    if found is None:
        return Clue(name, State.NOT_READ, "The XMP packet is damaged, or not of a kind that is read.", _PROVES)
    terms = [told(value.rstrip("/").rpartition("/")[2]) for key, value in found if key == "DigitalSourceType"]
    if not terms:
        return Clue(name, State.NOTHING, "No IPTC digital source type is given.", _PROVES)
    said = "; ".join(dict.fromkeys(MEANINGS.get(term, "a term that is not known here") for term in terms))
    facts = tuple(("DigitalSourceType", term) for term in terms)
    return Clue(name, State.FOUND, f"IPTC digital source type: {said}.", _PROVES, facts)
