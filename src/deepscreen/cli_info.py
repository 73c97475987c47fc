"""What ``deepscreen info`` and ``deepscreen detectors`` print."""

from __future__ import annotations

from importlib.metadata import version

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deepscreen.detectors.catalogue.rows import load_catalogue
from deepscreen.detectors.device import plan_compute
from deepscreen.detectors.registry import DETECTORS
from deepscreen.settings import ENV_PREFIX, Settings
from deepscreen.weights.store import cache_dir, shipped_dir

PLUGIN_NOTE = "(Plug-in: not calibrated, never decides.)"


def print_info(settings: Settings) -> None:
    """Version, folders, compute plan and every setting with its environment variable."""
    plan = plan_compute(settings.device, settings.precision)
    console = Console()
    rows = {
        "version": f"deepscreen {version('deepscreen')}",
        "device": f"{plan.device}, {plan.precision}, fixed batches of {plan.batch_size}",
        "weights cache": str(cache_dir(settings)),
        "shipped heads": str(shipped_dir()),
        "calibration": _calibration(settings),
        "settings digest": settings.digest(),
        "decoders": _isolation(),
        "leaves this machine": "nothing",
    }
    table = Table(box=None, show_header=False)
    for name, value in {**rows, **_flat_settings(settings)}.items():
        table.add_row(name, escape(value))
    console.print(table)


def _isolation() -> str:
    from deepscreen.media.isolation import isolation

    shut_in = isolation()
    return f"in {shut_in.kind}, {'with' if shut_in.has_syscall_filter else 'without'} a system call filter"


def _calibration(settings: Settings) -> str:
    """Whose calibration is in use; raises CalibrationError where the one that was set is not whole."""
    if settings.calibration_dir is None:
        return "as shipped"
    from deepscreen.scoring.lab_calibration import load_lab_calibration

    used = load_lab_calibration(settings.calibration_dir).used
    parts = ", ".join(f"{name} ({', '.join(strata)})" for name, strata in used.fitted_strata.items())
    return f"{used.name}, {used.sha256}, for {parts}; all others as shipped"


def _flat_settings(settings: Settings) -> dict[str, str]:
    flat = {}
    for name, value in settings.model_dump(mode="json").items():
        inner = value if isinstance(value, dict) else {"": value}
        for key, item in inner.items():
            flat[f"{ENV_PREFIX}{name}{'__' + key if key else ''}".upper()] = str(item)
    return flat


def print_detectors(settings: Settings) -> None:
    """The registry and the catalogue, one row a detector. Weights are not proven here: screening does that."""
    from importlib import import_module

    table = Table("detector", "version", "modality", "weights", "what it looks for")
    own = [import_module(path.partition(":")[0]).CARD for path in DETECTORS.values()]
    for card in (*own, *load_catalogue(settings.catalogue).cards):
        summary = f"{card.summary} {PLUGIN_NOTE}" if card.is_plugin else card.summary
        table.add_row(card.name, card.version, card.modality, ", ".join(card.weights), escape(summary))
    Console().print(table)
