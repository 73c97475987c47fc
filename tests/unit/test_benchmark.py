"""The benchmark: what it counts, what it makes, what it judges, and that all of it runs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from transformers.models.whisper.configuration_whisper import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from deepscreen.detectors.contract import ImageSample, Scored
from deepscreen.detectors.fake import FakeDetector
from deepscreen.detectors.nets.clip import SIZE_PX
from deepscreen.detectors.nets.whisper import MELS
from deepscreen.evaluation.bench_figures import (
    Figure,
    Measured,
    Stage,
    backbone_seconds,
    forward_seconds,
    memory_figures,
    picture_figures,
    picture_stages,
    ratio_figure,
)
from deepscreen.evaluation.bench_media import joined_speech, make_clip, make_looped, make_photograph, make_speech
from deepscreen.evaluation.bench_memory import MemoryWatch, peak_resident_bytes
from deepscreen.evaluation.bench_meter import DetectorRun, MeteredDetector, Pass, PassMeter
from deepscreen.evaluation.bench_report import Machine, Report, as_json, as_markdown, this_machine, write_report
from deepscreen.evaluation.bench_run import Run
from deepscreen.evaluation.bench_startup import Address, help_seconds, import_seconds, is_ready
from deepscreen.evaluation.benchmark import main
from deepscreen.media.samples import Still

SAMPLES = Path(__file__).resolve().parents[2] / "sample_media"
PORTRAIT = SAMPLES / "bona_fide" / "portrait_hopper.jpg"
READING = SAMPLES / "bona_fide" / "reading.flac"


def forward(seconds: float) -> Pass:
    return Pass("forward", seconds)


def picture_run(seconds: float, pass_seconds: float) -> Run:
    passes = (forward(pass_seconds),) * 3
    detectors = (DetectorRun("image_clip", 1, 0.3, passes), DetectorRun("face_clip", 1, 0.3, passes))
    stages = {"hash": 0.01, "decode": 0.1, "faces": 0.02, "detect": 0.6, "render": 0.05, "write": 0.01}
    return Run(seconds, stages, detectors, "bf16", 10**9, 12 * 10**8)


@pytest.fixture
def encoder() -> WhisperEncoder:
    config = WhisperConfig(
        d_model=8,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=8,
        num_mel_bins=MELS,
        max_source_positions=8,
    )
    return WhisperEncoder(config).eval().requires_grad_(False)


def pass_through(encoder: WhisperEncoder, log_mel: torch.Tensor) -> torch.Tensor:
    state = encoder.conv2(encoder.conv1(log_mel)).permute(0, 2, 1)
    for layer in encoder.layers:
        state = layer(state, None)
    return state


def test_meter_counts_each_forward_pass(encoder: WhisperEncoder) -> None:
    with PassMeter() as meter:
        for _ in range(3):
            pass_through(encoder, torch.zeros(1, MELS, 16))
        passes = meter.take()
    assert [one.direction for one in passes] == ["forward"] * 3
    assert all(0 < one.seconds < 5 for one in passes)


def test_meter_tells_backward_from_forward(encoder: WhisperEncoder) -> None:
    log_mel = torch.zeros(1, MELS, 16, requires_grad=True)
    with PassMeter() as meter:
        torch.autograd.grad(pass_through(encoder, log_mel).sum(), log_mel)
        torch.autograd.grad(pass_through(encoder, log_mel).sum(), log_mel)
        passes = meter.take()
    assert [one.direction for one in passes] == ["forward", "backward"] * 2
    assert all(one.seconds > 0 for one in passes)


def test_meter_leaves_no_hook_after_an_error(encoder: WhisperEncoder) -> None:
    meter = PassMeter()
    with pytest.raises(RuntimeError), meter:
        pass_through(encoder, torch.zeros(1, MELS + 1, 16))
    meter.take()
    pass_through(encoder, torch.zeros(1, MELS, 16))
    assert meter.take() == ()


def test_metered_detector_gives_the_detectors_own_result() -> None:
    sample = ImageSample(Still(np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)), ())
    runs: list[DetectorRun] = []
    detector = FakeDetector("image")
    with PassMeter() as meter:
        outcome = MeteredDetector(detector, meter, runs).score(sample)
    plain = detector.score(sample)
    assert isinstance(outcome, Scored)
    assert isinstance(plain, Scored)
    assert outcome.reading == plain.reading
    assert [(run.detector, run.n_samples, run.passes) for run in runs] == [("fake_image", 1, ())]


def test_memory_watch_sees_what_was_held_and_given_back() -> None:
    with MemoryWatch() as memory:
        held = np.ones(200_000_000, np.uint8)
        for _ in range(20):
            held += 1
        del held
    assert memory.peak_tree_bytes > 200_000_000
    assert peak_resident_bytes() >= 200_000_000


def test_run_survives_the_way_between_processes() -> None:
    run = picture_run(0.8, 0.08)
    assert Run.from_json(run.as_json()) == run


def test_overhead_is_time_minus_forward_passes() -> None:
    measured = Measured((picture_run(0.8, 0.11), picture_run(1.0, 0.11), picture_run(0.89, 0.11)), 0.1)
    overhead, whole = picture_figures(measured, is_bf16=True)
    assert overhead.value == pytest.approx(0.89 - 6 * 0.11)
    assert overhead.outcome == "met"
    assert whole.value == pytest.approx(0.89)
    assert "6 forward passes" in overhead.detail
    slow = Measured((picture_run(1.0, 0.1),), 0.1)
    assert [f.outcome for f in picture_figures(slow, is_bf16=True)] == ["missed", "missed"]
    assert [f.outcome for f in picture_figures(slow, is_bf16=False)] == ["missed", "not judged"]


def test_picture_without_one_face_is_refused() -> None:
    run = picture_run(0.8, 0.1)
    faceless = replace(run, detectors=(run.detectors[0], replace(run.detectors[1], n_samples=0)))
    with pytest.raises(ValueError, match="one face"):
        picture_figures(Measured((faceless,), 0.0), is_bf16=True)


def test_stages_add_up_to_the_run() -> None:
    stages = {stage.name: stage.seconds for stage in picture_stages([picture_run(0.9, 0.08)])}
    assert sum(stages.values()) == pytest.approx(0.9)
    assert stages["forward"] == pytest.approx(2 * 0.08)
    assert stages["faithfulness"] == pytest.approx(4 * 0.08)


def test_ratio_counts_all_passes_and_states_the_forward_ones_alone() -> None:
    passes = (forward(1.0), forward(2.0), Pass("backward", 1.0))
    run = Run(5.0, {}, (DetectorRun("audio_whisper", 2, 4.5, passes),), "bf16", 1, 1)
    assert (forward_seconds(run), backbone_seconds(run)) == (3.0, 4.0)
    figure = ratio_figure("speech", Measured((run,), 0.0))
    assert figure.value == pytest.approx(1.25)
    assert figure.outcome == "met"
    assert "1.67 x the forward passes alone" in figure.detail


def test_growth_is_that_of_memory_while_screening() -> None:
    short = picture_run(1.0, 0.1)
    longer = replace(short, peak_tree_bytes=short.peak_tree_bytes + 400 * 10**6)
    peak, growth = memory_figures(Measured((short,), 0.0), Measured((longer,), 0.0), short_name="a", long_name="b")
    assert (peak.value, peak.outcome) == (1.0, "met")
    assert (growth.value, growth.outcome) == (400.0, "missed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def test_photograph_has_the_size_and_is_the_same_twice(folder: Path) -> None:
    one, two = folder / "one.jpg", folder / "two.jpg"
    for path in (one, two):
        make_photograph(PORTRAIT, path, size_px=(400, 300))
    assert one.read_bytes() == two.read_bytes()
    assert cv2.imread(str(one)).shape == (300, 400, 3)


def test_clip_and_its_loop_have_picture_and_sound_throughout(folder: Path) -> None:
    clip, looped = folder / "clip.mp4", folder / "looped.mp4"
    make_clip(PORTRAIT, [READING], clip, seconds=1)
    make_looped(clip, looped, times=3)
    with av.open(str(clip)) as short, av.open(str(looped)) as long:
        video = long.streams.video[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 1280, 720)
        assert long.streams.audio[0].codec_context.name == "aac"
        assert short.streams.video[0].average_rate == 30
        assert video.frames == 3 * short.streams.video[0].frames == 90
        assert 3.0 <= float(long.duration or 0) / av.time_base < 3.4
        assert sum(1 for _ in long.decode(video=0)) == 90


def test_speech_lasts_as_long_as_asked(folder: Path) -> None:
    make_speech([READING], folder / "speech.flac", seconds=9)
    with av.open(str(folder / "speech.flac")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == 9 * 16_000
    assert np.abs(joined_speech([READING], seconds=9, rate_hz=8_000)).max() > 1_000


def test_report_says_when_it_is_not_to_be_trusted(tmp_path: Path) -> None:
    figure = Figure("12-megapixel JPEG", 1.0, 0.9, "s", "median of 10", 0.12)
    machine = Machine("EPYC", 2, 8.0, True, "Linux x86_64", "3.13", "2.14", load_average=0.1)
    report = Report("deepscreen 0", machine, "bf16", False, (figure,), (Stage("hash", 0.002),))
    assert "| 12-megapixel JPEG | ≤ 0.9 s | 1 s | missed | median of 10 | 0.12 |" in as_markdown(report)
    assert "not quiet" not in as_markdown(report)
    busy = replace(report, machine=replace(machine, load_average=3.0), precision="fp32")
    assert "The machine was not quiet: load average 3.00 on 2 cores" in as_markdown(busy)
    assert "reported and not judged" in as_markdown(busy)
    json_path, _ = write_report(report, tmp_path / "docs")
    stored = json.loads(json_path.read_text())
    assert stored == json.loads(as_json(report))
    assert stored["figures"][0]["outcome"] == "missed"


def test_machine_facts_are_this_machines() -> None:
    machine = this_machine(has_bf16=False)
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.memory_gib > 0.5
    assert machine.processor


def test_import_and_help_run_and_are_timed() -> None:
    assert 0 < import_seconds() < 30
    assert 0 < help_seconds() < 30


def test_service_that_is_not_there_is_not_ready() -> None:
    assert not is_ready(Address("127.0.0.1", 9))


def test_missing_samples_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--samples", str(tmp_path)]) == 1
    assert "portrait_hopper.jpg: not there" in capsys.readouterr().err


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_quick_benchmark_measures_every_figure(tmp_path: Path) -> None:
    assert main(["--quick", "--samples", str(SAMPLES), "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "benchmark.json").read_text())
    assert len(report["figures"]) == 9
    assert all(figure["outcome"] == "not judged" and figure["value"] > 0 for figure in report["figures"][:3])
    assert [stage["name"] for stage in report["stages"]][:4] == ["hash", "decode", "faces", "forward"]
