"""The kernel head and its fit: borders that no line can draw, the same numbers once stored, company without effect."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.numpy import load, save

from deepscreen.detectors.kernel_head import KernelHead, class_head_from_arrays
from deepscreen.evaluation.metrics import auc
from deepscreen.evaluation.white_box import class_logit
from deepscreen.training.kernel_fit import fit_kernel
from deepscreen.training.weighted_logistic import fit_logistic

WIDTH = 6


def _ring(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Spoofs around bona fide points, in the first two of six columns."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    angle, radius = rng.uniform(0, 2 * np.pi, count), np.where(labels == 1, 3.0, 0.5) + rng.normal(0, 0.2, count)
    features = rng.normal(0, 0.1, (count, WIDTH))
    features[:, 0] += radius * np.cos(angle)
    features[:, 1] += radius * np.sin(angle)
    return features.astype(np.float32), labels


def _fitted(count: int = 300) -> KernelHead:
    features, labels = _ring(count, seed=1)
    return fit_kernel(features, labels, np.ones(count))


def test_orders_what_a_line_cannot() -> None:
    features, labels = _ring(300, seed=2)
    learnt, taught = _ring(300, seed=1)
    line = fit_logistic(learnt, taught, np.ones(300), l2=1.0)
    assert auc(labels, _fitted().logit(features)) > 0.99 > 0.7 > auc(labels, line.logit(features))


def test_weights_count() -> None:
    """Where both classes lie on the same points, the heavier one wins."""
    features = np.repeat(_ring(50, seed=3)[0], 2, axis=0)
    labels = np.tile([0, 1], 50)
    logits = fit_kernel(features, labels, np.where(labels == 1, 3.0, 1.0)).logit(features)
    assert np.all(logits > 0)


def test_stored_and_read_again_it_says_the_same() -> None:
    head, (features, _) = _fitted(), _ring(40, seed=4)
    stored = load(save(head.arrays("view.classes")))
    again = class_head_from_arrays(stored, "view.classes")
    assert isinstance(again, KernelHead)
    assert np.array_equal(again.logit(features), head.logit(features))


def test_company_changes_nothing() -> None:
    head, (features, _) = _fitted(), _ring(40, seed=5)
    together = head.logit(features)
    assert [float(head.logit(row)) for row in features] == together.tolist()


def test_a_far_away_picture_gets_the_intercept() -> None:
    head = _fitted()
    assert float(head.logit(np.full(WIDTH, 1e4, np.float32))) == head.intercept


def test_an_attack_follows_the_same_log_odds() -> None:
    head, (features, _) = _fitted(), _ring(5, seed=6)
    for row in features:
        followed = float(class_logit(head, torch.from_numpy(row).double()))
        assert abs(followed - float(head.logit(row))) < 1e-4
