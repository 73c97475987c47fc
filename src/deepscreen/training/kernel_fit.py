"""Fits the kernel head: a weighted support vector machine on principal axes of standardised features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.svm import SVC

from deepscreen.detectors.kernel_head import STORED, KernelHead
from deepscreen.detectors.linear_head import FloatArray
from deepscreen.training.weighted_logistic import standards

# On development folds: 512 axes order unseen sources as all 4,608 columns do, and make a ninth of the file. Kernels
# half as sharp to twice as sharp, and half to twice the penalty, move the AUC by less than 0.005.
AXES = 512
SHARPNESS = 0.7
PENALTY = 1.0
# A machine's margin is no log-odds: on held-out sources about two log-odds make one margin.
LOG_ODDS_PER_MARGIN = 2.0
KERNEL_CACHE_MB = 500


def fit_kernel(features: NDArray[Any], labels: NDArray[np.int64], weights: FloatArray) -> KernelHead:
    """Minimises the weighted hinge loss (mean weight 1); 1 = spoof. ``features``: (n, d)."""
    mean, scale = standards(features, weights)
    x = ((np.asarray(features) - mean) / scale).astype(np.float32)
    axes = _principal_axes(x).astype(STORED).astype(np.float32)  # as they are stored, so that both heads are one
    z = (x @ axes).astype(STORED).astype(np.float32)
    share = weights / weights.sum()
    width = float(share @ np.sum(z**2, axis=1, dtype=np.float64)) / SHARPNESS
    machine = SVC(C=PENALTY, gamma=1 / width, cache_size=KERNEL_CACHE_MB)
    machine.fit(z, labels, sample_weight=share * len(weights))
    coef = LOG_ODDS_PER_MARGIN * np.asarray(machine.dual_coef_[0], dtype=np.float64)
    intercept = LOG_ODDS_PER_MARGIN * float(machine.intercept_[0])
    return KernelHead(mean, scale, axes, z[machine.support_], coef, width, intercept)


def _principal_axes(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(d, k): the k axes along which standardised ``x`` varies most."""
    count = min(AXES, *x.shape)
    pca = PCA(count, svd_solver="randomized", random_state=0).fit(x)
    return np.asarray(pca.components_.T, dtype=np.float32)
