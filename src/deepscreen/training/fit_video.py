"""Fits ``video_clip``: its heads on clips and pictures, its votes and its calibration on held-out clips.

Split by source and group, never by file, with a fixed fifth of the sources kept for releases. Clips have no masks, so
the maps are those of the picture detectors. Faces of pictures teach a linear head of their own, fitted without the
sources of the clips that it scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepscreen.detectors.contract import MOMENT_STRATUM
from deepscreen.detectors.linear_head import FloatArray
from deepscreen.detectors.patch_head import PatchHead
from deepscreen.detectors.video_head import NO_FACE, WITH_FACE, VideoHead
from deepscreen.detectors.view_head import ViewHead
from deepscreen.evaluation.protocols import is_release_split
from deepscreen.scoring.calibration import Calibration, Stratum
from deepscreen.scoring.calibration_fit import fit_stratum
from deepscreen.training.artefacts import Artefacts
from deepscreen.training.clip_heads import (
    ClipHeads,
    ClipTable,
    ClipVotes,
    fit_heads,
    fit_votes,
    heads_by_fold,
    held_out_parts,
    voted,
    votes_by_fold,
    without_faces,
)
from deepscreen.training.clip_moments import Peaks, fit_moments, moment_peaks
from deepscreen.training.fit_gate import GATE_KINDS
from deepscreen.training.fit_image import fold_of
from deepscreen.training.image_features import FeatureCache
from deepscreen.training.labelled import LabelledFile, read_manifest
from deepscreen.training.map_fit import NOT_LIFTED_SHARE
from deepscreen.training.video_features import VideoFeatureCache
from deepscreen.training.video_report import ScoredClips, Stressed, report
from deepscreen.training.view_fit import Rows, collect

BLANK = PatchHead(np.zeros(1), 0.0, np.inf)


@dataclass(frozen=True, slots=True, repr=False)
class ClipMaps:
    """What draws the maps of a whole frame and of a face; no part of any log-odds."""

    frame: PatchHead
    face: PatchHead


@dataclass(frozen=True, slots=True, repr=False)
class VideoData:
    """What ``fit video`` learns from: labelled clips, and the faces of labelled pictures on the same folds."""

    clips: ClipTable
    faces: Rows
    stills: list[LabelledFile]


@dataclass(frozen=True, slots=True, repr=False)
class HeldOutVideo:
    """By fold the heads and votes that saw nothing of it, and what they made of its clips."""

    heads: dict[int, ClipHeads]
    votes: dict[int, ClipVotes]
    parts: FloatArray
    logits: FloatArray
    frame_logits: FloatArray  # as if no clip had a face


def fit_video(
    manifest: Path, pictures: Path, artefacts: Artefacts, images: FeatureCache, videos: VideoFeatureCache,
    maps: ClipMaps,
) -> None:  # fmt: skip
    """Writes the clip head, its calibration and its report into *artefacts*. *maps*: of the picture detectors."""
    data = read_data(manifest, pictures, images, videos)
    held = hold_out(data)
    head = _final_head(data, held, maps)
    sha256 = artefacts.write_head("head-video", head.arrays())
    peaks = held_out_peaks(data, held, videos)
    moments = fit_moments(peaks, np.ones(len(peaks.values), dtype=bool))
    calibration = Calibration("video_clip", sha256, _strata(data.clips, held) | {MOMENT_STRATUM: moments})
    artefacts.write_calibration(calibration)
    released = [clip for clip in read_manifest(manifest) if is_release_split(clip.source)]
    clips = data.clips
    scored = ScoredClips(clips.files, held.logits, held.frame_logits, clips.has_face, clips.folds)
    artefacts.write_report(
        "video_clip",
        report(
            scored,
            _stressed(data.clips, held, videos),
            data.clips.last_block,
            _score(head, released, videos),
            calibration,
            len(data.stills),
        ),
    )


def read_data(manifest: Path, pictures: Path, images: FeatureCache, videos: VideoFeatureCache) -> VideoData:
    """All development clips and pictures; a source is in one fold, whichever it is in."""
    clips = [clip for clip in read_manifest(manifest) if not is_release_split(clip.source)]
    stills = [f for f in read_manifest(pictures) if f.kind not in GATE_KINDS and not is_release_split(f.source)]
    folds = fold_of([*stills, *clips])
    still_folds, clip_folds = folds[: len(stills)], folds[len(stills) :]
    table = ClipTable.of(clips, clip_folds, [videos.features(clip) for clip in clips])
    return VideoData(table, collect(stills, still_folds, "face", images.features), stills)


def hold_out(data: VideoData) -> HeldOutVideo:
    """Every clip scored by heads and votes that saw neither its source nor its group."""
    heads = dict(heads_by_fold(data.clips, data.faces))
    parts = held_out_parts(data.clips, heads)
    votes = votes_by_fold(data.clips, parts)
    folds = data.clips.folds
    return HeldOutVideo(heads, votes, parts, voted(votes, parts, folds), voted(votes, without_faces(parts), folds))


def held_out_peaks(data: VideoData, held: HeldOutVideo, videos: VideoFeatureCache) -> Peaks:
    """How much moments of clips stand out to the heads of their fold."""
    heads = {fold: fold_head(held, fold) for fold in held.heads}
    views = [videos.features(clip) for clip in data.clips.files]
    return moment_peaks(data.clips.files, data.clips.folds, views, heads)


def fold_head(held: HeldOutVideo, fold: int) -> VideoHead:
    """The whole head of a fold, for log-odds; its maps are blank."""
    return _joined(held.heads[fold], held.votes[fold], ClipMaps(BLANK, BLANK))


def _final_head(data: VideoData, held: HeldOutVideo, maps: ClipMaps) -> VideoHead:
    everything = np.ones(len(data.clips.files), dtype=bool)
    heads = fit_heads(data.clips, data.faces, everything, np.ones(len(data.faces.labels), dtype=bool))
    votes = fit_votes(data.clips, held.parts, everything)
    honest, faced = data.clips.labels == 0, data.clips.has_face
    frame = replace(maps.frame, lifted_from=float(np.quantile(held.parts[honest, 0], NOT_LIFTED_SHARE)))
    face = replace(maps.face, lifted_from=float(np.quantile(held.parts[honest & faced, 2], NOT_LIFTED_SHARE)))
    return _joined(heads, votes, ClipMaps(frame, face))


def _joined(heads: ClipHeads, votes: ClipVotes, maps: ClipMaps) -> VideoHead:
    return VideoHead(
        frame=ViewHead(heads.frame, maps.frame),
        face=ViewHead(heads.face, maps.face),
        clip_face=heads.clip_face,
        face_vote=votes.face,
        vote_with_face=votes.with_face,
        vote_no_face=votes.no_face,
    )


def _strata(clips: ClipTable, held: HeldOutVideo) -> dict[str, Stratum]:
    """One for clips with a face; one for those without, which are too few: all clips, as if they had none."""
    masks = {WITH_FACE: clips.has_face, NO_FACE: np.ones(len(clips.files), dtype=bool)}
    logits = {WITH_FACE: held.logits, NO_FACE: held.frame_logits}
    sources, labels = np.array(clips.sources), clips.labels
    return {
        name: fit_stratum(logits[name][mask], labels[mask], sources[mask].tolist(), clips.weights_of(mask))
        for name, mask in masks.items()
    }


def _stressed(clips: ClipTable, held: HeldOutVideo, videos: VideoFeatureCache) -> list[Stressed]:
    """Laundered clips by the heads and votes of their fold."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for row, file in enumerate(clips.files):
        fold = clips.folds[row : row + 1]
        for name, views in videos.stressed(file).items():
            table = ClipTable.of([file], fold, [views])
            parts = held.heads[int(fold[0])].parts(table.wholes, table.faces)
            rows, logits = found.setdefault(name, ([], []))
            rows.append(row)
            logits.append(float(held.votes[int(fold[0])].logits(parts)[0]))
    return [Stressed(name, np.array(rows), np.array(logits)) for name, (rows, logits) in found.items()]


def _score(head: VideoHead, files: Sequence[LabelledFile], videos: VideoFeatureCache) -> ScoredClips:
    """The finished head on clips that it never saw."""
    folds = np.zeros(len(files), dtype=np.int64)
    table = ClipTable.of(files, folds, [videos.features(file) for file in files])
    parts = ClipHeads(head.frame.classes, head.clip_face, head.face.classes).parts(table.wholes, table.faces)
    votes = ClipVotes(head.face_vote, head.vote_with_face, head.vote_no_face)
    return ScoredClips(list(files), votes.logits(parts), votes.logits(without_faces(parts)), table.has_face, folds)
