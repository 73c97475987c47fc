"""Records as screenings make them, for the tests of reports."""

from typing import Any

from deepscreen.absence import Absence
from deepscreen.record import (
    CalibratedReading,
    Caveat,
    Evidence,
    FaithfulnessRecord,
    Finding,
    Media,
    ModalityResult,
    Overall,
    Provenance,
    Screening,
    Stream,
    TimelineSpan,
    Unscored,
    Verdict,
)

FAILED_NAME = "evil\n<script>alert(1)</script>\u202egpj.exe\x1b[2J\udcff"
UNIT = "log-odds for synthetic or manipulated"
PROVENANCE = Provenance(
    software="deepscreen 0.1.0",
    method_digest="ab" * 32,
    weights_sha256={"clip_vit_b16": "cd" * 32},
    settings_digest="12" * 32,
    device_class="cpu",
    precision="fp32",
)


def result(verdict: Verdict, log10_lr: float | None, verbal: str, **fields: Any) -> ModalityResult:
    """A modality's result whose interval is half a unit to both sides."""
    return ModalityResult(
        verdict=verdict,
        authenticity_score=None if log10_lr is None else 1 / (1 + 10**log10_lr),
        prior_spoof=0.5,
        log10_lr=log10_lr,
        log10_lr_low=None if log10_lr is None else log10_lr - 0.5,
        log10_lr_high=None if log10_lr is None else log10_lr + 0.5,
        log10_lr_limit=None if log10_lr is None else 2.5,
        verbal=verbal,
        **fields,
    )


def heatmap(name: str = "image_clip-heatmap-whole.png") -> Evidence:
    """An entry for a heatmap of a whole picture."""
    return Evidence(
        name=name,
        kind="heatmap",
        sha256="aa" * 32,
        detector="image_clip",
        subject="whole",
        scale_low=-4,
        scale_high=4,
        scale_unit=UNIT,
        faithfulness=FaithfulnessRecord(drop_hottest=1.23, drop_random=0.1, masked_fraction=0.1),
    )


def image_screening(message: str = "The picture looks upscaled.", **fields: Any) -> Screening:
    """A picture that supports spoof, with a heatmap, a reading, a caveat that says *message* and a finding."""
    reading = CalibratedReading(
        detector="image_clip", detector_version="1", spoof_logit=3.214, n_samples=3, log10_lr=2.5, stratum="jpeg_low"
    )
    image = result(
        Verdict.SPOOF_SUPPORTED,
        2.5,
        "moderately strong support",
        evidence=(heatmap(),),
        readings=(reading,),
        caveats=(Caveat(code="upscaled", message=message),),
    )
    given = {
        "media": Media(
            sha256="11" * 32,
            size_bytes=2_345_678,
            kind="image",
            container="JPEG",
            mime="image/jpeg",
            streams=(Stream(kind="image", codec="JPEG", width_px=4032, height_px=3024),),
        ),
        "modalities": {"image": image},
        "findings": (Finding(code="orientation_applied", message="Orientation tag 6 was applied."),),
        "overall": Overall(verdict=Verdict.SPOOF_SUPPORTED, explanation="The image detector supports spoof."),
        "provenance": PROVENANCE,
    }
    return Screening(**{**given, **fields})


def video_screening() -> Screening:
    """A clip with suspicious spans whose sound is inconclusive."""
    timeline = Evidence(
        name="video_clip-timeline.png",
        kind="timeline",
        sha256="bb" * 32,
        detector="video_clip",
        subject="clip",
        scale_low=-6,
        scale_high=6,
        scale_unit=UNIT,
        start_seconds=0.0,
        end_seconds=20.0,
    )
    spans = (
        TimelineSpan(start_seconds=7.5, end_seconds=11.0, spoof_logit=2.7),
        TimelineSpan(start_seconds=8.0, end_seconds=75.0, spoof_logit=5.95, track_id=0),
    )
    narrow = Unscored(detector="audio_whisper", absence=Absence.NARROW_BAND, detail="Nothing above 3.4 kHz.")
    video = result(Verdict.SPOOF_SUPPORTED, 1.4, "moderate support", evidence=(timeline,), suspicious_spans=spans)
    audio = result(Verdict.INCONCLUSIVE, -0.3, "no support for either", not_scored=(narrow,))
    media = Media(
        sha256="22" * 32,
        size_bytes=900,
        kind="video",
        container="mov,mp4,m4a,3gp,3g2,mj2",
        mime="video/mp4",
        streams=(),
    )
    return image_screening(
        media=media,
        modalities={"audio": audio, "video": video},
        findings=(),
        overall=Overall(verdict=Verdict.SPOOF_SUPPORTED, explanation="The pictures support spoof."),
    )


def silent_screening() -> Screening:
    """A sound track on which nothing was scored."""
    silent = Unscored(detector="audio_whisper", absence=Absence.SILENT, detail="No speech in 12.0 s.")
    return image_screening(
        media=Media(sha256="33" * 32, size_bytes=10, kind="audio", container="wav", mime="audio/wav", streams=()),
        modalities={"audio": result(Verdict.NOT_SCREENED, None, "not screened", not_scored=(silent,))},
        findings=(),
        overall=Overall(verdict=Verdict.NOT_SCREENED, explanation="Nothing was scored."),
    )
