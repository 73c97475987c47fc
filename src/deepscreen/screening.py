"""THE pipeline: bytes -> record. The only file that knows the order of things.

HTTP, folder scan, command line and library all come through here, so the same bytes under the same method give the
same record, byte for byte.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.contract import (
    ClipSample,
    Detector,
    DetectorCard,
    FrameSample,
    ImageSample,
    Modality,
    Sample,
    Scored,
    SoundSample,
)
from deepscreen.errors import MediaError
from deepscreen.evidence.exhibits import exhibits
from deepscreen.evidence.render import thumbnail_jpeg
from deepscreen.faces import Face, FaceLocator, FaceTracker
from deepscreen.media.intake import Intake, take_in
from deepscreen.media.prefetch import prefetched
from deepscreen.media.samples import Frame, MediaFacts, Pixels, SamplingPlan, Still
from deepscreen.media.sandbox import Decoder
from deepscreen.method import load_method
from deepscreen.record import Caveat, Finding, Media, ModalityName, ModalityResult, Provenance, Screening, Stream
from deepscreen.scoring.fusion import Scale
from deepscreen.scoring.judgement import Outcome, judge, overall, spans_of
from deepscreen.settings import Settings, load_settings

logger = logging.getLogger(__name__)
FRAMES_AHEAD = 3  # decoded while the network works on the present one
SampleSource = Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Screened:
    """A record, its evidence pictures by name, and how long each stage took (not part of the record)."""

    screening: Screening
    artefacts: Mapping[str, bytes]
    stage_seconds: Mapping[str, float]
    thumbnail_jpeg: bytes | None  # a small picture of the item for lists; not evidence, not in the record


@dataclass(slots=True)
class _Bench:
    """What gathers while one file is worked on."""

    artefacts: dict[str, bytes] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    thumbnail: bytes | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds[name] = self.stage_seconds.get(name, 0.0) + time.perf_counter() - start


class ScreeningDesk:
    """Loaded detectors, calibrations, decoder and limits; built once, used by many threads, closed at the end."""

    def __init__(
        self,
        settings: Settings,
        *,
        detectors: tuple[Detector, ...],
        scale: Scale,
        provenance: Provenance,
        yunet_path: Path | None,
    ) -> None:
        self.settings = settings
        self.provenance = provenance
        self._detectors = detectors
        self._scale = scale
        self._yunet_path = yunet_path
        self._per_thread = threading.local()
        self._decoder = Decoder(settings.limits)

    @classmethod
    def build(cls, settings: Settings) -> ScreeningDesk:
        """Proves and loads all weights; raises WeightsError, CalibrationError or ConfigError."""
        method = load_method(settings)
        return cls(
            settings,
            detectors=method.detectors,
            scale=method.scale,
            provenance=method.provenance,
            yunet_path=method.yunet_path,
        )

    @classmethod
    def with_fake_detectors(cls, settings: Settings) -> ScreeningDesk:
        """A desk with real intake and decoding but FakeDetector networks: for tests of everything around them."""
        from deepscreen.method import fake_method

        method = fake_method(settings)
        return cls(
            settings, detectors=method.detectors, scale=method.scale, provenance=method.provenance, yunet_path=None
        )

    @property
    def cards(self) -> tuple[DetectorCard, ...]:
        """The cards of all detectors, in the registry's order."""
        return tuple(detector.card for detector in self._detectors)

    def screen(self, intake: Intake) -> Screened:
        """Screens one file that was taken in; raises MediaError where it cannot be examined."""
        bench = _Bench()
        with bench.stage("decode"):
            examined = self._decoder.examine(intake)
        facts = examined.facts
        results: dict[ModalityName, ModalityResult]
        if examined.still is not None:
            results = {"image": self._screen_still(examined.still, bench)}
        elif facts.kind == "video":
            results = {
                "video": self._screen_clip(intake, facts, bench),
                "audio": self._screen_sound(intake, facts, bench),
            }
        else:
            results = {"audio": self._screen_sound(intake, facts, bench)}
        screening = Screening(
            media=_media(intake, facts),
            modalities=results,
            findings=tuple(Finding(code=f.code, message=f.message) for f in facts.facts),
            overall=overall(results),
            provenance=self.provenance,
        )
        return Screened(screening, bench.artefacts, bench.stage_seconds, bench.thumbnail)

    def close(self) -> None:
        """Ends the decoder's processes."""
        self._decoder.close()

    def _screen_still(self, still: Still, bench: _Bench) -> ModalityResult:
        with bench.stage("faces"):
            faces = self._locate_faces(still.pixels)
        with bench.stage("detect"):
            outcomes = self._score("image", lambda: ImageSample(still, faces))
        with bench.stage("render"):
            bench.thumbnail = thumbnail_jpeg(still.pixels)
        return self._conclude("image", outcomes, bench, pixels=still.pixels, duration_seconds=0.0)

    def _screen_clip(self, intake: Intake, facts: MediaFacts, bench: _Bench) -> ModalityResult:
        duration = _duration_seconds(facts, "video")
        limits = self.settings.limits
        plan = SamplingPlan.over(duration, frames_per_second=limits.frames_per_second, max_frames=limits.max_frames)

        def sample() -> ClipSample:
            frames = prefetched(self._decoder.frames(intake, plan), ahead=FRAMES_AHEAD)
            return ClipSample(self._with_faces(frames, bench), duration)

        with bench.stage("detect"):
            outcomes = self._score("video", sample)
        return self._conclude("video", outcomes, bench, pixels=None, duration_seconds=duration)

    def _screen_sound(self, intake: Intake, facts: MediaFacts, bench: _Bench) -> ModalityResult:
        stream = facts.stream("audio")
        if stream is None:
            cards = [d.card for d in self._detectors if d.card.modality == "audio"]
            outcomes: list[Outcome] = [
                (card, NotScored(card.name, Absence.NO_AUDIO_TRACK, "the file has no sound track")) for card in cards
            ]
        else:
            rate = stream.sample_rate_hz or 0
            with bench.stage("detect_sound"):
                outcomes = self._score("audio", lambda: SoundSample(self._decoder.sound(intake), rate))
        duration = _duration_seconds(facts, "audio")
        return self._conclude("audio", outcomes, bench, pixels=None, duration_seconds=duration)

    def _score(self, modality: Modality, sample: SampleSource) -> list[Outcome]:
        """Every detector of *modality* on a fresh sample; one that fails leaves a NotScored, the others still count."""
        outcomes: list[Outcome] = []
        for detector in self._detectors:
            if detector.card.modality != modality:
                continue
            try:
                outcomes.append((detector.card, detector.score(sample())))
            except MediaError as error:
                outcomes.append((detector.card, NotScored(detector.card.name, Absence.UNDECODABLE, str(error))))
            except Exception as error:
                # One detector's failure must not take the others' readings with it; the reader is told by a caveat.
                logger.exception("detector %s failed", detector.card.name)
                detail = f"the detector failed ({type(error).__name__}); see the log"
                outcomes.append((detector.card, NotScored(detector.card.name, Absence.DETECTOR_FAILED, detail)))
        return outcomes

    def _conclude(
        self,
        modality: Modality,
        outcomes: list[Outcome],
        bench: _Bench,
        *,
        pixels: Pixels | None,
        duration_seconds: float,
    ) -> ModalityResult:
        """Evidence pictures, caveats, and the calibrated, decided result."""
        entries, caveats = [], _failure_caveats(outcomes)
        policy = self.settings.policy
        with bench.stage("render"):
            for card, outcome in outcomes:
                if not isinstance(outcome, Scored):
                    continue
                made, withheld = exhibits(
                    card,
                    outcome,
                    pixels=pixels,
                    spans=spans_of(card, outcome, self._scale, policy),
                    duration_seconds=duration_seconds,
                    max_pixels=self.settings.limits.overlay_max_pixels,
                )
                caveats.extend(withheld)
                for exhibit in made:
                    entries.append(exhibit.entry)
                    bench.artefacts[exhibit.entry.name] = exhibit.png
        return judge(modality, outcomes, scale=self._scale, policy=policy, evidence=entries, caveats=caveats)

    def _with_faces(self, frames: Iterator[Frame], bench: _Bench) -> Iterator[FrameSample]:
        tracker = FaceTracker()
        for frame in frames:
            if bench.thumbnail is None:
                bench.thumbnail = thumbnail_jpeg(frame.pixels)
            with bench.stage("faces"):
                faces = self._locate_faces(frame.pixels)
            yield FrameSample(frame, faces, tracker.assign(faces, frame.pts_seconds))

    def _locate_faces(self, pixels: Pixels) -> tuple[Face, ...]:
        if self._yunet_path is None:
            return ()
        if not hasattr(self._per_thread, "locator"):  # OpenCV's detector keeps its input size: one a thread
            self._per_thread.locator = FaceLocator(self._yunet_path)
        locator: FaceLocator = self._per_thread.locator
        return locator.locate(pixels, max_faces=self.settings.limits.max_faces)


def _failure_caveats(outcomes: list[Outcome]) -> list[Caveat]:
    failed = {Absence.DETECTOR_FAILED, Absence.UNDECODABLE}
    return [
        Caveat(code=outcome.absence.value, message=f"{outcome.detector}: {outcome.detail}")
        for _, outcome in outcomes
        if isinstance(outcome, NotScored) and outcome.absence in failed
    ]


def _duration_seconds(facts: MediaFacts, kind: str) -> float:
    """Measured where it was, else claimed, else 0."""
    stream = facts.stream(kind)
    if stream is None:
        return 0.0
    return float(stream.duration_seconds_measured or stream.duration_seconds_claimed or 0.0)


def _media(intake: Intake, facts: MediaFacts) -> Media:
    return Media(
        sha256=intake.sha256,
        size_bytes=intake.size_bytes,
        kind=facts.kind,
        container=facts.container,
        mime=facts.mime,
        streams=tuple(Stream(**asdict(stream)) for stream in facts.streams),
    )


def screen(source: Path | str, *, desk: ScreeningDesk | None = None, evidence_dir: Path | None = None) -> Screening:
    """Screens a file; evidence pictures are written to *evidence_dir* under their names when it is given.

    Without a *desk* one is built for this call, which loads all networks: build one for more than one file.
    Raises MediaError where the file cannot be examined, WeightsError where the installation is not proven.
    """
    if desk is None:
        own_desk = ScreeningDesk.build(load_settings())
        try:
            return screen(source, desk=own_desk, evidence_dir=evidence_dir)
        finally:
            own_desk.close()
    screened = desk.screen(take_in(Path(source), limits=desk.settings.limits))
    if evidence_dir is not None:
        write_artefacts(screened, evidence_dir)
    return screened.screening


def write_artefacts(screened: Screened, folder: Path) -> None:
    """Writes the evidence pictures under their names into *folder*, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in screened.artefacts.items():
        (folder / name).write_bytes(content)
