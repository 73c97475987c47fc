"""What the inspectors are given: one file, opened, with what is already known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from deepscreen.findings.metadata import Metadata


@dataclass(frozen=True, slots=True)
class Specimen:
    """A file in the decoder process; inspectors read from it and keep nothing."""

    file: BinaryIO
    format: str  # Pillow's format name, or FFmpeg's demuxer
    mime: str
    metadata: Metadata
    width_px: int | None = None  # of the picture as stored, before any turn
    height_px: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)  # of container and streams, as FFmpeg reads them
    trust_list: Path | None = None  # PEM
