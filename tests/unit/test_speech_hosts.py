"""Half minutes of speech for judging spans: manipulated and control differ in one second and in nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from deepscreen.evaluation.span_cases import UNTOUCHED
from deepscreen.evaluation.speech_hosts import (
    CASES_PER_HOST,
    HOST_SAMPLES,
    LEVEL,
    OTHER_SOURCE,
    RATE_HZ,
    SAME_SOURCE,
    SPAN_SAMPLES,
    joined,
    loudest_second,
    speech_cases,
    speech_hosts,
)
from deepscreen.training.labelled import LabelledFile


def recording(folder: Path, name: str, label: int, source: str, tone_hz: float) -> LabelledFile:
    path = folder / f"{name}.flac"
    t = np.arange(3 * RATE_HZ) / RATE_HZ
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * tone_hz * t), RATE_HZ)
    return LabelledFile(path, path.name, label, "kind", f"system {name}", source, name, None)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledFile]:
    """Source a: seven bona fide tones and a spoof; source b: five bona fide tones; source c: a spoof."""
    folder = tmp_path_factory.mktemp("speech")
    found = [recording(folder, f"a{k}", 0, "a", 200 + 50 * k) for k in range(7)]
    found += [recording(folder, f"b{k}", 0, "b", 300 + 50 * k) for k in range(5)]
    return [*found, recording(folder, "spoof_a", 1, "a", 3000), recording(folder, "spoof_c", 1, "c", 4000)]


def cases(files: list[LabelledFile], spoofs: list[LabelledFile]):
    (host,) = speech_hosts(files, np.zeros(len(files), np.int64))
    return host, list(speech_cases(host, spoofs))


def test_only_a_source_with_enough_bona_fide_recordings_is_a_host(files: list[LabelledFile]) -> None:
    host, _ = cases(files, [])
    assert (host.source, len(host.clips)) == ("a", 7)
    assert all(clip.label == 0 for clip in host.clips)


def test_control_and_manipulated_differ_in_the_second_alone(files: list[LabelledFile]) -> None:
    _, ((control, before), (case, after), *more) = cases(files, [f for f in files if f.label])
    assert len(more) == 2 * (CASES_PER_HOST - 1)
    assert len({one.start_seconds for one, _ in more[1::2]} | {case.start_seconds}) == CASES_PER_HOST
    assert (control.maker, case.maker, case.system) == (UNTOUCHED, SAME_SOURCE, "system spoof_a")
    first = round(case.start_seconds * RATE_HZ)
    inside = slice(first, first + SPAN_SAMPLES)
    assert len(before) == len(after) == HOST_SAMPLES
    assert case.end_seconds - case.start_seconds == pytest.approx(1.0)
    assert np.array_equal(np.delete(before, np.r_[inside]), np.delete(after, np.r_[inside]))
    for sound in (before, after):
        assert np.sqrt(np.mean(sound[inside] ** 2)) == pytest.approx(LEVEL, rel=0.02)


def test_control_has_a_second_of_another_bona_fide_recording(files: list[LabelledFile]) -> None:
    host, ((_, before), (case, _), *_) = cases(files, [f for f in files if f.label])
    whole, numbers = joined(host)
    first = round(case.start_seconds * RATE_HZ)
    inside = slice(first, first + SPAN_SAMPLES)
    loudest_hz = int(np.argmax(np.abs(np.fft.rfft(before[inside]))))
    assert loudest_hz in {200 + 50 * k for k in range(7)} - {200 + 50 * k for k in set(numbers[inside])}
    assert not np.array_equal(whole[inside], before[inside])


def test_a_spoof_of_another_source_is_taken_where_there_is_no_own(files: list[LabelledFile]) -> None:
    _, found = cases(files, [files[-1]])
    assert found[1][0].maker == OTHER_SOURCE


def test_no_spoof_leaves_the_control_alone(files: list[LabelledFile]) -> None:
    assert {case.maker for case, _ in cases(files, [])[1]} == {UNTOUCHED}


def test_loudest_second_is_found_and_a_short_recording_is_padded() -> None:
    samples = np.zeros(3 * RATE_HZ, np.float32)
    samples[round(1.4 * RATE_HZ) : round(2.4 * RATE_HZ)] = 0.5
    assert float(np.abs(loudest_second(samples)).min()) == 0.5
    assert len(loudest_second(samples[:100])) == SPAN_SAMPLES
