"""A fitted head as a torch module: it answers as scikit-learn does, and refuses what nothing can be fitted on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from detectors.heads.fitting import Floats, HeadPlan, Ints, fit_head
from detectors.heads.head import Head, head_size
from subnet.errors import DataError


def sample(seed: int, count: int = 60, features: int = 8) -> tuple[Floats, Ints]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return rng.normal(size=(count, features)) * 3 + 5 + labels[:, None] * rng.normal(size=features), labels


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), components=st.sampled_from([0, 3]))
def test_a_head_answers_as_scikit_learn_does(seed: int, components: int) -> None:
    """Scaler, PCA and SVM of polynomial kernel, or elastic net, in one pipeline: the same decision on new features."""
    x, labels = sample(seed)
    parts = [StandardScaler(), *([PCA(components, svd_solver="full")] if components else [])]
    models = {
        "svm": SVC(kernel="poly", degree=3, coef0=1.0, C=0.5, class_weight="balanced"),
        "elastic-net": LogisticRegression(
            solver="saga", C=0.5, l1_ratio=0.5, class_weight="balanced", max_iter=400, tol=1e-6
        ),
    }
    for kind in ("svm", "elastic-net"):
        reference = make_pipeline(*parts, models[kind]).fit(x, labels)
        plan = HeadPlan(kind, components, strengths=(0.5,))  # type: ignore[arg-type]
        head = fit_head(x, labels, np.arange(len(x)), plan)
        new = sample(seed + 1)[0]
        answers = head(torch.from_numpy(new).float()).numpy()
        np.testing.assert_allclose(answers, reference.decision_function(new), atol=2e-2, rtol=2e-2)


def test_a_head_is_rebuilt_from_its_tensors() -> None:
    """The sizes read off a state build the head that it fits."""
    x, labels = sample(0)
    head = fit_head(x, labels, np.arange(len(x)), HeadPlan("svm", 4))
    state = {f"head.{key}": value for key, value in head.state_dict().items()}
    again = Head(**head_size(state))
    again.load_state_dict(head.state_dict())
    new = torch.from_numpy(sample(1)[0]).float()
    assert torch.equal(head(new), again(new))


def test_contents_stay_together_when_the_strength_is_chosen() -> None:
    """Copies of one content do not make an over-fitted strength look good: what is chosen on copies is that on singles."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(24, 30)), np.arange(24) % 2
    plan = HeadPlan("elastic-net", strengths=(0.001, 100.0))
    many = fit_head(np.repeat(x, 5, axis=0), np.repeat(labels, 5), np.repeat(np.arange(24), 5), plan)
    alone = fit_head(np.repeat(x, 5, axis=0), np.repeat(labels, 5), np.arange(120), plan)
    assert float(many.weight.abs().sum()) < float(alone.weight.abs().sum())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, np.zeros_like(y)), "all of one"),
        (lambda x, y: (np.ones_like(x), y), "all 8 features of the 60 rows are constant.*--init"),
        (lambda x, y: (1e4 + 1e-5 * x, y), "all 8 features of the 60 rows are constant.*items that differ"),
        (lambda x, y: (x * np.nan, y), "finite"),
        (lambda x, y: (x[:4], y[:4]), "principal components"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    """One class, constant or broken features, fewer items than components: a clear error each."""
    x, labels = change(*sample(0))
    with pytest.raises(DataError, match=message):
        fit_head(x, labels, np.arange(len(x)), HeadPlan("svm", 6))


@pytest.mark.parametrize("plan", [HeadPlan("svm", 4), HeadPlan("elastic-net", strengths=(0.5,))])
def test_a_feature_that_was_constant_decides_nothing_later(plan: HeadPlan) -> None:
    """A dead feature that comes alive on other data leaves the answer as it is."""
    x, labels = sample(0)
    x[:, 3] = 2.0
    head = fit_head(x, labels, np.arange(len(x)), plan)
    new = torch.from_numpy(sample(1)[0]).float()
    new[:, 3] = 2.0
    alive = new.clone()
    alive[:, 3] = 7.0
    assert torch.allclose(head(new), head(alive), atol=1e-3)
