"""Fitting a head with scikit-learn: scale and directions, too, are learnt from training data alone."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.heads.head import DEGREE, LEAST_SCALE, Head
from subnet.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kind = Literal["elastic-net", "svm"]
FOLDS = 4  # of the choice of the strength, which share no content


@dataclass(frozen=True)
class HeadPlan:
    """How a head is fitted: "elastic-net" logistic regression or "svm", on `components` principal components (0: none).

    Every training item gives `variants` variants at levels 0-3 in turn.

    `strengths` are the values of C (the inverse of the regularisation) that are tried; `l1_ratio` is the share of the
    L1 norm in the elastic net (Zou & Hastie 2005).
    """

    kind: Kind = "elastic-net"
    components: int = 0
    strengths: tuple[float, ...] = (0.01, 0.1, 1.0)
    l1_ratio: float = 0.5
    variants: int = 2


def fit_head(x: Floats, labels: Ints, contents: Ints, plan: HeadPlan, *, seed: int = 0) -> Head:
    """The head of `plan` for features `x` (N, F) and `labels` (N,) of 0 and 1, both classes weighing the same.

    The strength is chosen by cross-validation in which items of one content (`contents` (N,), numbers) stay together.
    Raises DataError for one class only, features that are all constant or not finite, or fewer items than components.
    """
    _check(x, labels, plan)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    scale = np.where(spread > LEAST_SCALE, spread, 1.0)  # what is constant here may not be so elsewhere
    standard = (x - mean) / scale
    components = _principal(standard, plan.components, seed) if plan.components else None
    inputs = standard if components is None else standard @ components.T
    model = _search(inputs, labels, contents, plan, seed)
    vectors = model.support_vectors_ if plan.kind == "svm" else None
    head = Head(x.shape[1], plan.components, 0 if vectors is None else len(vectors))
    state = {"mean": mean, "scale": scale}
    if components is not None:
        state["components"] = components
    if vectors is None:
        state |= {"weight": model.coef_[0], "bias": np.array(model.intercept_[0])}
    else:
        gamma = np.array(1.0 / (inputs.shape[1] * inputs.var()))  # scikit-learn's "scale"
        state |= {"vectors": vectors, "gamma": gamma}
        state |= {"weight": model.dual_coef_[0], "bias": np.array(model.intercept_[0])}
    head.load_state_dict({name: torch.from_numpy(np.asarray(value, dtype=np.float32)) for name, value in state.items()})
    return head


def _check(x: Floats, labels: Ints, plan: HeadPlan) -> None:
    if len(set(labels.tolist())) < 2:
        raise DataError("data: a head is fitted on both classes, and the items are all of one")
    if not np.isfinite(x).all():
        raise DataError("data: features are not all finite; the network below the head has broken weights")
    if not (x.std(axis=0) > LEAST_SCALE * np.maximum(1.0, np.abs(x.mean(axis=0)))).any():
        raise DataError(
            f"data: all {x.shape[1]} features of the {x.shape[0]} rows are constant: the items look the same to what "
            "is below the head; give items that differ, or other weights with --init or --expert"
        )
    if plan.components > min(x.shape):
        raise DataError(
            f"data: {plan.components} principal components need as many items and features, "
            f"not {x.shape[0]} and {x.shape[1]}; give more items"
        )


def _principal(x: Floats, count: int, seed: int) -> Floats:
    from sklearn.decomposition import PCA

    components: Floats = PCA(count, svd_solver="full", random_state=seed).fit(x).components_
    return components


def _search(x: Floats, labels: Ints, contents: Ints, plan: HeadPlan, seed: int):  # type: ignore[no-untyped-def]
    """The model with the strength of the best AUC over folds; the first one where contents are too few for folds."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    model = _model(plan, seed)
    folds = min(FOLDS, *(len(set(contents[labels == label].tolist())) for label in (0, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a head that is stopped early is a head
        if len(plan.strengths) == 1 or folds < 2:
            return model.set_params(C=plan.strengths[0]).fit(x, labels)
        cuts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        search = GridSearchCV(model, {"C": list(plan.strengths)}, scoring="roc_auc", cv=cuts)
        return search.fit(x, labels, groups=contents).best_estimator_


def _model(plan: HeadPlan, seed: int):  # type: ignore[no-untyped-def]
    if plan.kind == "svm":
        from sklearn.svm import SVC

        return SVC(kernel="poly", degree=DEGREE, coef0=1.0, gamma="scale", class_weight="balanced", random_state=seed)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        solver="saga", l1_ratio=plan.l1_ratio, class_weight="balanced", max_iter=400, random_state=seed
    )
