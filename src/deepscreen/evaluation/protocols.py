"""How data is split: by source and group, never by file, with a fixed fifth of the sources kept for releases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class SystemItem(Protocol):
    """What ``system_folds`` asks of an item: a labelled file has it."""

    @property
    def key(self) -> str: ...
    @property
    def label(self) -> int: ...
    @property
    def generator(self) -> str: ...
    @property
    def group(self) -> str: ...


RELEASE_SHARE = 51  # of 256: the first byte of the source name's sha256 below it puts a source into the release split


def is_release_split(source: str) -> bool:
    """True for the fixed fifth of sources that is scored once per release: never fitted, chosen or calibrated on."""
    return hashlib.sha256(source.encode()).digest()[0] < RELEASE_SHARE


def joined_clusters(sources: Sequence[str], groups: Sequence[str]) -> list[str]:
    """For each item the name of its cluster: sources tied by a common group (a forgery and its original) are one."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for source, group in zip(sources, groups, strict=True):
        if group:
            a, b = sorted((root("s:" + source), root("g:" + group)))
            parent[b] = a
    return [root("s:" + source) for source in sources]


def source_folds(sources: Sequence[str], groups: Sequence[str], n_folds: int) -> list[NDArray[np.int64]]:
    """Indices of the held-out items of each fold; whole clusters of sources, sizes balanced, deterministic.

    Clusters go, largest first (ties by name hash), to the fold that is smallest so far.
    """
    clusters = joined_clusters(sources, groups)
    unique, counts = np.unique(np.array(clusters), return_counts=True)
    names = [str(name) for name in unique]
    order = sorted(range(len(names)), key=lambda k: (-counts[k], hashlib.sha256(names[k].encode()).hexdigest()))
    sizes = [0] * n_folds
    fold_of: dict[str, int] = {}
    for k in order:
        smallest = sizes.index(min(sizes))
        fold_of[names[k]] = smallest
        sizes[smallest] += int(counts[k])
    fold = np.array([fold_of[c] for c in clusters])
    return [np.flatnonzero(fold == k) for k in range(n_folds)]


def generator_folds(
    generators: Sequence[str], sources: Sequence[str], labels: Sequence[int], groups: Sequence[str], n_folds: int
) -> list[NDArray[np.int64]]:
    """As ``source_folds``, but spoofs are held out by their generator, and bona fide items by their source.

    A spoof whose generator is not named stays with its source. No cluster but a joined one has both classes, so folds
    are balanced within each: heads fitted without a fold of spoofs alone would all lean towards bona fide.
    """
    owners = [
        f"generator {generator}" if label and generator else f"source {source}"
        for generator, source, label in zip(generators, sources, labels, strict=True)
    ]
    clusters = np.array(joined_clusters(owners, groups))
    spoof = np.array(labels) == 1
    n_of = {str(name): (int((own & ~spoof).sum()), int((own & spoof).sum())) for name, own in _members(clusters)}
    sizes = np.zeros((n_folds, 2), dtype=np.int64)
    fold_of: dict[str, int] = {}
    for name in sorted(n_of, key=lambda n: (-sum(n_of[n]), hashlib.sha256(n.encode()).hexdigest())):
        mostly = int(n_of[name][1] > n_of[name][0])
        fold_of[name] = min(range(n_folds), key=lambda k: (sizes[k, mostly], sizes[k].sum(), k))
        sizes[fold_of[name]] += n_of[name]
    fold = np.array([fold_of[str(c)] for c in clusters])
    return [np.flatnonzero(fold == k) for k in range(n_folds)]


def system_folds(items: Sequence[SystemItem], n_folds: int) -> NDArray[np.int64]:
    """The fold of each item: a spoof's by its system's name, a bona fide item's by its group's; sources are in all.

    For unseen systems of seen corpora. What shares a group with a held-out item must be left out of fitting as well.
    """
    owners = [f"system {item.generator}" if item.label else f"group {item.group or item.key}" for item in items]
    return np.array([hashlib.sha256(owner.encode()).digest()[0] % n_folds for owner in owners], dtype=np.int64)


def _members(clusters: NDArray[np.str_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    return ((str(name), clusters == name) for name in np.unique(clusters))


def source_weights(sources: Sequence[str], labels: Sequence[int]) -> NDArray[np.float64]:
    """Weight per item so that a source and class counts as the root of its size, and both classes weigh the same.

    Mean weight is 1. What helps on unseen sources is more sources, not more files of one.
    """
    keys = [f"{label}|{source}" for source, label in zip(sources, labels, strict=True)]
    _, inverse, counts = np.unique(np.array(keys), return_inverse=True, return_counts=True)
    weights = (1 / np.sqrt(counts))[inverse]
    spoof = np.array(labels) == 1
    for mask in (spoof, ~spoof):
        if mask.any():
            weights[mask] /= weights[mask].sum()
    return np.asarray(weights * len(weights) / weights.sum(), dtype=np.float64)
