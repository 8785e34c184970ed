"""Finished parts of a journal: the same chain, a fraction of the bytes, and nothing lost at any moment."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.errors import StateError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.entries.segments import find_in_segment, list_segments, read_segment, write_segment
from subnet.evidence.journal import Journal
from subnet.evidence.state import StateStore
from subnet.files import size_of
from tests.unit.subnet.evidence.journals import play


@given(
    st.lists(st.tuples(st.sampled_from(["fact", "round"]), st.text()), min_size=1, max_size=20), st.integers(1, 9**9)
)
def test_a_segment_reads_back_to_the_last_letter(quick: Path, texts: list[tuple[str, str]], first: int) -> None:
    """Whatever stands in an entry, line ends, quotes and every script included."""
    bodies = [json.dumps({"text": text}, ensure_ascii=False) for _, text in texts]
    entries = [Entry(first + n, texts[n][0], body, f"{n:064x}") for n, body in enumerate(bodies)]
    folder = Path(tempfile.mkdtemp(dir=quick))
    try:
        segment = write_segment(folder, entries)
    except UnicodeEncodeError:  # half a surrogate pair is no text, and no JSON of ours has one
        return
    assert list(read_segment(segment)) == entries
    assert [find_in_segment(segment, entry.seq) for entry in entries] == entries
    assert find_in_segment(segment, first - 1) is find_in_segment(segment, first + len(entries)) is None
    assert list_segments(folder) == [segment]


def test_packing_holds_one_entry_at_a_time(tmp_path: Path) -> None:
    """Four MB of text take what bzip2 itself needs, 11 MB: what threads free of more, a process keeps."""
    text = random.Random(1).randbytes(20_000).hex()
    entries = (Entry(n, "round", f'{{"n": {n}, "text": "{text}"}}', f"{n:064x}") for n in range(1, 101))
    tracemalloc.start()
    try:
        segment = write_segment(tmp_path, entries)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (segment.first, segment.last) == (1, 100)
    assert peak < 12_000_000, peak


def test_the_live_file_stays_small_and_the_chain_whole(tmp_path: Path) -> None:
    """However many rounds: the chain is the same as without segments, the live file is bounded, the rest is packed."""
    plain = Journal(tmp_path / "plain" / "journal.db", segment_bytes=10**9)
    packed = Journal(tmp_path / "packed" / "journal.db", segment_bytes=20_000)
    sizes = []
    for journal in (plain, packed):
        store = StateStore(journal)
        for _ in range(40):
            play(store, 10)
            journal.finish_segment()
            if journal is packed:
                sizes.append((tmp_path / "packed" / "journal.db").stat().st_size)
    assert list(plain.entries()) == list(packed.entries())
    assert sizes[-1] == max(sizes[10:]) < 120_000
    text = sum(len(entry.body) for entry in plain.entries())
    assert size_of(tmp_path / "packed" / "segments") < text / 4
    plain.close()
    packed.close()


WRITER = """
import sys
from pathlib import Path
from subnet.evidence.journal import Journal
journal = Journal(Path(sys.argv[1]), segment_bytes=3000)
while True:
    body = '{"n": %d, "text": "%s"}' % (journal.length, "x" * 300)
    entry = journal.append("fact", body, b"state %d" % (journal.length + 1))
    if entry.seq % 7 == 0:
        journal.finish_segment()
    print(entry.seq, flush=True)
"""


def test_kill_9_while_parts_are_moved_loses_nothing(tmp_path: Path) -> None:
    """After kill -9 at many moments every acknowledged entry is there once, in order, and the writer goes on."""
    path, length = tmp_path / "journal.db", 0
    for moment in range(8):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        acknowledged = [int(process.stdout.readline()) for _ in range(20 + 3 * moment)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1] if line.strip()]
        process.wait()
        process.stdout.close()
        journal = Journal(path, segment_bytes=3000)
        entries = list(journal.entries())
        assert [json.loads(entry.body)["n"] for entry in entries] == list(range(journal.length))
        assert journal.length >= acknowledged[-1] > length
        length = journal.length
        journal.close()
    assert len(list_segments(tmp_path / "segments")) > 10


def test_a_segment_whose_rows_were_not_dropped_costs_nothing(tmp_path: Path) -> None:
    """As a crash between the two leaves it: entries are read once, and the next try finishes what was begun."""
    journal = Journal(tmp_path / "journal.db", segment_bytes=2000)
    play(StateStore(journal), 20)
    entries = list(journal.entries())
    write_segment(tmp_path / "segments", entries[:3])
    assert list(journal.entries()) == entries
    while journal.finish_segment():
        pass
    assert list(journal.entries()) == entries
    journal.close()


def test_a_folder_of_segments_that_cannot_be_is_told(tmp_path: Path) -> None:
    """The entries stay in the live file, and the journal is written on."""
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "journal.db", tmp_path / "nowhere", segment_bytes=2000)
    play(StateStore(journal), 20)
    journal.segments = tmp_path / "file" / "segments"
    with pytest.raises(StateError, match="segments"):
        journal.finish_segment()
    journal.segments = tmp_path / "segments"
    assert journal.length == 20
    assert journal.finish_segment() is not None
    assert len(list(journal.entries())) == 20
    journal.close()
