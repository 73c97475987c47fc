"""A desk hands a long clip to its detector twice: as a whole, and closer where moments stand out."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from small_networks import CLASS_FEATURES, SmallClip, random_head, random_view_head

import media_factory
from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.contract import MOMENT_STRATUM
from deepscreen.detectors.device import ComputePlan
from deepscreen.detectors.linear_head import LinearHead
from deepscreen.detectors.video_clip import CARD, VideoClip
from deepscreen.detectors.video_head import VideoHead
from deepscreen.media.intake import take_in
from deepscreen.method import Method, provenance
from deepscreen.record import ModalityResult
from deepscreen.scoring.calibration import LN10, Calibration, Stratum
from deepscreen.scoring.fusion import Scale
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings

LONG, SHORT = 40.0, 6.0  # more and less than 64 frames at two a second


def screened(path: Path, clip_offset_log10: float) -> ModalityResult:
    """The video result under a calibration that says the same of any clip, and finds any moment that stands out."""
    rng, view = np.random.default_rng(0), random_view_head(np.random.default_rng(0))
    one = LinearHead(np.zeros(1), np.ones(1), np.ones(1), 0.0)
    head = VideoHead(view, view, random_head(rng, CLASS_FEATURES), random_head(rng, 2), random_head(rng, 2), one)
    fixed = (0.0, clip_offset_log10 * LN10)
    any_moment = (1000.0, 0.0)
    strata = {
        name: Stratum(*figures, (figures,), n_spoof=500, n_bona_fide=500, n_sources=19_998)
        for name, figures in (("no_face", fixed), ("with_face", fixed), (MOMENT_STRATUM, any_moment))
    }
    detectors = (VideoClip(ClipFeatures(SmallClip()), head),)  # type: ignore[arg-type]
    settings = Settings(device="cpu")
    known_by = provenance(settings, ComputePlan("cpu", "fp32", 1), detectors, {})
    scale = Scale({CARD.name: Calibration(CARD.name, "ab" * 32, strata)}, {})
    with closing(ScreeningDesk.of(settings, Method(detectors, scale, known_by, None))) as desk:
        return desk.screen(take_in(path, limits=settings.limits)).screening.modalities["video"]


@pytest.mark.parametrize("seconds", [LONG, SHORT])
def test_moments_of_a_clip_that_is_no_spoof_are_its_spans(tmp_path: Path, seconds: float) -> None:
    """Grey levels go round and round, so that some moments stand out."""
    path = media_factory.save_clip(tmp_path / "clip.mp4", seconds=seconds)
    result = screened(path, 0.0)
    coarse = seconds / min(64, round(2 * seconds))
    assert len(result.timeline) == min(64, round(2 * seconds))
    assert result.suspicious_spans
    shortest = min(span.end_seconds - span.start_seconds for span in result.suspicious_spans)
    assert (shortest < 0.9 * coarse) == (seconds == LONG)
    assert result == screened(path, 0.0)


def test_clip_that_is_a_spoof_as_a_whole_has_the_spans_of_its_timeline(tmp_path: Path) -> None:
    result = screened(media_factory.save_clip(tmp_path / "clip.mp4", seconds=SHORT), 2.0)
    assert result.suspicious_spans == ()  # its calibration has no slope: nothing can be said of stretches
