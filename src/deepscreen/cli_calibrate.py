"""``deepscreen calibrate``: a lab's own calibration, with the validation report that goes with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepscreen.cli_errors import errors_to_exit_codes

if TYPE_CHECKING:
    from deepscreen.scanning.single import ScannedFile
    from deepscreen.settings import Settings
    from deepscreen.training.calibrate import Calibrated


def calibrate(
    manifest: Annotated[
        Path, typer.Option(help="CSV with path, label, source and, where files belong together, group.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the calibration, validation.html and validation.json.")],
    name: Annotated[str, typer.Option(help="What records call this calibration.")] = "local",
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", show_default="auto")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, bf16 or fp32.", show_default="auto")] = None,
) -> None:
    """Fit a calibration to a lab's own labelled media and write its validation report.

    The shipped heads stay as they are. Run again after an interruption, it goes on where it was. See docs/calibrate.md.
    """
    with errors_to_exit_codes():
        from deepscreen.settings import load_settings
        from deepscreen.training.calibrate import check_request

        # "Before" is the shipped calibration, whichever one is in use here.
        given = {"device": device, "precision": precision}
        settings = load_settings(calibration_dir=None, **{k: v for k, v in given.items() if v is not None})
        n_files = check_request(manifest, out, name)
        _print_outcome(_run(manifest, out, name, settings, n_files), out)


def _run(manifest: Path, out: Path, name: str, settings: Settings, n_files: int) -> Calibrated:
    from contextlib import closing

    from rich.console import Console
    from rich.progress import Progress

    from deepscreen.method import load_method
    from deepscreen.screening import ScreeningDesk
    from deepscreen.training.calibrate import calibrate

    method = load_method(settings)
    desk = ScreeningDesk(
        settings,
        detectors=method.detectors,
        scale=method.scale,
        provenance=method.provenance,
        yunet_path=method.yunet_path,
    )
    with closing(desk), Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("screening", total=n_files)

        def on_file(_: ScannedFile) -> None:
            progress.advance(task)

        return calibrate(manifest, out, name, method=method, desk=desk, on_file=on_file)


def _print_outcome(calibrated: Calibrated, out: Path) -> None:
    for one in calibrated.report.results:
        before, after = one.before.cllr, one.after.cllr
        typer.echo(
            f"{one.title}: {one.n_bona_fide} bona fide and {one.n_spoof} spoof items; Cllr {before.value:.3f} with the "
            f"shipped calibration, {after.value:.3f} ({after.low:.3f} to {after.high:.3f}) with this one"
        )
    for modality, lacked in calibrated.refused.items():
        typer.echo(f"{modality}: stays calibrated as shipped; there was too little: {lacked}")
    missed = [criterion.requirement for criterion in calibrated.report.criteria if not criterion.is_met]
    for requirement in missed:
        typer.echo(f"not met: {requirement}")
    typer.echo(f"Validation report: {(out / 'validation.html').resolve()}")
    typer.echo(f"To use it: DEEPSCREEN_CALIBRATION_DIR={out.resolve()}")
