"""CAMO: gates, routes and the combination of experts."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from detectors import TABLE
from detectors.calibration import Calibration
from detectors.camo.configuration import CONFIGURATION, Configuration, Expert, configuration
from detectors.camo.content_gates import GATES, KINDS, Content, Region, face, features, fit
from detectors.camo.mixture import Blend, Camo, camo
from detectors.camo.training import fit_blends, train_camo
from detectors.checkpoints import Checkpoint, read, write
from detectors.npr.network import NPR
from detectors.rows import Preprocess
from detectors.training.loop import Training
from detectors.training.validation_set import Examples
from detectors.ucf.network import UCF
from subnet.codec import image as codec
from subnet.errors import CheckpointError, DataError, SettingsError, UnknownName
from subnet.media import embedded
from subnet.types import Media, Modality, Split
from tests.unit.detectors.folders import photos, write_images

EXPERTS = {"general": "npr", "ucf": "ucf", "creatures": "npr", "scenes": "npr"}
SMALL = Preprocess(size=64)  # the experts see little, so that they answer at once
ALWAYS = [("general", "none"), ("ucf", "none")]


def flat(shares: dict[str, float]) -> dict[str, float]:
    return {name: shares.get(name, 0.0) for name in KINDS}


def content(**biases: float) -> Content:
    """A classifier that looks at nothing: its answer is its bias."""
    count = len(features(np.zeros((256, 256, 3), dtype=np.uint8)))
    bias = np.array([biases.get(name, 0.0) for name in KINDS], dtype=np.float32)
    ones = np.ones(count, dtype=np.float32)
    return Content(np.zeros((len(KINDS), count), dtype=np.float32), bias, ones * 0, ones)


def save(path: Path, gate: Content, blends: dict[str, list[float]] | None = None) -> Path:
    """A mixture of untrained experts."""
    state = {}
    for number, (name, family) in enumerate(EXPERTS.items()):
        torch.manual_seed(number)
        network = NPR() if family == "npr" else UCF(width=0.0625, least=8)
        state |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    state |= {f"gate.{key}": torch.from_numpy(getattr(gate, key)) for key in ("weight", "bias", "mean", "scale")}
    notes = {
        "detector": "camo",
        "blends": {"ucf": [0.5, 0.0, 0.0]} | (blends or {"creatures": [0.5, 0.5, 0.1], "scenes": [0.0, 2.0, -0.1]}),
        "calibrations": {name: Calibration(2.0, 0.5).to_json() for name in EXPERTS},
        "preprocesses": {name: asdict(SMALL) for name in EXPERTS},
    }
    write(path, state, preprocess=SMALL, notes=notes)
    return path


def loaded(path: Path, **given: Path) -> Camo:
    return camo(TABLE["camo"], weights=path, **given)  # type: ignore[arg-type]


def picture(seed: int = 0, side: int = 256) -> Media:
    return Media(np.random.default_rng(seed).integers(0, 256, (1, side, side, 3), dtype=np.uint8))


def test_the_face_gate_finds_a_face() -> None:
    """A portrait opens the gate at the face, on the grid of 16 pixels; noise and a plain wall do not."""
    portrait = codec.normalise(Media(data.astronaut()[None]), None).frames[0]
    region = face(portrait, {})
    assert region is not None
    assert region.top < 60 < region.bottom
    assert region.left < 112 < region.right
    assert all(edge % 16 == 0 for edge in (region.top, region.bottom, region.left, region.right))
    assert face(picture().frames[0], {}) is None
    assert face(np.full((256, 256, 3), 200, dtype=np.uint8), {}) is None
    assert face(portrait[:20, :20], {}) is None


def test_content_gates_open_on_likely_content() -> None:
    """A content gate opens, with the whole picture, at half of the shares; `none` is always open."""
    frame = picture().frames[0]
    assert GATES["scene"].find(frame, flat({"scene": 0.3, "texture": 0.25})) == Region(0, 256, 0, 256)
    assert GATES["scene"].find(frame, flat({"scene": 0.3})) is None
    assert GATES["animal"].find(frame, flat({"animal": 0.9})) is not None
    assert GATES["person"].find(frame, flat({"animal": 0.9})) is None
    assert GATES["none"].find(frame, flat({})) is not None


def test_shares_sum_to_one_and_are_learnt() -> None:
    """On the photographs it learnt from the classifier is right far more often than by chance (one in five)."""
    items = embedded.items(Modality.IMAGE, Split.TRAIN)[::4]
    frames = [codec.normalise(codec.decode_image(embedded.path(item).read_bytes()), None).frames[0] for item in items]
    learnt = fit(frames, [item.category for item in items])
    shares = [learnt.shares(frame) for frame in frames]
    assert all(sum(share.values()) == pytest.approx(1.0) for share in shares)
    from detectors.camo.content_gates import KIND_OF

    right = [
        max(share, key=lambda name: share[name]) == KIND_OF[item.category]
        for share, item in zip(shares, items, strict=True)
    ]
    assert np.mean(right) > 0.6


@pytest.mark.parametrize("size", [(1, 1), (40, 300), (257, 255), (1024, 64), (8, 60_000)])
def test_features_of_any_size(size: tuple[int, int]) -> None:
    """Pictures of any size give the same number of finite features, a thin one without memory for its square."""
    values = features(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    assert values.shape == features(picture().frames[0]).shape
    assert np.isfinite(values).all()


def test_the_general_expert_always_runs(tmp_path: Path) -> None:
    """It comes first on every route, whatever else opens; where no other has a say its own calibrated answer stands."""
    path = save(tmp_path / "camo.safetensors", content(object=9.0))
    mixture = loaded(path)
    routes = mixture.routes(picture())
    assert [(route.expert, route.gate) for route in routes] == ALWAYS
    assert mixture.predict([picture()]) == mixture.general.predict([picture()])
    busy = loaded(save(tmp_path / "busy.safetensors", content(scene=9.0)))
    assert [(route.expert, route.gate) for route in busy.routes(picture())] == [*ALWAYS, ("scenes", "scene")]


def test_combination_is_the_fitted_blend(tmp_path: Path) -> None:
    """With one further expert to be heard the answer is its blend of both log-odds; who has no say changes nothing."""
    mixture = loaded(save(tmp_path / "camo.safetensors", content(animal=9.0)))
    general, silent, other = mixture.routes(picture())
    assert mixture.blends[silent.expert].expert == 0
    assert other.expert == "creatures"
    expected = 1 / (1 + np.exp(-(0.5 * general.logit + 0.5 * other.logit + 0.1)))
    assert mixture.predict([picture()])[0].p_synthetic == pytest.approx(expected)


# Which expert judges what by the rule of the original, for every pattern of the gates face, person, animal and scene.
JUDGES = {
    "....": ["general at none"],
    "...s": ["scenes at scene"],
    "..a.": ["creatures at animal"],
    "..as": ["creatures at animal", "scenes at scene"],
    ".p..": ["creatures at person"],
    ".p.s": ["creatures at person", "scenes at scene"],
    ".pa.": ["creatures at person", "creatures at animal"],
    ".pas": ["creatures at person", "creatures at animal", "scenes at scene"],
    "f...": ["creatures at face"],
    "f..s": ["creatures at face", "scenes at scene"],
    "f.a.": ["creatures at face", "creatures at animal"],
    "f.as": ["creatures at face", "creatures at animal", "scenes at scene"],
    "fp..": ["creatures at face", "creatures at person"],
    "fp.s": ["creatures at face", "creatures at person", "scenes at scene"],
    "fpa.": ["creatures at face", "creatures at person", "creatures at animal"],
    "fpas": ["creatures at face", "creatures at person", "creatures at animal", "scenes at scene"],
}
REGIONS = {
    "none": Region(0, 256, 0, 256),
    "face": Region(32, 160, 64, 192),
    "person": Region(0, 256, 48, 208),
    "animal": Region(96, 256, 0, 256),
    "scene": Region(0, 256, 0, 256),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Camo:
    """A mixture with the rule of the original."""
    folder = tmp_path_factory.mktemp("max")
    table = folder / "camo.toml"
    table.write_text(CONFIGURATION.read_text().replace('rule = "combine"', 'rule = "max"'))
    return loaded(save(folder / "camo.safetensors", content()), table=table)


@pytest.mark.parametrize("pattern", JUDGES)
def test_the_maximum_is_the_originals(pattern: str, original: Camo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every open gate's expert judges that gate's picture, the highest stands; without one the general expert does."""
    for gate, letter in (("face", "f"), ("person", "p"), ("animal", "a"), ("scene", "s")):
        region = REGIONS[gate] if letter in pattern else None
        row = replace(GATES[gate], find=lambda picture, shares, region=region: region)
        monkeypatch.setitem(GATES, gate, row)
    media = picture(7)
    judged = {}
    for each in JUDGES[pattern]:
        expert, _, gate = each.partition(" at ")
        part = Media(REGIONS[gate].cut(media.frames))
        judged[each] = original.experts[expert].predict([part])[0].p_synthetic
    assert [f"{route.expert} at {route.gate}" for route in original.routes(media)] == JUDGES[pattern]
    assert original.predict([media])[0].p_synthetic == pytest.approx(max(judged.values()), abs=1e-6)


def test_blends_are_fitted_whatever_the_rule(tmp_path: Path, original: Camo) -> None:
    """Training with the rule of the original fits the blends of the other one, as the file holds both."""
    draft = read(save(tmp_path / "camo.safetensors", content(scene=9.0)))
    media = [picture(seed, 64) for seed in range(16)]
    judged = Examples(media, [seed % 2 for seed in range(16)], [0] * 16, [""] * 16)
    checkpoint = Checkpoint("x", draft.state, "", draft.preprocess, None, draft.notes)
    assert fit_blends(original.configuration, checkpoint, judged) == fit_blends(configuration(), checkpoint, judged)


def test_a_batch_equals_one_by_one(tmp_path: Path) -> None:
    """Routing and combination of an item do not depend on its neighbours, and sizes may differ."""
    mixture = loaded(save(tmp_path / "camo.safetensors", content(scene=9.0)))
    batch = [picture(1), Media(np.zeros((1, 90, 300, 3), dtype=np.uint8)), picture(2)]
    together = [prediction.p_synthetic for prediction in mixture.predict(batch)]
    assert together == pytest.approx([mixture.predict([media])[0].p_synthetic for media in batch], abs=1e-5)


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("rule = ", SettingsError, "cannot be read as TOML"),
        ("rule = 'combine'", SettingsError, "KeyError 'experts'"),
        ("rule = 'mean'\n[[experts]]\nname='general'\ngates=['none']\ncategories=[]", SettingsError, "combine or max"),
        ("[[experts]]\nname='faces'\ngates=['face']\ncategories=[]", SettingsError, 'must be called "general"'),
        ("[[experts]]\nname='general'\ngates=['fase']\ncategories=[]", UnknownName, "did you mean face"),
        ("[[experts]]\nname='general'\ngates=['none']\ncategories=[]\nfamily='nrp'", UnknownName, "did you mean npr"),
    ],
)
def test_a_wrong_table_is_told(tmp_path: Path, text: str, error: type[Exception], told: str) -> None:
    """Every mistake in camo.toml is named."""
    (tmp_path / "camo.toml").write_text(text)
    with pytest.raises(error, match=told):
        configuration(tmp_path / "camo.toml")


def test_files_that_do_not_fit_the_table(tmp_path: Path) -> None:
    """A file without one of the experts, or without the gates' classifier, is refused with its name."""
    path = save(tmp_path / "camo.safetensors", content(), blends={"creatures": [1, 0, 0]})
    with pytest.raises(CheckpointError, match="'scenes' is missing"):
        loaded(path)
    write(tmp_path / "npr.safetensors", NPR().state_dict(), preprocess=Preprocess())
    with pytest.raises(CheckpointError, match=r"npr\.safetensors does not fit"):
        loaded(tmp_path / "npr.safetensors")


def test_blends_never_believe_the_wrong_way_round(tmp_path: Path) -> None:
    """An expert whose answers say nothing gets no say, and neither weight is ever negative."""
    draft = read(save(tmp_path / "camo.safetensors", content(scene=9.0)))
    media = [picture(seed, 64) for seed in range(16)]
    judged = Examples(media, [seed % 2 for seed in range(16)], [0] * 16, [""] * 16)
    blends = fit_blends(configuration(), Checkpoint("x", draft.state, "", draft.preprocess, None, draft.notes), judged)
    assert blends["creatures"] == Blend(0.5, 0.0, 0.5)
    assert blends["scenes"].general >= 0
    assert blends["scenes"].expert >= 0


def test_several_experts_weigh_the_same(tmp_path: Path) -> None:
    """The answer is the mean of the blends of those who have a say, in log-odds."""
    blends = {"ucf": [0.2, 0.7, 0.3], "scenes": [0.4, 0.6, -0.1]}
    blends["creatures"] = [1.0, 0.0, 0.0]
    mixture = loaded(save(tmp_path / "camo.safetensors", content(scene=9.0), blends))
    general, ucf, scenes = (route.logit for route in mixture.routes(picture()))
    told = (0.2 * general + 0.7 * ucf + 0.3 + 0.4 * general + 0.6 * scenes - 0.1) / 2
    assert mixture.predict([picture()])[0].p_synthetic == pytest.approx(1 / (1 + np.exp(-told)))


def test_weights_that_saw_everything_are_not_taken_where_something_is_left_out(tmp_path: Path) -> None:
    """Leaving a generator out needs an expert of another family that did not see it; an unknown expert is named."""
    write(tmp_path / "npr.safetensors", NPR().state_dict(), preprocess=Preprocess())
    given = Training(
        "camo", tmp_path, tmp_path / "camo.safetensors", init=tmp_path / "npr.safetensors", exclude=("ae-nearest",)
    )
    with pytest.raises(DataError, match="--expert ucf=FILE"):
        train_camo(given)
    with pytest.raises(DataError, match="not ufc"):
        train_camo(replace(given, experts=(("ufc", tmp_path / "x.safetensors"),)))


def test_an_expert_without_categories_is_taken_as_it_ships(tmp_path: Path) -> None:
    """Whatever its family: nothing is trained for it, and so it is refused where its weights may have seen too much."""
    write(tmp_path / "npr.safetensors", NPR().state_dict(), preprocess=Preprocess())
    given = Training("camo", tmp_path, tmp_path / "camo.safetensors", init=tmp_path / "npr.safetensors", exclude=("x",))
    for name in ("npr", "ucf"):
        table = Configuration("combine", (Expert("general", ("none",), ()), Expert("second", ("none",), (), name)))
        with pytest.raises(DataError, match="--expert second=FILE"):
            train_camo(given, table=table)


def test_what_the_classifier_lacks_is_told_before_an_expert_is_trained(tmp_path: Path) -> None:
    """A folder without embedded photographs, or without weights for the last expert: no file is written first."""
    write_images(tmp_path / "train", 4)
    index = tmp_path / "train" / "index.jsonl"
    index.write_text(index.read_text().replace('"item": "', '"item": "my-'))
    write(tmp_path / "npr.safetensors", NPR().state_dict(), preprocess=Preprocess())
    given = Training(
        "camo", tmp_path / "train", tmp_path / "out" / "camo.safetensors", init=tmp_path / "npr.safetensors"
    )
    with pytest.raises(DataError, match="no embedded photographs"):
        train_camo(given)
    learned, ships = Expert("first", ("none",), ("animal",)), Expert("last", ("none",), ())
    table = Configuration("combine", (Expert("general", ("none",), ()), learned, ships))
    with pytest.raises(DataError, match="--expert last=FILE"):
        train_camo(replace(given, exclude=("x",)), table=table)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_training_writes_a_mixture(tmp_path: Path) -> None:
    """Two experts with different training items, a classifier and blends come out as one file that loads."""
    names = {item.id: item.category for item in embedded.items(Modality.IMAGE)}
    assert {names[item] for item, _ in photos(40)} & {"animal", "person"}
    write_images(tmp_path / "train", 40, "train")
    write_images(tmp_path / "validation", 20, "validation")
    write(tmp_path / "npr.safetensors", NPR().state_dict(), preprocess=Preprocess())
    from detectors.training.batches import BatchPlan

    settings = Training(
        "camo", tmp_path / "train", tmp_path / "camo.safetensors", init=tmp_path / "npr.safetensors",
        steps=2, plan=BatchPlan(pairs=2, crop=32), validation_items=8,
    )  # fmt: skip
    outcome = train_camo(settings)
    mixture = loaded(outcome.weights)
    assert set(mixture.experts) == set(EXPERTS)
    first, second = (mixture.experts[name].network.state_dict()["fc1.weight"] for name in ("creatures", "scenes"))
    assert not torch.equal(first, second)
