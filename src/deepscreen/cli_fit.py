"""``deepscreen fit``: renews heads, calibrations and reports from labelled manifests, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepscreen.cli_errors import errors_to_exit_codes

if TYPE_CHECKING:
    from deepscreen.detectors.registry import Workshop
    from deepscreen.training.artefacts import Artefacts
    from deepscreen.training.image_features import FeatureCache

app = typer.Typer(no_args_is_help=True, help="Fit heads and calibrations on labelled media (see docs/fitting.md).")

Manifest = Annotated[Path, typer.Option(help="CSV with path, label, kind, source and group.", exists=True)]
Out = Annotated[Path | None, typer.Option(help="Folder for heads/, calibrations/, reports/.", show_default="weights/")]
Cache = Annotated[Path, typer.Option(help="Folder where backbone features are kept, outside the repository.")]
Seed = Annotated[int, typer.Option(help="Seed of laundering and blending.")]


@app.command("image")
def fit_image_command(manifest: Manifest, cache: Cache, out: Out = None, seed: Seed = 0) -> None:
    """Fit image_clip, face_clip and their fusion."""
    with errors_to_exit_codes(), _bench(out) as bench:
        from deepscreen.training.fit_image import fit_image
        from deepscreen.training.forged_features import forged_features

        images = _image_cache(bench, cache, seed)
        fit_image(manifest, bench.artefacts, images, partial(forged_features, images, cache, seed=seed), seed=seed)


@app.command("video")
def fit_video_command(
    manifest: Manifest,
    pictures: Annotated[Path, typer.Option(help="The manifest that `fit image` used.", exists=True)],
    cache: Cache,
    out: Out = None,
    seed: Seed = 0,
) -> None:
    """Fit video_clip; `fit image` comes first."""
    with errors_to_exit_codes(), _bench(out) as bench:
        from deepscreen.detectors.patch_head import PatchHead
        from deepscreen.media.sandbox import Decoder
        from deepscreen.settings import Limits
        from deepscreen.training.fit_image import HEAD_NAMES
        from deepscreen.training.fit_video import ClipMaps, fit_video
        from deepscreen.training.video_features import VideoFeatureCache

        images = _image_cache(bench, cache, seed)
        frame, face = (bench.artefacts.head_arrays(HEAD_NAMES[name]) for name in ("image_clip", "face_clip"))
        maps = ClipMaps(*(PatchHead.from_arrays(arrays, "view.patches") for arrays in (frame, face)))
        with Decoder(Limits()) as decoder:
            clip = bench.workshop.clip_features.with_last_block()
            videos = VideoFeatureCache(cache / "video", clip, images.locator, decoder)
            fit_video(manifest, pictures, bench.artefacts, images, videos, maps)


@app.command("audio")
def fit_audio_command(manifest: Manifest, cache: Cache, out: Out = None, seed: Seed = 0) -> None:
    """Fit audio_whisper."""
    with errors_to_exit_codes(), _bench(out) as bench:
        from deepscreen.training.fit_audio import fit_audio

        fit_audio(manifest, bench.artefacts, bench.workshop, cache_dir=cache / "audio", seed=seed)


@dataclass(frozen=True, slots=True)
class _Bench:
    artefacts: Artefacts
    workshop: Workshop


@contextmanager
def _bench(out: Path | None) -> Iterator[_Bench]:
    """Proven backbones on one CPU thread: the order of sums, and so every last bit, is the same on each run."""
    import torch
    from threadpoolctl import threadpool_limits

    from deepscreen.detectors.device import plan_compute
    from deepscreen.detectors.registry import Workshop
    from deepscreen.settings import load_settings
    from deepscreen.training.artefacts import Artefacts
    from deepscreen.weights.store import WeightsStore, shipped_dir

    torch.set_num_threads(1)
    store = WeightsStore.from_settings(load_settings())
    with threadpool_limits(1):
        bench = _Bench(Artefacts(out or shipped_dir()), Workshop(store, plan_compute("cpu", "auto")))
        yield bench
        for name in bench.artefacts.refresh_manifest():
            typer.echo(f"renewed in the manifest: {name}")


def _image_cache(bench: _Bench, cache: Path, seed: int) -> FeatureCache:
    from deepscreen.faces import FaceLocator
    from deepscreen.training.image_features import FeatureCache

    locator = FaceLocator(bench.workshop.store.locate("yunet").path)
    return FeatureCache(cache / "image", bench.workshop.clip_features.with_last_block(), locator, seed=seed)
