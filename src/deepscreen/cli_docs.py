"""``python -m deepscreen.cli_docs`` renews the generated pages of docs/: schema, settings, commands, HTTP, detectors.

Each page is what the code says of itself; a test compares them, so that no page can grow old.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.main import get_command

from deepscreen.cli import app
from deepscreen.detectors.contract import DetectorCard
from deepscreen.detectors.registry import DETECTORS
from deepscreen.evaluation.peers.as_markdown import peers_tables
from deepscreen.record import json_schema
from deepscreen.report.detector_card import GENERATED, detector_page, fusion_page
from deepscreen.report.readme_figures import figures_table, with_figures
from deepscreen.settings import ENV_PREFIX, Settings
from deepscreen.weights.manifest import Manifest, load_manifest

PROGRAM = "deepscreen"
HELP_WIDTH = 100
MANIFEST_NAME, REPORTS_NAME, PEERS_NAMES = "manifest.toml", "reports", ("peers", "peers_speech")


def pages(weights_dir: Path) -> dict[str, str]:
    """All generated pages, by path relative to docs/. ``weights_dir``: the folder of the manifest and reports/."""
    from deepscreen.api.app import openapi_json

    return {
        "screening.schema.json": schema_json(),
        "settings.md": settings_page(),
        "cli.md": commands_page(),
        "openapi.json": openapi_json(),
        **{f"detectors/{name}.md": page for name, page in detector_pages(weights_dir).items()},
    }


def schema_json() -> str:
    """The record's JSON schema."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def settings_page() -> str:
    """Every setting with its environment variable, default and meaning."""
    rows = [
        f"| `{name}` | {_default(field)} | {_cell(field.description)} |"
        for name, field in _settings(Settings, ENV_PREFIX)
    ]
    return "\n".join(
        (
            "# Settings",
            "",
            GENERATED,
            "",
            "Settings are environment variables. Options of a command win over them; an unknown one that begins with",
            f"`{ENV_PREFIX}` stops the program, so that a slip of the pen is noticed. Limits and policy can",
            "change a record: they are part of its `settings_digest`. A calibration of your own and a catalogue of",
            "plug-ins change its `method_digest`, and the record names them.",
            "",
            "| variable | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
        )
    )


def _settings(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        variable = prefix + name.upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, f"{variable}__")
        else:
            yield variable, field


def _default(field: FieldInfo) -> str:
    return "not set" if field.default is None else f"`{field.default}`"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


def commands_page() -> str:
    """What ``--help`` says, for every command."""
    return "\n".join(("# Commands", "", GENERATED, "", *_help_of(get_command(app), None, PROGRAM)))


def _help_of(command: Any, parent: Any, name: str) -> Iterator[str]:
    """Help of a command and of those below it. (Typer's own click classes have no public names to annotate with.)"""
    context = typer.Context(
        command, info_name=name, parent=parent, terminal_width=HELP_WIDTH, max_content_width=HELP_WIDTH
    )
    command.rich_markup_mode = None  # plain text, whatever terminal this runs in
    yield from (f"## {context.command_path}", "", "```text", command.get_help(context).rstrip(), "```", "")
    for below in sorted(getattr(command, "commands", {})):
        yield from _help_of(command.commands[below], context, below)


def detector_pages(weights_dir: Path) -> dict[str, str]:
    """Pages of the detectors and fusions that have a report, by name."""
    manifest = load_manifest(weights_dir / MANIFEST_NAME)
    found = {}
    folder = weights_dir / REPORTS_NAME
    for path in sorted(folder.glob("*.json")):
        if path.stem in PEERS_NAMES or "." in path.stem:
            continue
        report, card = _read(path), _card(path.stem)
        found[path.stem] = _detector_page(card, manifest, report, folder) if card else fusion_page(report)
    return found


def _detector_page(card: DetectorCard, manifest: Manifest, report: dict[str, Any], folder: Path) -> str:
    further = {path.stem.partition(".")[2]: _read(path) for path in sorted(folder.glob(f"{card.name}.*.json"))}
    return detector_page(card, [manifest.row(name) for name in card.weights], report, further)


def _read(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def _card(name: str) -> DetectorCard | None:
    """The card of a detector of the registry; None for what is none, that is a fusion."""
    if name not in DETECTORS:
        return None
    card: DetectorCard = import_module(DETECTORS[name].partition(":")[0]).CARD
    return card


def readme(text: str, weights_dir: Path) -> str:
    """README.md with its table of figures renewed."""
    reports = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in (weights_dir / REPORTS_NAME).glob("*.json")}
    return with_figures(text, figures_table(reports))


def peers_page(text: str, weights_dir: Path) -> str:
    """docs/peers.md with its tables renewed; as it is where there is no report of peers."""
    paths = [weights_dir / REPORTS_NAME / f"{name}.json" for name in PEERS_NAMES]
    tables = [peers_tables(json.loads(path.read_text(encoding="utf-8"))) for path in paths if path.is_file()]
    return with_figures(text, "\n\n".join(tables)) if tables else text


def renew(root: Path) -> list[str]:
    """Writes the pages of the checkout *root* that differ, and gives their names."""
    changed = []
    generated = {f"docs/{name}": text for name, text in pages(root / "weights").items()}
    generated["README.md"] = readme((root / "README.md").read_text(encoding="utf-8"), root / "weights")
    generated["docs/peers.md"] = peers_page((root / "docs/peers.md").read_text(encoding="utf-8"), root / "weights")
    for name, text in generated.items():
        path = root / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        changed.append(name)
    return changed


def main() -> int:
    """Renews docs/ and README.md of the checkout that this runs in; exit code 0."""
    root = Path(__file__).resolve().parents[2]
    changed = renew(root)
    typer.echo(f"renewed: {', '.join(changed) or 'nothing to do'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
