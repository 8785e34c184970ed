"""The study of networks, alone and below a support vector machine on their features, `assay study cnn-svm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from detectors.dataset.cuts import challenge_media, key_of
from detectors.dataset.items import DatasetItem, read_folder
from detectors.evaluation.evaluation import Evaluation, Task, evaluate, items
from detectors.evaluation.intervals import measure
from detectors.evaluation.metrics import Floats, Ints, accuracy, confusion, f1, mcc, precision, recall
from detectors.explain.deletion import deletion
from detectors.explain.maps import Explainable, heat_map
from detectors.explain.picture import overlay
from detectors.heads.head import Head
from detectors.studies.controls import CHANCE, against, always_synthetic
from detectors.studies.courses import Course, run_course
from detectors.studies.drawing import Panel, clouds, curves, matrices, sheet
from detectors.studies.report import Cell, Claim, Picture, StudyReport, StudySettings, Table, without
from detectors.torch_detector import TorchDetector
from detectors.training.fitting import enough_for_components, features
from detectors.training.loop import Training, select
from detectors.training.recipes import CNNS, recipe
from detectors.training.validation_set import Examples
from subnet.media.leak.roc import auc
from subnet.types import Label, Media, Modality

QUICK_STEPS, QUICK_ITEMS, QUICK_VALIDATION, VALIDATION = 30, 60, 40, 160
CUSTOM = ("plain", "residual", "separable")
METRICS = {"accuracy": accuracy, "precision": precision, "recall": recall, "F1": f1, "MCC": mcc, "AUC": auc}
SVM = " + SVM"
SHARES = (1, 2, 10, 50)  # components whose share of the variance the table tells


@dataclass(frozen=True)
class Network:
    """A network by itself and with the machine, and its features (N, F) of the test set's unaugmented pictures."""

    alone: Course
    svm: Course
    features: Floats

    @property
    def head(self) -> Head:
        """The scaler, components and machine that were fitted."""
        head = self.svm.detector.network.head
        if not isinstance(head, Head):
            raise TypeError(f"{self.svm.detector.name} has no fitted head")
        return head

    @property
    def projected(self) -> Floats:
        """The features on the principal components of the training data (N, 50)."""
        with torch.inference_mode():
            points: Floats = self.head.cpu().project(torch.from_numpy(self.features).float()).double().numpy()
        return points


_FACES = (
    "needs the study's faces (140k real and fake, with real-and-fake-face-detection, arranged as the preset `faces`)"
)
_DATA = "--data faces:faces"
CLAIMS = (
    Claim(
        "DenseNet-121 on 140k faces: accuracy 0.96, F1 0.96, best of three networks",
        f"{_FACES}, and weights of ImageNet",
        f"assay train cnn-densenet --size published --init densenet121.safetensors {_DATA} --out runs/densenet && "
        f"assay evaluate runs/densenet/cnn-densenet.safetensors {_DATA}",
    ),
    Claim(
        "VGGFace features, PCA and SVM",
        f"{_FACES}, and weights of VGGFace, which are for research only",
        f"assay train cnn_svm --init vgg_face.pth {_DATA} --out runs/vgg && "
        f"assay evaluate runs/vgg/cnn_svm.safetensors {_DATA}",
    ),
    Claim(
        "DenseNet-121 features, PCA and SVM",
        f"{_FACES}, and weights of ImageNet",
        f"assay train cnn_svm --init densenet121.safetensors {_DATA} --out runs/densenet-svm && "
        f"assay evaluate runs/densenet-svm/cnn_svm.safetensors {_DATA}",
    ),
    Claim("every network on the study's faces", _FACES, f"assay study cnn-svm {_DATA} --out runs/faces"),
)


def study(settings: StudySettings) -> StudyReport:
    """Train every network and its machine, measure them on the test set, and look at their features."""
    levels = (0, 2) if settings.quick else (0, 1, 2, 3)
    task = Task("the test set", settings.test, levels, QUICK_ITEMS if settings.quick else None, settings.seed)
    records = _checked(settings, task)
    media = [challenge_media(record, key_of(record, settings.test), settings.seed) for record in records]
    networks = {name.removeprefix("cnn-"): _network(settings, name, media) for name in CNNS}
    detectors = {name: network.alone.detector for name, network in networks.items()}
    detectors |= {f"{name}{SVM}": network.svm.detector for name, network in networks.items()}
    views = len(records) * len(levels)
    found = evaluate(
        list(detectors.values()), task, records, progress=lambda done: settings.stage("evaluation", done, views)
    )
    by_name = dict(zip(detectors, found, strict=True))
    best = max(CUSTOM, key=lambda name: networks[name].svm.result.auc)
    labels = np.array([int(record.label) for record in records])
    maps, faithful = _maps(networks, records, media, settings.seed)
    return StudyReport(
        "cnn-svm",
        "Five networks, alone and below a support vector machine on 50 principal components of their features.",
        {
            "performance": _performance(networks, by_name),
            "confusion": _confusion(by_name),
            "levels": _by("by_level", "AUC by level of augmentation", by_name, "level "),
            "generators": _by("by_generator", "AUC by generator", by_name, "", without(settings)),
            "variance": _variance(networks),
            "clusters": _clusters(networks, labels, settings.seed),
            "maps": faithful,
        },
        {
            "components": Picture(
                clouds({name: (network.projected, labels) for name, network in networks.items()}),
                "The test set on the first two principal components of each network's features.",
            ),
            "variance": Picture(_variance_curves(networks), "Variance of the test set's features by components."),
            "confusion": Picture(matrices(_matrices(by_name)), "Confusion matrices at 0.5, all levels together."),
            "maps": Picture(maps, "A real and a synthetic picture, and where each network's evidence of it lies."),
        },
        CLAIMS,
        {"best custom network": best, "items": len(records), "seed": settings.seed, "quick": str(settings.quick)},
    )


def _checked(settings: StudySettings, task: Task) -> list[DatasetItem]:
    """What is tested on. Raises DataError for items that nothing can be tested on, or no machine fitted on."""
    records = items(task, Modality.IMAGE, settings.tell)
    chosen, course = recipe("cnn_svm"), Training("cnn_svm", settings.train, settings.out, exclude=settings.left_out)
    enough_for_components(chosen, len(select(read_folder(settings.train), chosen, course)), course)
    return records


def _network(settings: StudySettings, name: str, media: Sequence[Media]) -> Network:
    steps = settings.steps or (QUICK_STEPS if settings.quick else None)
    shared = {"exclude": settings.left_out, "validation_items": QUICK_VALIDATION if settings.quick else VALIDATION}
    every = max(1, steps // 2) if steps else 100
    alone = run_course(settings, name, name, steps=steps, evaluate_every=every, **shared)
    svm = run_course(settings, f"{name} svm", "cnn_svm", init=alone.result.weights, **shared)
    count = len(media)
    found, _ = features(
        svm.detector,
        Examples(list(media), [], [], []),
        lambda done: settings.stage(f"{name} features", done, count),
    )
    return Network(alone, svm, found)


def _performance(networks: Mapping[str, Network], found: Mapping[str, Evaluation]) -> Table:
    rows: dict[str, Sequence[Cell]] = {}
    for name, each in found.items():
        given, network = each.answers, networks[name.removesuffix(SVM)]
        course = network.svm if name.endswith(SVM) else network.alone
        cells = [cell.to_json() for cell in measure(given.p, given.y, given.cluster, METRICS).values()]
        rows[name] = [*cells, course.result.auc, network.features.shape[1]]
    note = "Small sizes. Scaler, components and machine are fitted on the training set alone; calibrated on validation."
    given = always_synthetic(next(iter(found.values())).answers)
    control = [cell.to_json() for cell in measure(given.p, given.y, given.cluster, METRICS).values()]
    columns = (*METRICS, "validation AUC", "features")
    table = Table("Every network with and without the machine", columns, rows, note)
    return against(table, {"": [*control, CHANCE, None]}, ("accuracy", "AUC"))


def _by(key: str, title: str, found: Mapping[str, Evaluation], prefix: str, note: str = "") -> Table:
    kinds = tuple(next(iter(found.values())).findings[key])
    rows = {name: [each.findings[key][kind]["auc"] for kind in kinds] for name, each in found.items()}
    return Table(title, tuple(f"{prefix}{kind}" for kind in kinds), rows, note)


def explained(network: Network) -> Floats:
    """Share of the variance of the standardised test features along the first 1, 2, ... components (50,)."""
    head = network.head.cpu()
    standard = (network.features - head.mean.double().numpy()) / head.scale.double().numpy()
    shares: Floats = np.cumsum(network.projected.var(axis=0)) / standard.var(axis=0).sum()
    return shares


def _variance(networks: Mapping[str, Network]) -> Table:
    curve = {name: explained(network) for name, network in networks.items()}
    rows = {name: [float(shares[min(count, len(shares)) - 1]) for count in SHARES] for name, shares in curve.items()}
    note = "Of the standardised features of the test set, along components of the training set's."
    return Table("Explained variance", tuple(f"{count} components" for count in SHARES), rows, note)


def _variance_curves(networks: Mapping[str, Network]) -> bytes:
    curve = {}
    for name, network in networks.items():
        shares = explained(network)
        curve[name] = (list(range(1, len(shares) + 1)), shares.tolist())
    return curves([Panel("explained variance", "components", "share of the variance", curve)])


def purity(clusters: Ints, labels: Ints) -> float:
    """Share of items that belong to the most frequent label of their cluster, 0..1 (Manning et al. 2008, 16.3)."""
    return float(sum(np.bincount(labels[clusters == each]).max() for each in set(clusters.tolist())) / len(labels))


def _clusters(networks: Mapping[str, Network], labels: Ints, seed: int) -> Table:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score
    from sklearn.mixture import GaussianMixture

    rows: dict[str, Sequence[Cell]] = {}
    for name, network in networks.items():
        points, cells = network.projected, []
        for model in (
            KMeans(2, n_init=10, random_state=seed),
            GaussianMixture(2, covariance_type="diag", reg_covar=1e-3, random_state=seed),
        ):
            groups = model.fit_predict(points)
            cells += [purity(groups, labels), float(adjusted_rand_score(labels, groups))]
        rows[name] = cells
    share = max(labels.mean(), 1 - labels.mean())
    columns = ("k-means purity", "k-means Rand index", "mixture purity", "mixture Rand index")
    note = f"Two clusters of unaugmented pictures, labels unknown to them; by chance: purity {share:.3f}, Rand index 0."
    return Table("Clusters of the features", columns, rows, note)


def _matrices(found: Mapping[str, Evaluation]) -> dict[str, Floats]:
    result = {}
    for name, each in found.items():
        given = each.answers
        tp, fp, fn, tn = (float(cell[0]) for cell in confusion(given.p, given.y, np.ones((1, len(given.p)))))
        result[name] = np.array([[tn, fp], [fn, tp]])
    return result


def _confusion(found: Mapping[str, Evaluation]) -> Table:
    rows = {name: [int(cell) for cell in matrix.ravel()] for name, matrix in _matrices(found).items()}
    called = [f"{truth} called {verdict}" for truth in ("real", "synthetic") for verdict in ("real", "synthetic")]
    return Table("Answers by truth and verdict, at 0.5, all levels together", tuple(called), rows)


def _maps(
    networks: Mapping[str, Network], records: Sequence[DatasetItem], media: Sequence[Media], seed: int
) -> tuple[bytes, Table]:
    """Grad-CAM of each network below its machine on one real picture and its twin, and the deletion test beside it."""
    places = [next(i for i, record in enumerate(records) if record.label is label) for label in Label]
    rows: dict[str, list[np.ndarray]] = {}
    gains: dict[str, Sequence[Cell]] = {}
    for name, network in networks.items():
        detector: TorchDetector = network.svm.detector
        subject = Explainable(detector, "body.maps", "maps")
        rows[name], cells = [], []
        for place, label in zip(places, Label, strict=True):
            found = heat_map(subject, media[place], label)
            rows[name] += [found.pictures[0], overlay(found.pictures[0], found.heat[0])]
            cells.append(deletion(subject, media[place], found, np.random.default_rng(seed)).gain)
        gains[name] = cells
    titles = ("real", "evidence for real", "synthetic", "evidence for synthetic")
    note = (
        "Log-odds that removing the marked cells moves beyond removing random ones; above 0 the map marks what counts."
    )
    return sheet(rows, titles), Table("Deletion test of the maps shown", ("real", "synthetic"), gains, note)
