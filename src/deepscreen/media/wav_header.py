"""What the header of a WAV file claims. FFmpeg tells only what the file can hold, which hides that it was cut.

Source: Microsoft/IBM "Multimedia Programming Interface and Data Specifications 1.0" (1991), RIFF and WAVE.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

HEADER_BYTES = 64 * 1024  # `fmt ` and `data` begin here, also behind the usual metadata chunks
UNKNOWN_SIZES = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF})  # written by programs that stream


def wav_claimed_seconds(file: BinaryIO) -> float | None:
    """Length of the `data` chunk over the byte rate, both as written; None when the header does not say."""
    file.seek(0)
    head = file.read(HEADER_BYTES)
    file.seek(0)
    bytes_per_second, at = 0, 12
    while head.startswith(b"RIFF") and at + 8 <= len(head):
        kind, size_bytes = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if kind == b"fmt " and at + 20 <= len(head):
            (bytes_per_second,) = struct.unpack_from("<I", head, at + 16)
        if kind == b"data":
            says_both = bytes_per_second > 0 and size_bytes not in UNKNOWN_SIZES
            return size_bytes / bytes_per_second if says_both else None
        at += 8 + size_bytes + size_bytes % 2
    return None
