"""``deepscreen evaluate-attacks``: known limits in figures: white-box attacks, recapture from a screen, chains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from deepscreen.cli_errors import errors_to_exit_codes
from deepscreen.cli_evaluate import ticking

REPORT_NAME = "attacks.json"


def evaluate_attacks(
    manifest: Annotated[Path, typer.Option(help="Manifest of pictures that `fit image` used.", exists=True)],
    out: Annotated[Path, typer.Option(help="Folder for attacks.json.")],
    per_class: Annotated[int, typer.Option(help="Pictures of each class, of the release split.", min=2)] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
) -> None:
    """Attack the shipped picture heads: PGD with their open weights, simulated recapture, chains of compression.

    On pictures of the release split, which no head saw. Small numbers, to show limits. See docs/evaluation.md.
    """
    with errors_to_exit_codes():
        import torch
        from threadpoolctl import threadpool_limits

        from deepscreen.detectors.device import plan_compute
        from deepscreen.detectors.nets.clip import WEIGHTS_NAME
        from deepscreen.detectors.registry import Workshop
        from deepscreen.detectors.view_head import ViewHead
        from deepscreen.evaluation.attacks import Target, attack_report, drawn_files
        from deepscreen.evaluation.white_box import WhiteBox
        from deepscreen.faces import FaceLocator
        from deepscreen.method import load_scale
        from deepscreen.settings import load_settings
        from deepscreen.training.fit_gate import GATE_KINDS
        from deepscreen.training.fit_image import HEAD_NAMES
        from deepscreen.training.labelled import read_manifest
        from deepscreen.weights.store import WeightsStore

        torch.set_num_threads(1)
        settings = load_settings()
        store = WeightsStore.from_settings(settings)
        workshop, locator = Workshop(store, plan_compute("cpu", "auto")), FaceLocator(store.locate("yunet").path)
        calibrations, weights = load_scale(store).calibrations, store.locate(WEIGHTS_NAME)
        files = drawn_files([f for f in read_manifest(manifest) if f.kind not in GATE_KINDS], per_class, seed)
        report = {}
        for name, subject in (("image_clip", "whole"), ("face_clip", "face")):
            head = ViewHead.from_arrays(workshop.head_arrays(HEAD_NAMES[name]), "view")
            target = Target("whole" if subject == "whole" else "face", head, calibrations[name])
            least = settings.policy.spoof_min_log10_lr
            box = WhiteBox(weights, head)
            with threadpool_limits(1), ticking(name, len(files)) as tick:
                report[name] = attack_report(files, target, workshop.clip_features, locator, box, least, tick)
        out.mkdir(parents=True, exist_ok=True)
        (out / REPORT_NAME).write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        typer.echo(json.dumps(report, indent=1, sort_keys=True))
