"""Bytes of strangers become well-formed entries, or a ValueError of a few words; nothing else is ever raised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from subnet.errors import JournalBroken
from subnet.evidence import records
from subnet.evidence.entries.entry import Entry, link
from subnet.evidence.entries.lines import MAX_LINE, read_line, split_lines, write_line
from subnet.evidence.replay import Replayer

HASH = "0" * 64
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
DEEP = "[" * 300_000
KINDS = {
    "round": records.RoundRecord,
    "weights": records.WeightsRecord,
    "departed": records.DepartedRecord,
    "rules": records.RulesRecord,
    "snapshot": records.SnapshotRecord,
    "setting": records.SettingRecord,
    "commitment": records.CommitmentRecord,
}


@pytest.mark.parametrize(
    "body",
    [
        '{"void": "nobody was heard", "label": 1, "void": ""}',
        '{"rows": [{"uid": 1}, {"uid": 1, "u\\u0069d": 2}]}',
        '{"": 1, "a": {"b": [{"": 1, "": 1}]}, "c": ' + "9" * 4000 + "}",
    ],
)
def test_nothing_has_two_values(body: str) -> None:
    """Readers differ in which of two counts, at any depth and however the name is written."""
    with pytest.raises(ValueError, match="^the body of entry 5 holds an object that names something twice$"):
        read_line(json.dumps([5, "round", body, HASH]).encode())


@given(JSON | st.tuples(JSON, JSON, JSON, JSON))
@example(["5", "round", "{}", HASH])
@example([5.0, "round", "{}", HASH])
@example([True, "round", "{}", HASH])
@example([10**400, "round", "{}", HASH])
@example([5, ["round"], "{}", HASH])
@example([5, "\ud800", "{}", HASH])
@example([5, "round", "[]", HASH])
@example([5, "round", "\ud800", HASH])
@example([5, "round", '{"a":' + DEEP, HASH])
@example([5, "round", "{}", HASH[1:] + "\n"])
@example([5, "round", "{}", HASH, 1])
@example("abcd")
def test_any_json_is_an_entry_or_an_error(row: object) -> None:
    """Strict types: what reads is a number from 1, a short word, an object and a hash."""
    try:
        entry = read_line(json.dumps(row).encode())
    except ValueError:
        with pytest.raises(ValueError, match="^[ -~]{1,300}$"):
            read_line(json.dumps(row).encode())
        return
    assert (type(entry.seq), type(entry.kind), type(entry.hash)) == (int, str, str)
    assert isinstance(json.loads(entry.body), dict)


@given(st.binary(max_size=50))
@example(DEEP.encode())
@example(b"")
@example(b" " * (MAX_LINE + 1))
def test_any_bytes_are_an_error(line: bytes) -> None:
    """No text that is short enough to be drawn holds a hash."""
    with pytest.raises(ValueError, match="a line is"):
        read_line(line)


@given(st.dictionaries(st.text(), st.text(), max_size=3), st.integers(1, 2**63 - 1))
@example({"\u2028": "\u0085\x1e\x0c"}, 1)
def test_an_entry_is_written_and_read(body: dict[str, str], seq: int) -> None:
    """Also with what other readers take for the end of a line."""
    entry = Entry(seq, "round", json.dumps(body, ensure_ascii=False), HASH)
    line = write_line(entry)
    assert list(map(read_line, split_lines([line.encode()], 10**6))) == [entry]


@given(st.binary(max_size=60), st.integers(1, 7))
def test_lines_are_those_of_the_whole_text(text: bytes, size: int) -> None:
    """Wherever its chunks end."""
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    lines = text.split(b"\n")
    assert list(split_lines(chunks, len(text))) == (lines if lines[-1] else lines[:-1])


def test_a_bomb_is_refused_before_it_is_held() -> None:
    """Text without end: too much of it, or too long a line, and no chunk more is asked for."""
    taken = 0

    def endless(chunk: bytes) -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += len(chunk)
            yield chunk

    with pytest.raises(ValueError, match="a line is longer than"):
        list(split_lines(endless(b"x" * 2**16), 2**40))
    assert taken <= MAX_LINE + 2**17
    taken = 0
    with pytest.raises(ValueError, match="more than 1,000,000 bytes"):
        sum(1 for _ in split_lines(endless(b"\n" * 2**16), 1_000_000))
    assert taken <= 1_000_000 + 2**16


NUMBERS = (-1, -7, 0, 1, 5, 2**53, 2**64, 10**30, 10**400, -(2**200), 1e308, -1e308, 5e-324, -0.0, 0.5)
WORDS = ("", "abc", "0xzz", "0x\u0663\u0663", "\x1b[2J", "\u2028", "ok")
SHAPES: tuple[object, ...] = (None, True, [], [5], {}, {"a": 5}, [[[]]], float("nan"), float("inf"))
ODD = st.sampled_from((*NUMBERS, *WORDS, *SHAPES)) | JSON


@given(st.data())
def test_a_body_of_odd_values_is_a_finding_or_plain(data: st.DataObject) -> None:
    """Fields of the right names and any values: whoever replays it meets them, and raises nothing."""
    player = Replayer()
    seq, previous = 0, HASH
    for kind in data.draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=4)):
        fields = KINDS[kind].model_fields
        body = json.dumps({name: data.draw(ODD) for name in fields if name != "state"})
        try:
            entry = read_line(json.dumps([seq + 1, kind, body, link(previous, kind, body)]).encode())
        except ValueError:
            return
        seq, previous = entry.seq, entry.hash
        player.take(entry)
        with suppress(JournalBroken):
            records.read_record(KINDS[kind], entry)
    player.end()
