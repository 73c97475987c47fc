"""``deepscreen evaluate``: how good the method is on a labelled data set, with n and an interval on every figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from deepscreen.cli_errors import errors_to_exit_codes

if TYPE_CHECKING:
    from deepscreen.detectors.registry import Workshop
    from deepscreen.evaluation.datasets.item import Item
    from deepscreen.evaluation.evaluation_report import EvaluationReport, Request
    from deepscreen.evaluation.score_rows import ScoredSet
    from deepscreen.settings import Settings
    from deepscreen.training.audio_features import AudioFeatureCache
    from deepscreen.training.image_features import FeatureCache
    from deepscreen.weights.store import WeightsStore


def evaluate(
    manifest: Annotated[Path, typer.Option(help="Manifest or CSV, or the folder of a data set.", exists=True)],
    out: Annotated[Path, typer.Option(help="Folder for evaluation.html, evaluation.json and scores.csv.")],
    by: Annotated[
        str, typer.Option(help="Strata: source, generator, kind, quality; several with commas.")
    ] = "source,generator,kind,quality",
    protocol: Annotated[
        str, typer.Option(help="as-shipped, leave-one-source-out or leave-one-generator-out.")
    ] = "as-shipped",
    leakage: Annotated[str, typer.Option(help="none, format-swapped, recoded, resized or label-shuffled.")] = "none",
    reader: Annotated[str, typer.Option(help="The data set's layout, or auto; see docs/evaluation.md.")] = "auto",
    cache: Annotated[
        Path | None, typer.Option(help="Features of the leave-one-out protocols.", show_default="OUT/features")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of shuffled labels, and of laundering in fits.")] = 0,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", show_default="auto")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, bf16 or fp32.", show_default="auto")] = None,
) -> None:
    """Evaluate the method on a labelled data set: overall, by stratum, held out, or under a leakage test.

    What was screened once into the same --out by the same method is not screened again. See docs/evaluation.md.
    """
    with errors_to_exit_codes():
        from deepscreen.evaluation.datasets.readers import read_items, reader_for
        from deepscreen.evaluation.evaluate import checked_request
        from deepscreen.settings import load_settings

        layout = reader_for(manifest, reader)
        request = checked_request(manifest, out, layout.name, protocol=protocol, leakage=leakage, by=by, seed=seed)
        given = {"device": device, "precision": precision}
        settings = load_settings(**{name: value for name, value in given.items() if value is not None})
        items = read_items(manifest, layout)
        _print_outcome(_run(_Job(request, settings, out, cache), items), out)


@dataclass(frozen=True, slots=True)
class _Job:
    request: Request
    settings: Settings
    out: Path
    cache: Path | None


def _run(job: _Job, items: list[Item]) -> EvaluationReport:
    from deepscreen.evaluation.evaluate import prepared, write_evaluation

    with ticking("preparing", len(items)) as tick:
        changed = prepared(items, job.request, job.out, job.settings.limits, tick)
    score = _as_shipped if job.request.protocol == "as-shipped" else _held_out
    if score is _held_out and all(item.modality == "audio" for item in items):
        score = _speech_held_out
    scored, method = score(job, changed)
    with Console(stderr=True).status("computing figures and their intervals"):
        return write_evaluation(job.request, scored, method, job.out)


def _as_shipped(job: _Job, items: list[Item]) -> tuple[ScoredSet, Mapping[str, str]]:
    from deepscreen.evaluation.as_shipped import KeptRecords, screen_items
    from deepscreen.evaluation.evaluate import RECORDS_NAME, method_words
    from deepscreen.screening import ScreeningDesk

    with Console(stderr=True).status("loading and proving the weights"):
        desk = ScreeningDesk.build(job.settings)
    records = KeptRecords(job.out / RECORDS_NAME, desk.provenance)
    with closing(desk), ticking("screening", len(items)) as tick:
        return screen_items(items, desk, records, tick), method_words(desk.provenance)


def _held_out(job: _Job, items: list[Item]) -> tuple[ScoredSet, Mapping[str, str]]:
    from threadpoolctl import threadpool_limits

    from deepscreen.evaluation.evaluate import FEATURES_NAME, features_folder
    from deepscreen.evaluation.held_out import score_held_out

    folder = features_folder(job.cache or job.out / FEATURES_NAME, job.request)
    bench = held_out_bench(job.settings, folder, job.request.seed)
    with threadpool_limits(1), ticking("reading features", len(items)) as tick:
        scored = score_held_out(
            items,
            bench.features.features,
            "source" if job.request.protocol == "leave-one-source-out" else "generator",
            is_fused=bench.is_fused,
            policy=job.settings.policy,
            on_item=tick,
        )
    return scored, bench.method


def _speech_held_out(job: _Job, items: list[Item]) -> tuple[ScoredSet, Mapping[str, str]]:
    from threadpoolctl import threadpool_limits

    from deepscreen.errors import ConfigError
    from deepscreen.evaluation.evaluate import FEATURES_NAME, features_folder
    from deepscreen.evaluation.held_out_speech import score_speech_held_out
    from deepscreen.evaluation.score_rows import ScoredSet

    if job.request.protocol != "leave-one-source-out":
        raise ConfigError(f"--protocol {job.request.protocol}: is there for pictures only")
    folder = features_folder(job.cache or job.out / FEATURES_NAME, job.request)
    bench = held_out_speech_bench(job.settings, folder, job.request.seed)
    with threadpool_limits(1), ticking("reading features", len(items)) as tick:
        held = score_speech_held_out(items, bench.features.features, policy=job.settings.policy, on_item=tick)
    return ScoredSet(held.rows), bench.method


@dataclass(frozen=True, slots=True)
class HeldOutBench:
    """What a held-out evaluation works with. ``is_fused``: whether the shipped method joins its picture detectors."""

    features: FeatureCache
    is_fused: bool
    method: Mapping[str, str]


def held_out_bench(settings: Settings, folder: Path, seed: int) -> HeldOutBench:
    """Backbones on one CPU thread, as ``deepscreen fit`` has them, so that a second run gives the same bytes."""
    from deepscreen.evaluation.evaluate import held_out_words
    from deepscreen.faces import FaceLocator
    from deepscreen.method import load_scale
    from deepscreen.training.image_features import FeatureCache

    workshop = _one_thread_workshop(settings)
    store, clip = workshop.store, workshop.clip_features.with_last_block()
    features = FeatureCache(folder, clip, FaceLocator(store.locate("yunet").path), seed=seed)
    fusion = load_scale(store).fusions.get("image")
    return HeldOutBench(features, fusion is not None and bool(fusion.coefficients), held_out_words(clip.identity))


@dataclass(frozen=True, slots=True)
class SpeechBench:
    """What a held-out evaluation of speech works with."""

    features: AudioFeatureCache
    store: WeightsStore
    method: Mapping[str, str]


def held_out_speech_bench(settings: Settings, folder: Path, seed: int) -> SpeechBench:
    """Backbones on one CPU thread, as ``deepscreen fit audio`` has them."""
    from deepscreen.evaluation.evaluate import held_out_words
    from deepscreen.training.fit_audio import feature_cache

    workshop = _one_thread_workshop(settings)
    features = feature_cache(workshop, folder, seed)
    return SpeechBench(features, workshop.store, held_out_words(features.identity))


def _one_thread_workshop(settings: Settings) -> Workshop:
    import torch

    from deepscreen.detectors.device import plan_compute
    from deepscreen.detectors.registry import Workshop
    from deepscreen.weights.store import WeightsStore

    torch.set_num_threads(1)
    return Workshop(WeightsStore.from_settings(settings), plan_compute("cpu", "auto"))


@contextmanager
def ticking(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error, and what moves it on by one."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _print_outcome(report: EvaluationReport, out: Path) -> None:
    from deepscreen.evaluation.evaluate import HTML_NAME
    from deepscreen.evaluation.evaluation_page import figure_text

    for name, modality in report.modalities.items():
        coverage, overall = modality.coverage, modality.overall
        typer.echo(
            f"{name}: {coverage.n_scored} of {coverage.n_rows} files scored "
            f"({overall.n_bona_fide} bona fide, {overall.n_spoof} spoof); AUC {figure_text(overall, 'auc')}; "
            f"EER {figure_text(overall, 'eer')}; Cllr {figure_text(overall, 'cllr')}"
        )
    typer.echo(f"Report: {(out / HTML_NAME).resolve()}")
