"""Fits ``video_clip``: its frame head on clips, its patch map on pictures, its pools and calibration on held-out clips.

Fitted on clips alone, the class head found more on unseen sources than on pictures and clips together; clips have no
masks, so patches are learnt from pictures. The face head is the one of ``face_clip``; for held-out figures it is fitted
again without the sources of the clips that it scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.video_clip import NO_FACE, WITH_FACE
from deepscreen.detectors.view_head import ViewHead
from deepscreen.evaluation.figures import figure
from deepscreen.evaluation.protocols import is_release_split, source_weights
from deepscreen.scoring.calibration import Calibration
from deepscreen.scoring.calibration_fit import fit_stratum
from deepscreen.training.artefacts import Artefacts
from deepscreen.training.fit_gate import GATE_KINDS
from deepscreen.training.fit_image import fold_of
from deepscreen.training.image_features import FeatureCache
from deepscreen.training.labelled import LabelledFile, read_manifest
from deepscreen.training.video_features import ClipViews, VideoFeatureCache
from deepscreen.training.view_fit import (
    POOL_L2,
    Rows,
    collect,
    cross_fitted,
    fit_parts,
    fold_heads,
    gather_moments,
    view_parts,
)
from deepscreen.training.weighted_logistic import fit_logistic

FACE_KINDS = frozenset({"faceswap", "reenactment", "talking_head"})
GENERATED_KINDS = frozenset({"t2v", "i2v", "video_edit"})


@dataclass(frozen=True, slots=True, repr=False)
class ClipScores:
    """Parts of clips, row by row. ``face_worst`` is NaN where no face was seen; it never leaves this module."""

    files: list[LabelledFile]
    labels: NDArray[np.int64]
    frame_parts: FloatArray  # (n, 3): mean over frames of [class, patch mean, patch top]
    face_worst: FloatArray
    last_block: FloatArray  # (n, 768), for the bare baseline
    folds: NDArray[np.int64]

    @property
    def sources(self) -> list[str]:
        """The source of each clip."""
        return [file.source for file in self.files]

    @property
    def weights(self) -> FloatArray:
        """Weight of each clip, balanced by source and class."""
        return source_weights(self.sources, self.labels.tolist())

    @property
    def has_face(self) -> NDArray[np.bool_]:
        """Whether a face was seen."""
        return ~np.isnan(self.face_worst)


def fit_video(
    manifest: Path, pictures: Path, artefacts: Artefacts, images: FeatureCache, videos: VideoFeatureCache,
    face_head: ViewHead, *, seed: int,
) -> None:  # fmt: skip
    """Writes the clip head, its calibration and its report into *artefacts*."""
    clips = read_manifest(manifest)
    development = [clip for clip in clips if not is_release_split(clip.source)]
    release = [clip for clip in clips if is_release_split(clip.source)]
    stills = [f for f in read_manifest(pictures) if f.kind not in GATE_KINDS and not is_release_split(f.source)]
    folds = fold_of([*stills, *development])
    still_folds, clip_folds = folds[: len(stills)], folds[len(stills) :]
    face_rows = collect(stills, still_folds, "face", images.features)
    face_moments = gather_moments(stills, still_folds, face_rows, "face", images.features, seed=seed)
    still_rows = collect(stills, still_folds, "whole", images.features)
    moments = gather_moments(stills, still_folds, still_rows, "whole", images.features, seed=seed)
    rows = clip_rows(development, clip_folds, videos)
    frame_by_fold, face_by_fold = fold_heads(rows, moments), fold_heads(face_rows, face_moments)
    held = clip_scores(development, clip_folds, videos, frame_by_fold, _with_pool(face_by_fold, face_head.pool))
    frame_logits = cross_fitted(held.frame_parts, held.labels, held.folds, held.weights, l2=POOL_L2)
    pools = fit_pools(held, frame_logits)
    whole = fit_parts(rows, np.ones(len(rows.labels), dtype=bool), list(moments.values()))
    frame_pool = fit_logistic(held.frame_parts, held.labels, held.weights, l2=POOL_L2)
    head = ViewHead(whole.classes, whole.patches, frame_pool)
    arrays = {
        **head.arrays("frame"),
        **pools[WITH_FACE].arrays("pool_with_face"),
        **pools[NO_FACE].arrays("pool_no_face"),
    }
    sha256 = artefacts.write_head("head-video", arrays)
    logits = held_out_logits(held, frame_logits)
    calibration = Calibration("video_clip", f"{sha256}+{artefacts.head_sha256('head-face')}", _strata(held, logits))
    artefacts.write_calibration(calibration)
    released = clip_scores(release, np.zeros(len(release), dtype=np.int64), videos, {0: head}, {0: face_head})
    release_logits = _clip_logits(released, head.pool.logit(released.frame_parts), pools)
    artefacts.write_report("video_clip", report(held, logits, released, release_logits, calibration, len(stills)))


def clip_rows(clips: Sequence[LabelledFile], folds: NDArray[np.int64], videos: VideoFeatureCache) -> Rows:
    """One row a clip: the mean of its frames' class tokens."""
    labels = np.array([clip.label for clip in clips])
    return Rows(
        files=list(clips),
        variants=["base"] * len(clips),
        labels=labels,
        classes=np.stack([videos.features(clip).mean_classes for clip in clips]),
        last_classes=np.stack([videos.features(clip).mean_last_class for clip in clips]),
        folds=folds,
        weights=source_weights([clip.source for clip in clips], labels.tolist()),
    )


def clip_scores(
    clips: Sequence[LabelledFile],
    folds: NDArray[np.int64],
    videos: VideoFeatureCache,
    frame_heads: dict[int, ViewHead],
    face_heads: dict[int, ViewHead],
) -> ClipScores:
    """Every clip by the heads of its fold."""
    views = [videos.features(clip) for clip in clips]
    parts = [_frame_parts(v, frame_heads[int(fold)]) for v, fold in zip(views, folds, strict=True)]
    faces = [_face_worst(v, face_heads[int(fold)]) for v, fold in zip(views, folds, strict=True)]
    return ClipScores(
        files=list(clips),
        labels=np.array([clip.label for clip in clips]),
        frame_parts=np.array(parts),
        face_worst=np.array(faces),
        last_block=np.array([v.mean_last_class for v in views]),
        folds=folds,
    )


def fit_pools(held: ClipScores, frame_logits: FloatArray) -> dict[str, LinearHead]:
    """The pools that join held-out frame and face logits, with and without faces."""
    faced = held.has_face
    joint = np.column_stack([frame_logits, held.face_worst])
    return {
        WITH_FACE: fit_logistic(joint[faced], held.labels[faced], held.weights[faced], l2=POOL_L2),
        NO_FACE: fit_logistic(frame_logits[:, None], held.labels, held.weights, l2=POOL_L2),
    }


def held_out_logits(held: ClipScores, frame_logits: FloatArray) -> FloatArray:
    """Clip logits, with pools that were fitted on other folds."""
    logits = cross_fitted(frame_logits[:, None], held.labels, held.folds, held.weights, l2=POOL_L2)
    faced = held.has_face
    joint = np.column_stack([frame_logits, held.face_worst])[faced]
    logits[faced] = cross_fitted(joint, held.labels[faced], held.folds[faced], held.weights[faced], l2=POOL_L2)
    return logits


def _clip_logits(scores: ClipScores, frame_logits: FloatArray, pools: dict[str, LinearHead]) -> FloatArray:
    logits = pools[NO_FACE].logit(frame_logits[:, None])
    faced = scores.has_face
    logits[faced] = pools[WITH_FACE].logit(np.column_stack([frame_logits, scores.face_worst])[faced])
    return logits


def _strata(held: ClipScores, logits: FloatArray) -> dict[str, Any]:
    masks = {WITH_FACE: held.has_face, NO_FACE: np.ones(len(logits), dtype=bool)}
    return {
        name: fit_stratum(
            logits[mask],
            held.labels[mask],
            [s for s, m in zip(held.sources, mask, strict=True) if m],
            held.weights[mask],
        )
        for name, mask in masks.items()
    }


def report(
    held: ClipScores,
    logits: FloatArray,
    released: ClipScores,
    release_logits: FloatArray,
    calibration: Calibration,
    n_pictures: int,
) -> dict[str, Any]:
    """The figures of the detector's card."""
    probe = cross_fitted(held.last_block, held.labels, held.folds, held.weights, l2=100.0)
    protocols: dict[str, Any] = {}
    families = {"all": None, "faces": FACE_KINDS, "generated": GENERATED_KINDS}
    results = (("source-held-out", held, logits), ("release split", released, release_logits))
    for title, scores, values in (*results, ("last-block probe, source-held-out", held, probe)):
        llrs = None if "probe" in title else _llrs(scores, values, calibration)
        for family, kinds in families.items():
            protocols[f"{title}, {family}"] = _of_kinds(scores, values, kinds, llrs)
    kinds_seen = sorted({f.kind for f in held.files if f.label == 1})
    return {
        "detector": "video_clip",
        "command": "deepscreen fit video --manifest CLIPS --pictures PICTURES",
        "fitted_on": {"n_clips": len(held.files), "n_sources": len(set(held.sources)), "n_pictures": n_pictures},
        "protocols": protocols,
        "by_kind": {kind: _of_kinds(held, logits, frozenset({kind}), None) for kind in kinds_seen},
    }


def _llrs(scores: ClipScores, logits: FloatArray, calibration: Calibration) -> FloatArray:
    strata = [calibration.strata[WITH_FACE if faced else NO_FACE] for faced in scores.has_face]
    return np.array([s.slope * logit + s.offset for s, logit in zip(strata, logits, strict=True)])


def _of_kinds(
    scores: ClipScores, logits: FloatArray, kinds: frozenset[str] | None, llrs: FloatArray | None
) -> dict[str, Any]:
    chosen = np.array([f.label == 0 or kinds is None or f.kind in kinds for f in scores.files])
    sources = [s for s, c in zip(scores.sources, chosen, strict=True) if c]
    return figure(scores.labels[chosen], logits[chosen], sources, spoof_llrs=None if llrs is None else llrs[chosen])


def _frame_parts(views: ClipViews, head: ViewHead) -> FloatArray:
    return np.asarray(np.mean([view_parts(view, head) for view in views.frames], axis=0))


def _face_worst(views: ClipViews, head: ViewHead) -> float:
    logits = [float(head.pool.logit(view_parts(view, head))) for view in views.faces]
    return float(np.mean(logits)) if logits else float("nan")


def _with_pool(heads: dict[int, ViewHead], pool: LinearHead) -> dict[int, ViewHead]:
    return {fold: replace(head, pool=pool) for fold, head in heads.items()}
