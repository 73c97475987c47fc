"""One manipulated second in a minute: made, read as a screening reads, and found; on a small random network."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from small_networks import CLASS_FEATURES, SmallClip, random_head, random_view_head

from deepscreen.detectors.clip_features import ClipFeatures
from deepscreen.detectors.linear_head import LinearHead
from deepscreen.detectors.video_head import VideoHead
from deepscreen.detectors.view_head import ViewHead
from deepscreen.detectors.views import whole_view
from deepscreen.evaluation.kept_tokens import KeptClassTokens
from deepscreen.evaluation.span_cases import UNTOUCHED, SpanCase, made_cases
from deepscreen.evaluation.spans import FoldMethod, SpanReader
from deepscreen.faces import FaceLocator
from deepscreen.media.samples import Pixels
from deepscreen.media.sandbox import Decoder
from deepscreen.scoring.calibration import LN10, Stratum
from deepscreen.settings import Limits, load_settings
from deepscreen.training.labelled import LabelledFile
from deepscreen.weights.store import WeightsStore

SIZE = (96, 64)
DARK, BRIGHT = 60, 190


def save_clip(path: Path, level: int, seconds: float) -> Path:
    """A clip at 15 frames/s of noise around one level of grey."""
    rng = np.random.default_rng(level)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for _ in range(round(seconds * 15)):
            pixels = np.clip(rng.normal(level, 12, (SIZE[1], SIZE[0], 3)), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="gray") for f in container.decode(video=0)])


@pytest.fixture(scope="module")
def locator() -> FaceLocator:
    return FaceLocator(WeightsStore.from_settings(load_settings()).locate("yunet").path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, locator: FaceLocator) -> tuple[Path, list[SpanCase], list[SpanCase]]:
    """The folder, its cases, and the cases of a second call."""
    folder = tmp_path_factory.mktemp("spans")
    levels = {"a.mp4": (DARK, 0), "b.mp4": (DARK + 8, 0), "c.mp4": (BRIGHT, 1)}
    clips = [
        LabelledFile(save_clip(folder / name, level, 5.0), name, label, "t2v" if label else "real_general", "g",
                     "fakes" if label else "reals", name, None)
        for name, (level, label) in levels.items()
    ]  # fmt: skip
    folds = np.zeros(3, dtype=np.int64)
    first, second = (list(made_cases(clips, folds, locator, folder / "made")) for _ in range(2))
    return folder / "made", first, second


@pytest.mark.weights
def test_second_is_exchanged_and_the_rest_is_the_same_bit_for_bit(made: tuple[Path, list, list]) -> None:
    folder, cases, again = made
    assert cases == again
    assert [case.maker for case in cases] == [UNTOUCHED, "other clip"]
    whole, spliced = (frames(folder / case.file) for case in cases)
    assert len(whole) == len(spliced) == 900
    first, last = round(cases[1].start_seconds * 15), round(cases[1].end_seconds * 15)
    assert last - first == 15
    changed = np.abs(whole.astype(int) - spliced).mean(axis=(1, 2))
    assert (changed[first:last] > 80).all()
    assert changed[: first // 15 * 15].max() == 0
    assert changed[-(-last // 15) * 15 :].max() == 0


@pytest.mark.weights
def test_bright_second_is_found_by_a_head_that_knows_light(
    made: tuple[Path, list, list], locator: FaceLocator, tmp_path: Path
) -> None:
    folder, cases, _ = made
    features = KeptClassTokens(ClipFeatures(SmallClip()), tmp_path)  # type: ignore[arg-type]
    with Decoder(Limits()) as decoder:
        reader = SpanReader(folder, features, locator, decoder)
        untouched, altered = (reader.read(case, FoldMethod(light_head(features), plain())) for case in cases)
        n_kept = len(list(tmp_path.glob("*.npy")))
        assert reader.read(cases[0], FoldMethod(light_head(features), plain())) == untouched
    assert len(list(tmp_path.glob("*.npy"))) == n_kept
    threshold = 0.5 * max(p.spoof_logit for p in altered.moments)
    assert altered.is_found(altered.spans(threshold))
    assert untouched.spans(threshold) == ()


def light_head(features: KeptClassTokens) -> VideoHead:
    """Frames' log-odds grow with their light, from 0 for dark ones to 10 for bright ones."""
    dark, bright = (features.tokens([grey(level)])[0].classes.ravel().astype(np.float64) for level in (DARK, BRIGHT))
    coef = 10 * (bright - dark) / np.sum((bright - dark) ** 2)
    classes = LinearHead(dark, np.ones(CLASS_FEATURES), coef, 0.0)
    rng, view = np.random.default_rng(0), random_view_head(np.random.default_rng(0))
    one = LinearHead(np.zeros(1), np.ones(1), np.ones(1), 0.0)
    frame = ViewHead(classes, view.patches)
    return VideoHead(frame, view, random_head(rng, CLASS_FEATURES), random_head(rng, 2), random_head(rng, 2), one)


def grey(level: int) -> Pixels:
    return whole_view(np.full((SIZE[1], SIZE[0], 3), level, dtype=np.uint8)).pixels


def plain() -> Stratum:
    """Contrasts are log10 LRs."""
    return Stratum(LN10, 0.0, ((LN10, 0.0),), 10, 10, 10)
