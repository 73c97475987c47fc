"""Look a file over for findings: metadata, structure, credentials, shots, sound. Runs in the decoder process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import BinaryIO

from deepscreen.findings.finding import Finding
from deepscreen.findings.inspectors import guarded, inspect
from deepscreen.findings.interruption import LEAST_GAP_SECONDS, SIDE_PX, interruption_findings
from deepscreen.findings.metadata import read_metadata
from deepscreen.findings.sound import sound_history
from deepscreen.findings.specimen import Specimen
from deepscreen.media.audio import sound_blocks
from deepscreen.media.container import audio_streams, open_container, video_streams
from deepscreen.media.image import open_picture
from deepscreen.media.small_frames import small_frames
from deepscreen.media.sniff import Sniffed
from deepscreen.media.wire import Job

MAX_TAGS = 64
MAX_TAG_CHARACTERS = 4_000
SOUND_SECONDS = 60.0
LOSSLESS = frozenset({"flac", "alac", "wavpack", "tta", "ape"})
COMPANDED = frozenset({"pcm_mulaw", "pcm_alaw", "pcm_vidc"})


def findings_of(job: Job, file: BinaryIO, sniffed: Sniffed) -> Iterator[Finding]:
    """All findings on the file but those that need its decoded picture."""
    specimen = Specimen(
        file, sniffed.format, sniffed.mime, read_metadata(file, sniffed.format), trust_anchors=job.trust_anchors
    )
    if sniffed.reader == "pillow":
        width_px, height_px = open_picture(file, sniffed, max_pixels=job.limits.max_pixels).size
        yield from inspect(replace(specimen, width_px=width_px, height_px=height_px))
        return
    file.seek(0)
    with open_container(file, sniffed) as container:
        tags = dict(container.metadata)
        for stream in container.streams:
            tags |= {f"{stream.type} {name}": value for name, value in stream.metadata.items()}
        audios = audio_streams(container)
        has_video = bool(video_streams(container))
        context = audios[0].codec_context if audios and not has_video else None
        codec, rate_hz = (context.codec.canonical_name, context.sample_rate) if context else ("", 0)
    bounded = {name: value[:MAX_TAG_CHARACTERS] for name, value in islice(tags.items(), MAX_TAGS)}
    yield from inspect(replace(specimen, tags=bounded))
    if has_video:
        yield from guarded("frames", lambda: _shots(file, sniffed))
    if rate_hz and (codec in LOSSLESS or (codec.startswith("pcm_") and codec not in COMPANDED)):
        yield from guarded("sound", lambda: _sound(file, sniffed, rate_hz))


def _shots(file: BinaryIO, sniffed: Sniffed) -> Iterator[Finding]:
    file.seek(0)
    return interruption_findings(small_frames(file, sniffed, side_px=SIDE_PX, least_gap_seconds=LEAST_GAP_SECONDS))


def _sound(file: BinaryIO, sniffed: Sniffed, rate_hz: int) -> Iterator[Finding]:
    """Findings on the first minute, at the track's own rate."""
    file.seek(0)
    blocks = sound_blocks(file, sniffed, sample_rate_hz=rate_hz, block_samples=round(SOUND_SECONDS * rate_hz))
    for block in islice(blocks, 1):
        yield from sound_history(block, rate_hz)
