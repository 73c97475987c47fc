"""THE pipeline: bytes -> record. The only file that knows the order of things.

HTTP, folder scan, command line and library all come through here, so the same bytes under the same method give the
same record, byte for byte.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.contract import (
    ClipSample,
    Detector,
    DetectorCard,
    FrameSample,
    ImageSample,
    Modality,
    Scored,
    SoundSample,
)
from deepscreen.errors import MediaError
from deepscreen.evidence.exhibits import exhibits
from deepscreen.evidence.render import thumbnail_jpeg
from deepscreen.faces import Face, FaceLocator, FaceTracker
from deepscreen.findings.finding import Finding
from deepscreen.fingerprints.gathering import ClipFingerprint, SoundFingerprint, frames_plan, picture_fingerprint
from deepscreen.fingerprints.kinds import FRAMES
from deepscreen.media.intake import Intake, take_in
from deepscreen.media.prefetch import prefetched
from deepscreen.media.samples import Frame, MediaFacts, Pixels, SamplingPlan, Still
from deepscreen.media.sandbox import BeforeRoom, Decoder, Examined
from deepscreen.method import Method, load_method, under_profile
from deepscreen.record import (
    Caveat,
    Evidence,
    Media,
    ModalityName,
    ModalityResult,
    Provenance,
    Screening,
    Stream,
)
from deepscreen.scoring.fusion import Scale
from deepscreen.scoring.judgement import Outcome, judge, overall, spans_of
from deepscreen.scoring.laundering import SampleSource, laundering_test
from deepscreen.screened import Bench, OnProgress, Screened, write_artefacts
from deepscreen.settings import Profile, Settings, load_settings
from deepscreen.solve_it import techniques_applied

logger = logging.getLogger(__name__)
FRAMES_AHEAD = 3  # decoded while the network works on the present one


@dataclass(frozen=True, slots=True)
class Examination:
    """A file that was decoded and looked over, and waits for the networks."""

    intake: Intake
    examined: Examined
    findings: tuple[Finding, ...]
    faces: tuple[Face, ...]  # of a picture, largest first; those of a clip are found frame by frame
    bench: Bench


@dataclass(frozen=True, slots=True)
class Detected:
    """A file that the networks have seen: for each modality, what draws its evidence and judges it."""

    examination: Examination
    results: Mapping[ModalityName, Callable[[], ModalityResult]]


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
        """``provenance``: of the method under the default profile."""
        self.settings = settings
        self.provenance = under_profile(provenance, settings.profile)
        self._known_by = provenance
        self._detectors = detectors
        self._scale = scale
        self._yunet_path = yunet_path
        self._per_thread = threading.local()
        self.decoder = Decoder(settings.limits, trust_list=settings.c2pa_trust_list)

    @classmethod
    def build(cls, settings: Settings) -> ScreeningDesk:
        """Proves and loads all weights; raises WeightsError, CalibrationError or ConfigError."""
        return cls.of(settings, load_method(settings))

    @classmethod
    def with_fake_detectors(cls, settings: Settings) -> ScreeningDesk:
        """A desk with real intake and decoding but FakeDetector networks: for tests of everything around them."""
        from deepscreen.method import fake_method

        return cls.of(settings, fake_method(settings))

    @classmethod
    def of(cls, settings: Settings, method: Method) -> ScreeningDesk:
        """A desk of a loaded method."""
        return cls(
            settings,
            detectors=method.detectors,
            scale=method.scale,
            provenance=method.provenance,
            yunet_path=method.yunet_path,
        )

    @property
    def cards(self) -> tuple[DetectorCard, ...]:
        """The cards of all detectors, in the registry's order."""
        return tuple(detector.card for detector in self._detectors)

    def screen(
        self, intake: Intake, *, profile: Profile | None = None, on_progress: OnProgress = lambda _: None
    ) -> Screened:
        """Screens one file that was taken in; raises MediaError where it cannot be examined.

        ``profile``: None for that of the settings. The record's provenance says which it was. ``on_progress``: is told
        how much of the sound is read; more than once from the beginning where several detectors read it.
        """
        return self.conclude(self.examine(intake, profile=profile, on_progress=on_progress))

    def examine(
        self,
        intake: Intake,
        *,
        profile: Profile | None = None,
        on_progress: OnProgress = lambda _: None,
        before_room: BeforeRoom = lambda _: None,
    ) -> Examination:
        """Decodes the file, or its head, and looks it over; raises MediaError where it cannot be examined.

        ``before_room``: is told how many pixels a picture has before memory for it is taken, and may wait.
        No network but the finder of faces runs: while others work on a file, another thread may examine the next.
        """
        bench = Bench(profile or self.settings.profile, on_progress)
        with bench.stage("decode"):
            examined = self.decoder.examine(intake, before_room=before_room)
        with bench.stage("inspect"):
            findings = self.decoder.inspect(intake)
        faces: tuple[Face, ...] = ()
        if examined.still is not None:
            with bench.stage("faces"):
                faces = self._locate_faces(examined.still.pixels)
        return Examination(intake, examined, findings, faces, bench)

    def conclude(self, examination: Examination) -> Screened:
        """Screens what was examined; of clips and sound the file is read again, and must still lie there."""
        return self.finish(self.detect(examination))

    def detect(self, examination: Examination) -> Detected:
        """Asks the networks. Meanwhile other threads may examine the next file and finish the one before."""
        intake, bench = examination.intake, examination.bench
        facts, still = examination.examined.facts, examination.examined.still
        results: dict[ModalityName, Callable[[], ModalityResult]]
        if still is not None:
            results = {"image": self._detect_still(still, examination.faces, bench)}
        elif facts.kind == "video":
            results = {
                "video": self._detect_clip(intake, facts, bench),
                "audio": self._detect_sound(intake, facts, bench),
            }
        else:
            results = {"audio": self._detect_sound(intake, facts, bench)}
        return Detected(examination, results)

    def finish(self, detected: Detected) -> Screened:
        """Draws the evidence, judges, and makes the record; in the thorough profile the networks are asked again."""
        intake, bench = detected.examination.intake, detected.examination.bench
        facts = detected.examination.examined.facts
        results = {modality: conclude() for modality, conclude in detected.results.items()}
        findings = facts.facts + detected.examination.findings
        screening = Screening(
            media=_media(intake, facts),
            modalities=results,
            findings=findings,
            overall=overall(results),
            provenance=under_profile(self._known_by, bench.profile),
            solve_it_techniques=techniques_applied(results, findings),
        )
        return bench.screened(screening)

    def close(self) -> None:
        """Ends the decoder's processes."""
        self.decoder.close()

    def _detect_still(self, still: Still, faces: tuple[Face, ...], bench: Bench) -> Callable[[], ModalityResult]:
        picture = ImageSample(still, faces)  # one object: what its detectors share is computed once

        def sample() -> ImageSample:
            return picture

        with bench.stage("detect"):
            outcomes = self._score("image", sample)

        def conclude() -> ModalityResult:
            with bench.stage("render"):
                bench.thumbnail = thumbnail_jpeg(still.pixels)
            with bench.stage("fingerprint"):
                bench.fingerprints["image"] = picture_fingerprint(still.pixels)
            result = self._conclude("image", outcomes, bench, pixels=still.pixels, duration_seconds=0.0)
            result = result.model_copy(update={"faces_px": tuple(_box(face) for face in faces)})
            return self._tested("image", result, sample, bench)

        return conclude

    def _detect_clip(self, intake: Intake, facts: MediaFacts, bench: Bench) -> Callable[[], ModalityResult]:
        duration = facts.duration_seconds("video")
        limits = self.settings.limits
        plan = SamplingPlan.over(duration, frames_per_second=limits.frames_per_second, max_frames=limits.max_frames)

        fingerprint = ClipFingerprint(duration)

        def frames_at(times: Sequence[float]) -> Iterator[Frame]:
            return prefetched(self.decoder.frames(intake, SamplingPlan(tuple(times))), ahead=FRAMES_AHEAD)

        def sample() -> ClipSample:
            frames = self._with_faces(fingerprint.watched(frames_at(plan.times_seconds)), bench)
            return ClipSample(frames, duration, closer=lambda times: self._with_faces(frames_at(times), bench))

        with bench.stage("detect"):
            outcomes = self._score("video", sample)
        if len(plan.times_seconds) < FRAMES or not fingerprint.is_whole:  # the detectors read too few
            with bench.stage("fingerprint"), suppress(MediaError):  # it is no evidence: a clip may go without
                closer = ClipFingerprint(duration)
                deque(closer.watched(self.decoder.frames(intake, frames_plan(duration))), maxlen=0)
                fingerprint = closer
        bench.fingerprints["video"] = fingerprint.content

        def conclude() -> ModalityResult:
            result = self._conclude("video", outcomes, bench, pixels=None, duration_seconds=duration)
            return self._tested("video", result, sample, bench)

        return conclude

    def _detect_sound(self, intake: Intake, facts: MediaFacts, bench: Bench) -> Callable[[], ModalityResult]:
        stream, duration = facts.stream("audio"), facts.duration_seconds("audio")
        fingerprint = SoundFingerprint()

        def sample() -> SoundSample:
            blocks = fingerprint.watched(bench.listened(self.decoder.sound(intake), duration))
            return SoundSample(blocks, (stream.sample_rate_hz if stream else None) or 0)

        if stream is None:
            cards = [d.card for d in self._detectors if d.card.modality == "audio"]
            outcomes: list[Outcome] = [
                (card, NotScored(card.name, Absence.NO_AUDIO_TRACK, "the file has no sound track")) for card in cards
            ]
        else:
            with bench.stage("detect_sound"):
                outcomes = self._score("audio", sample)
            bench.fingerprints["audio"] = fingerprint.content

        def conclude() -> ModalityResult:
            result = self._conclude("audio", outcomes, bench, pixels=None, duration_seconds=duration)
            return self._tested("audio", result, sample, bench)

        return conclude

    def _tested(self, modality: Modality, result: ModalityResult, source: SampleSource, bench: Bench) -> ModalityResult:
        """In the thorough profile the result after the laundering test, in the default one as it is."""
        if bench.profile == "default":
            return result
        deciding = partial(self._score, modality, with_plugins=False)
        with bench.stage("launder"):
            return laundering_test(modality, result, source, deciding, scale=self._scale, policy=self.settings.policy)

    def _score(self, modality: Modality, sample: SampleSource, *, with_plugins: bool = True) -> list[Outcome]:
        """Every detector of *modality* on a fresh sample; one that fails leaves a NotScored, the others still count."""
        outcomes: list[Outcome] = []
        for detector in self._detectors:
            if detector.card.modality != modality or (detector.card.is_plugin and not with_plugins):
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
        bench: Bench,
        *,
        pixels: Pixels | None,
        duration_seconds: float,
    ) -> ModalityResult:
        """Evidence pictures, caveats, and the calibrated, decided result."""
        entries: list[Evidence] = []
        caveats: list[Caveat] = []
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

    def _with_faces(self, frames: Iterator[Frame], bench: Bench) -> Iterator[FrameSample]:
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


def _media(intake: Intake, facts: MediaFacts) -> Media:
    return Media(
        sha256=intake.sha256,
        size_bytes=intake.size_bytes,
        kind=facts.kind,
        container=facts.container,
        mime=facts.mime,
        streams=tuple(Stream(**asdict(stream)) for stream in facts.streams),
    )


def _box(face: Face) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(float(edge), 1) for edge in face.box_xyxy_px)
    return left, top, right, bottom


def screen(
    source: Path | str,
    *,
    desk: ScreeningDesk | None = None,
    evidence_dir: Path | None = None,
    profile: Profile | None = None,
) -> Screening:
    """Screens a file; evidence pictures are written to *evidence_dir* under their names when it is given.

    ``profile``: None for that of the desk's settings; "thorough" tests what was decided by re-encoding.
    Without a *desk* one is built for this call, which loads all networks: build one for more than one file.
    Raises MediaError where the file cannot be examined, WeightsError where the installation is not proven.
    """
    if desk is None:
        own_desk = ScreeningDesk.build(load_settings())
        try:
            return screen(source, desk=own_desk, evidence_dir=evidence_dir, profile=profile)
        finally:
            own_desk.close()
    screened = desk.screen(take_in(Path(source), limits=desk.settings.limits), profile=profile)
    if evidence_dir is not None:
        write_artefacts(screened, evidence_dir)
    return screened.screening
