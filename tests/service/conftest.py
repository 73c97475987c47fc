"""A running app with real decoding and fake networks, and tiny real media."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import MAX_BYTES, serving
from starlette.testclient import TestClient

from deepscreen.settings import Limits, Settings


@pytest.fixture(scope="session")
def png() -> bytes:
    """A small colourful picture as a PNG file."""
    rows, columns = np.mgrid[0:96, 0:128]
    pixels = np.stack([rows * 2, columns * 2 % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def gif() -> bytes:
    """Two seconds of a moving square, without sound, as an animated GIF: video by its content."""
    frames = [np.zeros((64, 64), np.uint8) for _ in range(10)]
    for index, pixels in enumerate(frames):
        pixels[20:40, 4 * index : 4 * index + 20] = 255
    first, *rest = map(Image.fromarray, frames)
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=rest, duration=200)
    return file.getvalue()


@pytest.fixture(scope="session")
def wav() -> bytes:
    """Two seconds of a tone at 16 kHz, as a WAV file."""
    tone = 8000 * np.sin(np.arange(32_000) * 2 * np.pi * 440 / 16_000)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(tone.astype("<i2").tobytes())
    return file.getvalue()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of ``client``; its data folder is locked while that runs."""
    return _settings(tmp_path_factory.mktemp("shared") / "data")


@pytest.fixture
def own_settings(tmp_path: Path) -> Settings:
    """Settings for a test that starts a service of its own."""
    return _settings(tmp_path / "data")


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    """A client of a service that all tests of a module share, as its clients would."""
    with serving(settings) as client:
        yield client


def _settings(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir, device="cpu", limits=Limits(max_bytes=MAX_BYTES))
