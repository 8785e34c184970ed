"""The shape of the project: which way imports point, what may be imported where, how long pages are."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.places import ROOT

PACKAGES = ("neurons", "subnet", "detectors", "generators")
ALLOWED = {
    "neurons": {"neurons", "detectors", "generators", "subnet"},
    "detectors": {"detectors", "subnet"},
    "generators": {"generators", "subnet"},
    "subnet": {"subnet"},
}
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FOLDERS = sorted({path.parent for path in FILES})
SPEAKERS = sorted([*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
# Folders and files of each package by floors, lowest first: each imports from lower floors only. Those of the lowest
# floor may know each other.
FLOORS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "subnet": (
        ("types", "errors", "files", "lifetime", "printing", "confined"),
        ("registry", "protocols"),
        ("codec", "chain"),
        ("game", "wire"),
        ("evidence", "media"),
    ),
    "detectors": (
        ("rows", "dataset", "calibration", "resampling", "pixels", "tensor_files", "first_filters"),
        ("catalog", "heads", "families", "checkpoints", "preprocess", "baselines", "whole_picture"),
        ("torch_detector", "public_checkpoints", "backbones", "fetching"),
        ("training", "loading"),
        (
            "npr",
            "ucf",
            "tall",
            "camo",
            "patchwise",
            "segment",
            "spectral",
            "vit_cam",
            "retrieval",
            "ensemble",
            "hub",
            "autoencoder",
            "cnn_svm",
            "field_recipes",
        ),
        ("towers",),
        ("temporal",),
        ("evaluation",),
        ("cluster",),
        ("acceleration",),
        ("claims",),
        ("explain",),
        ("studies",),
    ),
    "generators": (
        ("rows", "library_errors"),
        ("capability", "cluster"),
        ("catalog",),
        ("embedded", "prompts"),
        ("stylegan",),
        ("training",),
    ),
    "neurons": (
        ("settings", "signals", "progress", "secrets", "naming", "plan", "sources", "terminal", "cli"),
        ("log", "__main__", "ray_cluster", "provenance"),
        ("cluster",),
        ("chain_view", "hotkey_lock", "lab", "producer", "verdicts"),
        ("datasets", "miner", "validator", "web"),
        ("recipes", "doctor"),
        ("commands", "localnet", "replicas"),
        ("gateway",),
    ),
}
NOT_IN_THE_GAME = {"sqlite3", "socket", "aiohttp", "fastapi"}
MAX_MODULES = 14
MAX_LINES = 350
MAX_FUNCTION = 40  # lines of a body, without its docstring
MAX_CAUGHT = 3
_DECODING = "what a library raises for damaged bytes, and it documents no common base"
_DRIVER = "what the library's loaders raise for files of strangers, and it documents no common base"
_CLIENT = "what parameters of any shape from a client can raise"
# Files with `except` of more than three types, how many, and why.
WIDE: Mapping[str, tuple[int, str]] = {
    "subnet/media/pool/kept.py": (1, "the header of a stranger's item may be of any shape"),
    "neurons/provenance/metadata.py": (2, "what Pillow raises for metadata of strangers has no common base"),
    "neurons/doctor/media.py": (1, "whatever a library of another version raises is a finding"),
    "subnet/chain/bittensor.py": (4, "the SDK's errors for wires and runtimes have no common base"),
    "subnet/chain/wallets.py": (1, "the SDK's errors for wallets have no common base"),
    "subnet/chain/devnode/node/rpc.py": (1, _CLIENT),
    "subnet/chain/devnode/runtime/extrinsics.py": (1, _CLIENT),
    "subnet/codec/image.py": (3, _DECODING),
    "subnet/codec/sandbox.py": (1, "a child process under attack may end its pipe at any byte"),
    "subnet/codec/video.py": (1, _DECODING),
    "subnet/media/hub/archives.py": (1, _DECODING),
    "subnet/media/hub/parquet_child.py": (1, _DECODING),
    "detectors/acceleration/session.py": (1, "onnxruntime's errors have no common base"),
    "detectors/checkpoints.py": (1, _DECODING),
    "detectors/hub/repository.py": (2, "what transformers raises for configurations of strangers has no common base"),
    "detectors/public_checkpoints.py": (2, "tensors of strangers' shapes build networks of any size"),
    "detectors/tensor_files.py": (2, _DECODING),
    "generators/catalog/pipelines.py": (1, _DRIVER),
    "generators/catalog/round_trip.py": (1, _DRIVER),
    "generators/library_errors.py": (1, _DRIVER),
    "generators/stylegan/loading.py": (1, _DECODING),
}
TARGET = re.compile(r"(?:neurons|subnet|detectors|generators|tests|benchmarks)(?:\.\w+)+:[A-Za-z_]\w*")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> tuple[tuple[str, int], ...]:
    """Every module that a file imports anywhere, with the line; a name imported from a module is appended to it."""
    pairs = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            pairs += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: imports are absolute"
            pairs += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return tuple(pairs)


def file_of(module: str) -> Path | None:
    """The file of a module of the project, or of the folder that it names."""
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def files_imported_by(path: Path) -> set[Path]:
    """Files of the four packages that `path` imports, itself not among them."""
    files = set()
    for module, _ in imports(path):
        if module.split(".")[0] in PACKAGES:
            file = file_of(module) or file_of(module.rpartition(".")[0])
            assert file, f"{name_of(path)} imports {module}, which is not there"
            files.add(file)
    return files - {path}


def place_of(path: Path) -> str:
    """The folder that a file lies in; a file at the top of a package stands for itself."""
    package, *rest = path.relative_to(ROOT).parts
    return f"{package}/{rest[0]}" if len(rest) == 1 else name_of(path.parent)


def test_imports_point_one_way() -> None:
    """neurons -> {detectors, generators} -> subnet, never sideways or back."""
    offences = []
    for path in FILES:
        allowed = ALLOWED[path.relative_to(ROOT).parts[0]]
        for module, line in imports(path):
            top = module.split(".")[0]
            if top in PACKAGES and top not in allowed:
                offences.append(f"{name_of(path)}:{line} imports {module}")
    assert offences == []


def is_at_home(module: str, where: str) -> bool:
    """Whether a file may import a heavy library: torch, diffusers and the SDK client have rooms of their own."""
    top = module.split(".", maxsplit=1)[0]
    if top in {"torch", "timm"}:
        return where.startswith(("detectors/", "generators/")) or where == "neurons/settings.py"
    if top == "diffusers":
        return where.startswith("generators/")
    if top == "bittensor" and not module.startswith("bittensor.http_auth"):
        return where.startswith("subnet/chain/")
    return True


def test_heavy_libraries_stay_in_their_rooms() -> None:
    """torch under detectors and generators, diffusers under generators, the SDK client under subnet/chain."""
    offences = [
        f"{name_of(path)}:{line} imports {module}"
        for path in FILES
        for module, line in imports(path)
        if not is_at_home(module, name_of(path))
    ]
    assert offences == []


def package_and_place(path: Path) -> tuple[str, str]:
    package, place = path.relative_to(ROOT).parts[:2]
    return package, place.removesuffix(".py")


def test_rooms_stand_on_floors() -> None:
    """A folder or file of a package imports lower floors of it only; what lies on the lowest may know each other."""
    offences = []
    for path in FILES:
        package, place = package_and_place(path)
        floor = {name: number for number, names in enumerate(FLOORS[package]) for name in names}
        if place == "__init__":
            continue
        assert place in floor, f"{package}/{place} is on no floor: give it one in FLOORS"
        for other in files_imported_by(path):
            other_package, name = package_and_place(other)
            if other_package != package or name in (place, "__init__"):
                continue
            if not (floor[name] < floor[place] or floor[place] == floor[name] == 0):
                offences.append(f"{name_of(path)} imports {name_of(other)}, which is not below it")
    assert offences == []


def cycle_in(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_cycles_between_files_nor_between_folders() -> None:
    """What is imported never imports back, by whatever way: neither a file nor a folder."""
    files = {name_of(path): {name_of(other) for other in files_imported_by(path)} for path in FILES}
    assert cycle_in(files) == []
    places: dict[str, set[str]] = {place_of(path): set() for path in FILES}
    for path in FILES:
        places[place_of(path)] |= {place_of(other) for other in files_imported_by(path)} - {place_of(path)}
    assert cycle_in(places) == []


def test_a_cycle_is_noticed() -> None:
    """The check above can fail: a way back of two steps is a cycle, a way by two sides is not."""
    assert set(cycle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
    assert cycle_in({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}}) == []


def test_the_game_touches_nothing() -> None:
    """The rules know no database, no socket, no server."""
    game = [path for path in FILES if path.is_relative_to(ROOT / "subnet" / "game")]
    imported = {module.split(".")[0] for path in game for module, _ in imports(path)}
    assert game
    assert imported & NOT_IN_THE_GAME == set()


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function of a file with the lines of its body, its docstring left out."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield node.name, (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_pages_are_short() -> None:
    """Modules of at most 350 lines, bodies of functions of at most 40 without their docstrings."""
    lengths = {name_of(path): path.read_text().count("\n") for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}
    bodies = {f"{name_of(path)} {name}": lines for path in FILES for name, lines in functions(path)}
    assert {name: lines for name, lines in bodies.items() if lines > MAX_FUNCTION} == {}


def test_every_module_says_what_it_is() -> None:
    """Each module opens with a docstring."""
    assert [name_of(path) for path in FILES if not ast.get_docstring(tree_of(path))] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_folders_are_rooms(folder: Path) -> None:
    """A folder holds at most 14 modules of its own, and a sentence in its `__init__.py` says what belongs there."""
    modules = list(folder.glob("*.py"))
    assert len(modules) <= MAX_MODULES, f"{name_of(folder)} holds {len(modules)} modules: give them rooms"
    front = folder / "__init__.py"
    assert front in modules, f"{name_of(folder)} has no __init__.py"
    sentence = (ast.get_docstring(tree_of(front)) or "").split("\n\n")[0]
    assert len(sentence.split()) >= 4, f"{name_of(front)} does not say what belongs there"
    assert sentence.endswith((".", ":")), f"{name_of(front)} does not begin with a sentence"


def definition(path: Path, name: str) -> ast.expr | None:
    """What `name` is assigned at the top of a file, or of the file it is imported from."""
    for node in tree_of(path).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return node.value
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            return node.value
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
            origin = file_of(node.module or "")
            return definition(origin, name) if origin else None
    return None


def types_caught(path: Path, caught: ast.expr) -> int:
    """How many types an `except` names, tuples that have a name of their own counted through."""
    if isinstance(caught, ast.Tuple):
        return sum(types_caught(path, element) for element in caught.elts)
    if isinstance(caught, ast.Starred):
        return types_caught(path, caught.value)
    value = definition(path, caught.id) if isinstance(caught, ast.Name) else None
    return types_caught(path, value) if isinstance(value, ast.Tuple) else 1


def handlers(path: Path) -> Iterator[ast.ExceptHandler]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ExceptHandler))


def test_excepts_are_narrow() -> None:
    """An `except` of more than three types is a broad one in disguise, but for a list of places with a reason each."""
    offences = []
    for path in FILES:
        wide = [node.lineno for node in handlers(path) if node.type and types_caught(path, node.type) > MAX_CAUGHT]
        if len(wide) != WIDE.get(name_of(path), (0, ""))[0]:  # one that was narrowed leaves the list
            offences.append(
                f"{name_of(path)}: {len(wide)} excepts of more than {MAX_CAUGHT} types, lines {sorted(wide)}"
            )
    assert offences == []
    assert [name for name in WIDE if not (ROOT / name).is_file()] == []


def is_broad(caught: ast.expr | None) -> bool:
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(n is None or (isinstance(n, ast.Name) and n.id in ("Exception", "BaseException")) for n in names)


def test_one_broad_except() -> None:
    """Only the validator's loop catches everything."""
    broad = [name_of(path) for path in FILES for node in handlers(path) if is_broad(node.type)]
    assert broad == ["neurons/validator/loop.py"]


def names_in(path: Path) -> set[str]:
    """Names that a module has at its top: definitions, assignments and imports."""
    names: set[str] = set()
    for node in tree_of(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {child.id for target in targets for child in ast.walk(target) if isinstance(child, ast.Name)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return names


def resolves(module: str, name: str) -> bool:
    path = file_of(module)
    return path is not None and name in names_in(path)


def targets() -> Iterator[tuple[str, str]]:
    """Every "package.module:name" written as text, with where it stands."""
    for path in SPEAKERS:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and TARGET.fullmatch(node.value):
                yield f"{name_of(path)}:{node.lineno}", node.value
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for target in project["project"]["scripts"].values():
        yield "pyproject.toml", target
    for dotted in project["tool"]["ruff"]["lint"]["flake8-bugbear"]["extend-immutable-calls"]:
        yield "pyproject.toml", ":".join(dotted.rsplit(".", 1))


def test_targets_written_as_text_resolve() -> None:
    """Tables name factories by text, so that listing them imports nothing: each module is there and has that name."""
    written = list(targets())
    assert len(written) > 60
    assert [f"{where}: {target}" for where, target in written if not resolves(*target.split(":"))] == []


def test_importing_the_core_is_light() -> None:
    """Importing every module of the core, the programs' table included, loads neither torch nor the SDK."""
    heavy = "{'torch', 'diffusers', 'transformers', 'bittensor'}"
    code = f"import sys, neurons.cli, detectors, subnet.game.step, subnet.evidence.journal; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"
