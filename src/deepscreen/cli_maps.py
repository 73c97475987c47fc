"""``deepscreen evaluate-maps``: do heatmaps show the right place, and do they show what moves the score?"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepscreen.cli_errors import errors_to_exit_codes
from deepscreen.cli_evaluate import ticking

if TYPE_CHECKING:
    from deepscreen.detectors.registry import Workshop
    from deepscreen.media.samples import Pixels
    from deepscreen.training.image_features import FeatureCache
    from deepscreen.training.labelled import LabelledFile

REPORT_NAME = "maps.json"
N_FOLDS = 3  # each is fitted once a group of makers
N_SHUFFLED = 12  # views for the checks with shuffled weights


def evaluate_maps(
    manifest: Annotated[Path, typer.Option(help="Manifest of pictures that `fit image` used.", exists=True)],
    cache: Annotated[Path, typer.Option(help="Folder of features that it used; those of makers are kept there too.")],
    out: Annotated[Path, typer.Option(help="Folder for maps.json.")],
    checked: Annotated[int, typer.Option(help="Spoofs for deletion and insertion.", min=2)] = 40,
    seed: Annotated[int, typer.Option(help="Seed of laundering in fits, and of what is made.")] = 0,
) -> None:
    """Judge heatmaps: on manipulations by makers, and of sources, that their head was not fitted on; and as shipped.

    Pixel AUC, IoU at the fixed warm threshold, pointing game, warmth of untouched photographs; deletion and insertion
    against random, and maps of shuffled weights. See docs/evaluation.md.
    """
    with errors_to_exit_codes():
        import torch
        from threadpoolctl import threadpool_limits

        from deepscreen.detectors.device import plan_compute
        from deepscreen.detectors.registry import Workshop
        from deepscreen.evaluation.protocols import is_release_split
        from deepscreen.faces import FaceLocator
        from deepscreen.settings import load_settings
        from deepscreen.training.fit_gate import GATE_KINDS
        from deepscreen.training.image_features import FeatureCache
        from deepscreen.training.labelled import read_manifest
        from deepscreen.weights.store import WeightsStore

        torch.set_num_threads(1)
        store = WeightsStore.from_settings(load_settings())
        workshop, locator = Workshop(store, plan_compute("cpu", "auto")), FaceLocator(store.locate("yunet").path)
        images = FeatureCache(cache / "image", workshop.clip_features.with_last_block(), locator, seed=seed)
        usable = [f for f in read_manifest(manifest) if f.kind not in GATE_KINDS and not is_release_split(f.source)]
        with threadpool_limits(1):
            report = _localisation(usable, images, cache, seed)
            report["as_shipped"] = _checks(usable, workshop, checked, seed)
        out.mkdir(parents=True, exist_ok=True)
        (out / REPORT_NAME).write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        typer.echo(json.dumps(report, indent=1, sort_keys=True))


def _localisation(files: list[LabelledFile], images: FeatureCache, cache: Path, seed: int) -> dict[str, Any]:
    from deepscreen.evaluation.maps import MapData, map_report
    from deepscreen.training.fit_image import SUBJECTS, fold_of, map_views
    from deepscreen.training.forged_features import forged_features
    from deepscreen.training.view_fit import collect, hold_out_classes

    forged = forged_features(images, cache, files, seed=seed)
    hosts = [file for file in files if forged.forger.is_host(file)]
    with ticking("making manipulations", len(hosts)) as tick:
        for host in hosts:
            forged.features(host)
            tick()
    folds, views, report = fold_of(files) % N_FOLDS, map_views(images, forged), {}
    for name, subject in SUBJECTS.items():
        held = hold_out_classes(collect(files, folds, subject, images.features), subject, stressed=lambda _: ())
        logits = {file.key: float(v) for file, v in zip(held.files, held.spoof_logits, strict=True)}
        report[name] = map_report(MapData(files, folds, subject, views, logits), seed=seed)
    return report


def _checks(files: list[LabelledFile], workshop: Workshop, checked: int, seed: int) -> dict[str, Any]:
    """Of the shipped whole-picture head, on spoofs that it was fitted on."""
    from deepscreen.detectors.image_clip import HEAD_NAME
    from deepscreen.detectors.nets.clip import WEIGHTS_NAME
    from deepscreen.detectors.view_head import ViewHead
    from deepscreen.evaluation.map_checks import deletion_and_insertion, shuffled_backbone, shuffled_head

    head, features = ViewHead.from_arrays(workshop.head_arrays(HEAD_NAME), "view"), workshop.clip_features
    views = drawn_views(files, checked, seed)
    with TemporaryDirectory() as folder:
        weights = workshop.store.locate(WEIGHTS_NAME)
        backbone = shuffled_backbone(views[:N_SHUFFLED], head, features, weights, Path(folder))
    return {
        "deletion_and_insertion": deletion_and_insertion(views, head, features),
        "rank_correlation_with_shuffled_backbone": backbone,
        "rank_correlation_with_shuffled_head": shuffled_head(views[:N_SHUFFLED], head, features),
    }


def drawn_views(files: list[LabelledFile], count: int, seed: int) -> list[Pixels]:
    """Whole views of spoofs drawn by hash."""
    from deepscreen.detectors.views import whole_view
    from deepscreen.training.image_features import load_pixels
    from deepscreen.training.labelled import item_rng

    spoofs = [file for file in files if file.label == 1]
    drawn = sorted(spoofs, key=lambda f: item_rng(f.key, "map check", seed).random())[:count]
    return [whole_view(load_pixels(file.path).copy()).pixels for file in drawn]
