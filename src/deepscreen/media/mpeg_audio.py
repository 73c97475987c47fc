"""Tell MP3 (any MPEG audio layer) and AAC (ADTS) from chance: frame headers must chain.

Source: ISO/IEC 11172-3 2.4.1.3 and 13818-3 (MPEG audio header), 14496-3 1.A.2.2 (ADTS).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

FrameLength = Callable[[bytes], int]
SCAN_BYTES = 4096  # a stream may begin in the middle of a frame, or after zeros
LEAST_FRAMES = 3
SAMPLE_RATES_HZ = (44_100, 48_000, 32_000)
# Bit rates in kbit/s by (version 1?, layer).
BIT_RATES = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def mpeg_audio_kind(data: bytes) -> Literal["mp3", "aac"] | None:
    """FFmpeg's demuxer for *data*, or None when no three frames follow one another."""
    at = data.find(b"\xff", 0, SCAN_BYTES)
    while at >= 0:
        if _chains(data, at, adts_frame_bytes):
            return "aac"
        if _chains(data, at, mpeg_frame_bytes):
            return "mp3"
        at = data.find(b"\xff", at + 1, SCAN_BYTES)
    return None


def _chains(data: bytes, at: int, frame_bytes: FrameLength) -> bool:
    for _ in range(LEAST_FRAMES):
        length = frame_bytes(data[at : at + 7])
        if length == 0:
            return False
        at += length
    return True


def adts_frame_bytes(header: bytes) -> int:
    """Length of an AAC frame from its ADTS header, or 0 when it is none."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 0xF > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0


def mpeg_frame_bytes(header: bytes) -> int:
    """Length of an MPEG audio frame from its header, or 0 when it is none (free-format frames count as none)."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate_index, hz_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or rate_index in (0, 15) or hz_index == 3:
        return 0
    is_version_1 = version == 3
    sample_rate_hz = SAMPLE_RATES_HZ[hz_index] // {3: 1, 2: 2, 0: 4}[version]
    bits_per_second = 1000 * BIT_RATES[is_version_1, layer][rate_index]
    if layer == 1:
        return (12 * bits_per_second // sample_rate_hz + padding) * 4
    samples = 1152 if is_version_1 or layer == 2 else 576
    return samples // 8 * bits_per_second // sample_rate_hz + padding
