"""Who made a file and under which licence: read from the ledgers that packages carry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath
from urllib.parse import unquote

from subnet.media.embedded.package import Package

# Spellings of licences in the ledgers, in lower case, and how the index writes them.
_SPDX = {
    "bsd-3-clause-google": "BSD-3-Clause",
    "cc0": "CC0-1.0",
    "gplv2+": "GPL-2+",
    "gplv3": "GPL-3",
    "public domain": "public domain",
}


@dataclass(frozen=True)
class Credit:
    """What must be said of a file: title, author, licence (SPDX-like) and where it comes from."""

    title: str
    author: str
    licence: str
    origin: str


# Files that the GCompris READMEs spell differently from the files themselves.
_MISSPELT = {"germany/audaPalatina.webp": "germany/aulaPalatina.webp", "screDriver.webp": "screwDriver.webp"}


@dataclass(frozen=True)
class _Stanza:
    """One paragraph of a ledger: glob patterns of files and their rights."""

    files: tuple[str, ...]
    author: str
    licence: str
    source: str


def ledger(package: Package, members: Mapping[str, bytes]) -> Callable[[str], Credit]:
    """A function from a member's name to its credit, by its READMEs or `copyright`, and the package's metadata.

    A GCompris README speaks for exactly the files beside it (the package's `copyright` is older than its pictures);
    in any other Debian `copyright` the last matching paragraph holds. What is not known is the empty string.
    """
    readmes: dict[str, _Stanza] = {}
    fallback: list[_Stanza] = []
    for name, data in members.items():
        kind, folder = PurePosixPath(name).name, PurePosixPath(name).parent
        if kind == "README" and package.name == "gcompris-qt-data":
            for stanza in _stanzas(data.decode()):
                readmes.update({str(folder / _MISSPELT.get(file, file)): stanza for file in stanza.files})
        elif kind == "copyright" and package.name != "gcompris-qt-data":
            fallback.extend(_stanzas(data.decode()))

    def credit(member: str) -> Credit:
        stanza = readmes.get(member) or _last_match(fallback, member)
        source = stanza.source if stanza else ""
        return Credit(
            title=_title(member, source),
            author=package.author or (stanza.author if stanza else ""),
            licence=package.licence or (stanza.licence if stanza else ""),
            origin="; ".join(filter(None, (source, f"{package.registry} {package.name} {package.version}, {member}"))),
        )

    return credit


def _last_match(stanzas: list[_Stanza], member: str) -> _Stanza | None:
    matching = [stanza for stanza in stanzas for pattern in stanza.files if _matches(pattern, member)]
    return matching[-1] if matching else None


def _matches(pattern: str, member: str) -> bool:
    """Ledgers name paths of the source package; a binary package has the same file in another folder.

    So `*` stands for everything, `folder/*` for all below any folder of that name, and else the file's name decides.
    """
    if pattern == "*" or pattern.endswith("/*"):
        return fnmatch(f"/{member}", pattern if pattern == "*" else f"*/{pattern}")
    return fnmatch(PurePosixPath(member).name, PurePosixPath(pattern).name)


def _stanzas(text: str) -> Iterator[_Stanza]:
    """Paragraphs `Copyright:`, `Source:`, `License:`, `Files:` in any order, values going on over indented lines.

    A bare line after `Files:` is one more file, as the GCompris READMEs write it.
    """
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, list[str]] = {}
        current = ""
        for line in paragraph.splitlines():
            key, colon, value = line.strip().partition(":")
            if colon and key in ("Copyright", "Source", "License", "Licence", "Files", "Comment", "Comments"):
                current = key.replace("Licence", "License")
                fields.setdefault(current, []).append(value.strip())
            elif current:
                fields[current].append(line.strip())
        if "Files" in fields and "License" in fields:
            yield _Stanza(
                files=tuple(" ".join(fields["Files"]).split()),
                author=_author(fields.get("Copyright", [""])),
                licence=_licence(fields["License"][0]),
                source=fields.get("Source", [""])[0],
            )


def _author(lines: list[str]) -> str:
    """The holders, without years, signs and addresses."""
    names = [re.sub(r"<[^>]*>|\(c\)|©|´|\b(19|20)\d\d\b[-,.]?", "", line) for line in lines]
    return "; ".join(filter(None, (re.sub(r"\s+", " ", name).strip(" ,.-") for name in names)))


def _licence(text: str) -> str:
    text = re.sub(r"^(CC-BY(?:-SA)?) (\d)", r"\1-\2", text.strip())
    return _SPDX.get(text.lower(), text)


def _title(member: str, source: str) -> str:
    """The picture's own title on Wikimedia Commons where it comes from there, else its file name in words."""
    name = unquote(source.rsplit("File:", 1)[1]) if "File:" in source else PurePosixPath(member).name
    return re.sub(r"[_\s]+", " ", name.rsplit(".", 1)[0]).strip()
