"""`assay publish`: finished epochs of a validator's journal, for strangers to check."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neurons.settings import KEPT, Json
from subnet.errors import SettingsError


def publish(
    journal: Path,
    dest: str,
    *,
    segments: Path | None = None,
    media: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Publish finished epochs of a validator's journal; a later run adds what has been finished since.

    An epoch is finished once its secret is revealed on chain. Nothing that was published is written anew.

    Parameters
    ----------
    journal
        The file journal.db of a validator, running or not.
    dest
        A folder, or an address that fsspec knows, such as s3://bucket/path or hf://datasets/me/evidence.
    segments
        Folder of the journal's finished parts; by default the one beside it.
    media
        Publish what was asked, too, as far as it is kept: without it nobody can prove what each miner was sent. Look
        at the licences of your sources first.
    """
    from neurons.commands.evidence.journal import open_journal
    from subnet.evidence.proof.depot import Depot
    from subnet.evidence.proof.depot import publish as write
    from subnet.evidence.records import RULES, RulesRecord, read_record
    from subnet.media.pool.kept import Kept

    kept = Kept(journal.parent / KEPT, 0, 0)
    with open_journal(journal, segments) as reader:
        first = next(reader.entries(RULES), None)
        if first is None:
            raise SettingsError(f"{journal} names no rules: play some rounds with this version first")
        rules = read_record(RulesRecord, first)
        manifest, new = write(Depot(dest), reader.entries(), rules, kept.read if media else None)
        length = reader.length
    if json:
        facts = {"parts": len(manifest.parts), "new": new, "last": manifest.last, "media": len(manifest.media)}
        print(jsonlib.dumps({**facts, "entries": length}))
        return
    held = length - manifest.last
    print(f"{new} new parts in {dest}, which holds entries 1-{manifest.last} and {len(manifest.media)} media")
    if held:
        print(f"{held} entries wait for the end of their epoch")
