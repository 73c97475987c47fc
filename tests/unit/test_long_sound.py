"""Sound of hours: how far it is read is told, and no more of it is held than a block."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepscreen.media.intake import take_in
from deepscreen.media.samples import Waveform
from deepscreen.screened import Bench
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Limits, Settings

RATE_HZ, BLOCK_SECONDS = 16_000, 30.0


def test_the_share_that_is_read_is_told_block_by_block(tmp_path: Path) -> None:
    path = tmp_path / "minutes.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, 75 * RATE_HZ), RATE_HZ)
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu"))
    told: list[float] = []
    screened = desk.screen(take_in(path, limits=desk.settings.limits), on_progress=told.append)
    desk.close()
    assert told == pytest.approx([30 / 75, 60 / 75, 1.0])
    assert screened.screening.modalities["audio"].readings[0].n_samples == 3


def test_ten_hours_are_let_in() -> None:
    assert Limits().max_duration_seconds >= 10 * 3600


def test_listening_to_hours_holds_one_block_at_a_time() -> None:
    def blocks() -> Iterator[Waveform]:
        for k in range(240):  # two hours
            samples = np.full(round(BLOCK_SECONDS * RATE_HZ), 0.1, np.float32)
            yield Waveform(samples, RATE_HZ, k * BLOCK_SECONDS)

    tracemalloc.start()
    seconds = sum(b.duration_seconds for b in Bench("default").listened(blocks(), 7200.0))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds == pytest.approx(7200)
    assert peak_bytes < 4 * round(BLOCK_SECONDS * RATE_HZ) * 4
