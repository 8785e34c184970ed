"""IPTC's digital source type in XMP, written as attribute, element or resource, and packets that mean harm."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PIL import PngImagePlugin

from neurons.provenance.clue import State
from neurons.provenance.metadata import metadata
from neurons.provenance.xmp import fields, source_type
from tests.unit.neurons.provenance.pictures import photograph, saved

TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
HEAD = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
)
TAIL = "</rdf:RDF></x:xmpmeta>"


def attribute(term: str = TERM) -> bytes:
    return f'{HEAD} e:DigitalSourceType="{term}" xmp:CreatorTool="Tool &amp; Co"/>{TAIL}'.encode()


def element(term: str = TERM) -> bytes:
    return f"{HEAD}><e:DigitalSourceType>{term}</e:DigitalSourceType></rdf:Description>{TAIL}".encode()


def resource(term: str = TERM) -> bytes:
    return f'{HEAD}><e:DigitalSourceType rdf:resource="{term}"/></rdf:Description>{TAIL}'.encode()


@pytest.mark.parametrize("packet", [attribute(), element(), resource(), attribute().decode().encode("utf-16")])
def test_a_trained_model_is_told(packet: bytes) -> None:
    """In every way of writing it."""
    clue = source_type(fields(packet))
    assert clue.state is State.FOUND
    assert "made by a trained model" in clue.says
    assert ("DigitalSourceType", "trainedAlgorithmicMedia") in clue.facts


def as_text() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", attribute().decode())
    return info


HOW: dict[str, Callable[[], dict[str, object]]] = {
    "JPEG": lambda: {"xmp": attribute()},
    "WEBP": lambda: {"xmp": attribute()},
    "PNG": lambda: {"pnginfo": as_text()},
    "TIFF": lambda: {"tiffinfo": {700: attribute()}},
}


@pytest.mark.parametrize("format", HOW)
def test_the_packet_is_found_in_files(format: str) -> None:
    """As programs put it into each format."""
    data = saved(photograph()[:64, :64], format, **HOW[format]())
    assert source_type(fields(metadata(data).xmp)).state is State.FOUND


def test_other_terms_and_none() -> None:
    """A camera's term is told as one, an unknown term as unknown, and nothing as nothing."""
    assert "taken by a digital camera" in source_type(fields(attribute("x/digitalCapture"))).says
    assert "not known here" in source_type(fields(attribute("x/whatever"))).says
    assert source_type(fields(b"")).state is State.NOTHING
    assert source_type(fields(f"{HEAD}/>{TAIL}".encode())).state is State.NOTHING
    assert ("CreatorTool", "Tool & Co") in (fields(attribute()) or ())


BOMB = '<!DOCTYPE a [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12)
)


@pytest.mark.parametrize(
    "packet",
    [
        f"{BOMB}]><a>&m;</a>".encode(),
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>').encode("utf-16"),
        b"<a>" * 100_000,
        attribute()[:200],
        b"\xff\xfe\x00",
        b"not xml at all",
    ],
)
def test_packets_that_mean_harm_are_not_read(packet: bytes) -> None:
    """No entity is expanded, no file is opened, no depth is followed: the clue says that it was not read."""
    assert fields(packet) is None
    assert source_type(fields(packet)).state is State.NOT_READ


def test_many_values_are_bounded() -> None:
    """A packet of ten thousand values keeps some."""
    many = f"{HEAD}>" + f"<e:DigitalSourceType>{TERM}</e:DigitalSourceType>" * 10_000 + f"</rdf:Description>{TAIL}"
    assert len(fields(many.encode()) or ()) == 64
