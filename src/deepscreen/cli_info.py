"""What ``deepscreen info`` and ``deepscreen detectors`` print."""

from __future__ import annotations

from importlib.metadata import version

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deepscreen.detectors.device import plan_compute
from deepscreen.detectors.registry import DETECTORS
from deepscreen.settings import ENV_PREFIX, Settings
from deepscreen.weights.store import cache_dir, shipped_dir


def print_info(settings: Settings) -> None:
    """Version, folders, compute plan and every setting with its environment variable."""
    plan = plan_compute(settings.device, settings.precision)
    console = Console()
    rows = {
        "version": f"deepscreen {version('deepscreen')}",
        "device": f"{plan.device}, {plan.precision}, fixed batches of {plan.batch_size}",
        "weights cache": str(cache_dir(settings)),
        "shipped heads": str(shipped_dir()),
        "settings digest": settings.digest(),
        "leaves this machine": "nothing",
    }
    table = Table(box=None, show_header=False)
    for name, value in {**rows, **_flat_settings(settings)}.items():
        table.add_row(name, escape(value))
    console.print(table)


def _flat_settings(settings: Settings) -> dict[str, str]:
    flat = {}
    for name, value in settings.model_dump(mode="json").items():
        inner = value if isinstance(value, dict) else {"": value}
        for key, item in inner.items():
            flat[f"{ENV_PREFIX}{name}{'__' + key if key else ''}".upper()] = str(item)
    return flat


def print_detectors() -> None:
    """The registry, one row a detector."""
    from importlib import import_module

    table = Table("detector", "version", "modality", "weights", "what it looks for")
    for name, path in DETECTORS.items():
        card = import_module(path.partition(":")[0]).CARD
        table.add_row(name, card.version, card.modality, ", ".join(card.weights), card.summary)
    Console().print(table)
