"""``deepscreen evaluate-spans``: is one manipulated second found in a minute of honest video, or half one of speech?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepscreen.cli_errors import errors_to_exit_codes
from deepscreen.cli_evaluate import ticking

if TYPE_CHECKING:
    from deepscreen.evaluation.span_figures import ReadCase

MADE_NAME, TOKENS_NAME, REPORT_NAME = "span-clips", "span-tokens", "spans.json"


def evaluate_spans(
    manifest: Annotated[Path, typer.Option(help="Manifest that `fit video` or `fit audio` used.", exists=True)],
    cache: Annotated[Path, typer.Option(help="Folder of features that fits used; what is made is kept there too.")],
    out: Annotated[Path, typer.Option(help="Folder for spans.json.")],
    pictures: Annotated[
        Path | None, typer.Option(help="Of clips: the manifest of pictures that `fit image` used.", exists=True)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of laundering in fits.")] = 0,
) -> None:
    """Judge spans: one manipulated second in a minute of video or half one of speech, by heads that saw none of it.

    Without --pictures the manifest is one of speech. What is made of its recordings is set against untouched twins with
    the same joins. See docs/evaluation.md.
    """
    with errors_to_exit_codes():
        from deepscreen.evaluation.span_figures import FEW_FALSE, share, span_figures
        from deepscreen.settings import VerdictPolicy

        out.mkdir(parents=True, exist_ok=True)
        if pictures is None:
            report = {FEW_FALSE: span_figures(_read_speech(manifest, cache, seed), float("inf"))[FEW_FALSE]}
        else:
            cases, interrupted = _read(manifest, pictures, cache, seed)
            report = span_figures(cases, VerdictPolicy().spoof_min_log10_lr)
        for name, rates in report.items():
            _print_rates(name.replace("_", " "), rates)
        if pictures is not None:
            report["honest_clips_said_to_be_interrupted"] = share(interrupted)
            typer.echo(f"bona fide clips as they are, said to be interrupted: {sum(interrupted)} of {len(interrupted)}")
        (out / REPORT_NAME).write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _read_speech(manifest: Path, cache: Path, seed: int) -> list[ReadCase]:
    from threadpoolctl import threadpool_limits

    from deepscreen.cli_evaluate import held_out_speech_bench
    from deepscreen.evaluation.protocols import is_release_split
    from deepscreen.evaluation.speech_spans import read_speech_cases
    from deepscreen.settings import load_settings
    from deepscreen.training.audio_hold_out import hold_out
    from deepscreen.training.audio_rows import audio_rows
    from deepscreen.training.labelled import read_manifest

    features = held_out_speech_bench(load_settings(), cache / "audio", seed).features
    files = [file for file in read_manifest(manifest) if not is_release_split(file.source)]
    with threadpool_limits(1):
        held = hold_out(audio_rows([(file, clip) for file in files for clip in features.features(file)]))
        return list(read_speech_cases(held, features))


def _read(manifest: Path, pictures: Path, cache: Path, seed: int) -> tuple[list[ReadCase], list[bool]]:
    """The cases, and whether each bona fide clip as it is is said to be interrupted."""
    import torch
    from threadpoolctl import threadpool_limits

    from deepscreen.detectors.device import plan_compute
    from deepscreen.detectors.registry import Workshop
    from deepscreen.evaluation.kept_tokens import KeptClassTokens
    from deepscreen.evaluation.span_cases import made_cases
    from deepscreen.evaluation.spans import SpanReader, fold_methods, interruptions_in, read_cases
    from deepscreen.faces import FaceLocator
    from deepscreen.media.sandbox import Decoder
    from deepscreen.settings import Limits, load_settings
    from deepscreen.training.fit_video import hold_out, read_data
    from deepscreen.training.image_features import FeatureCache
    from deepscreen.training.video_features import VideoFeatureCache
    from deepscreen.weights.store import WeightsStore

    torch.set_num_threads(1)
    store = WeightsStore.from_settings(load_settings())
    workshop, locator = Workshop(store, plan_compute("cpu", "auto")), FaceLocator(store.locate("yunet").path)
    clip = workshop.clip_features.with_last_block()
    with threadpool_limits(1), Decoder(Limits()) as decoder:
        videos = VideoFeatureCache(cache / "video", clip, locator, decoder)
        data = read_data(manifest, pictures, FeatureCache(cache / "image", clip, locator, seed=seed), videos)
        methods = fold_methods(data, hold_out(data), videos)
        cases = list(made_cases(data.clips.files, data.clips.folds, locator, cache / MADE_NAME))
        tokens = KeptClassTokens(workshop.clip_features, cache / TOKENS_NAME)
        reader = SpanReader(cache / MADE_NAME, tokens, locator, decoder)
        found = []
        with ticking("reading", len(cases)) as tick:
            for one in read_cases(cases, reader, methods):
                found.append(one)
                tick()
        honest = [clip.path for clip in data.clips.files if clip.label == 0]
        return found, [bool(interruptions_in(path, decoder)) for path in honest]


def _print_rates(name: str, rates: dict[str, Any]) -> None:
    false = rates["false_spans_per_untouched_clip"]
    typer.echo(f"{name}: {false} false spans per untouched clip ({rates['n_untouched']} clips)")
    for maker, share in {"all makers": rates["found"], **rates["by_maker"]}.items():
        interval = f"{share['low']} to {share['high']}"
        typer.echo(f"  {maker}: found {share['rate']} ({interval}, n {share['n']}); touched {share['touched']}")
