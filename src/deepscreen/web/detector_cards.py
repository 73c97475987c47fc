"""A detector's full card as a page: the same text as docs/detectors, made from the installed reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from deepscreen.engine.about import DetectorInfo, MethodInfo
from deepscreen.errors import WeightsError
from deepscreen.report.detector_card import GENERATED, detector_page, fusion_page
from deepscreen.weights.manifest import WeightsRow, load_manifest
from deepscreen.weights.store import shipped_dir

MANIFEST_NAME, REPORTS_NAME = "manifest.toml", "reports"
NO_CARDS = frozenset({"peers", "peers_speech"})  # reports that are of no detector


@dataclass(frozen=True, slots=True)
class Card:
    """The page of a detector, or of a fusion (which has no ``detector``). ``text``: None where there are no figures, or
    where they are of other weights than those at work."""

    name: str
    detector: DetectorInfo | None
    text: Markup | None
    is_of_other_weights: bool


def fusion_names(folder: Path | None = None) -> tuple[str, ...]:
    """The fusions that have a report."""
    reports = (folder or shipped_dir()) / REPORTS_NAME
    return tuple(sorted(path.stem for path in reports.glob("*_fusion.json")))


def card_of(name: str, method: MethodInfo, folder: Path | None = None) -> Card | None:
    """The card of a detector of *method*, or of a fusion; None where there is none of this name.

    ``folder``: that of manifest and ``reports/``, by default the installed one.
    """
    folder = folder or shipped_dir()
    detector = next((one for one in method.detectors if one.name == name), None)
    if detector is None:
        return Card(name, None, _fusion(folder, name), False) if name in fusion_names(folder) else None
    rows = _rows(folder, detector)
    report = _report(folder / REPORTS_NAME / f"{name}.json")
    if report is None or not rows:
        return Card(name, detector, None, False)
    if not are_figures_of(detector, method, folder):
        return Card(name, detector, None, True)
    further = {path.stem.partition(".")[2]: path for path in sorted((folder / REPORTS_NAME).glob(f"{name}.*.json"))}
    reports = {key: found for key, path in further.items() if (found := _report(path)) is not None}
    return Card(name, detector, _as_html(detector_page(detector, rows, report, reports)), False)


def are_figures_of(detector: DetectorInfo, method: MethodInfo, folder: Path | None = None) -> bool:
    """Whether the installed weights of a detector are those of *method*: only then do their figures tell of it."""
    rows, at_work = _rows(folder or shipped_dir(), detector), {weight.name: weight.sha256 for weight in method.weights}
    return bool(rows) and all(at_work.get(row.name) == row.sha256 for row in rows)


def _fusion(folder: Path, name: str) -> Markup | None:
    report = _report(folder / REPORTS_NAME / f"{name}.json")
    return None if report is None else _as_html(fusion_page(report))


def _rows(folder: Path, detector: DetectorInfo) -> list[WeightsRow]:
    """The manifest's rows that it loads; none of a plug-in, which the manifest does not know."""
    try:
        known = {row.name: row for row in load_manifest(folder / MANIFEST_NAME).weights}
    except WeightsError:
        return []
    return [known[name] for name in detector.weights if name in known]


def _report(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _as_html(markdown: str) -> Markup:
    """Headings one level lower than in the document; tables scroll by themselves. Whatever is no Markdown is text."""
    tokens = _parser().parse(markdown.replace(GENERATED, ""))
    first = next((at for at, token in enumerate(tokens) if token.type == "heading_close"), -1)
    renderer = _parser().renderer
    return Markup(renderer.render(tokens[first + 1 :], _parser().options, {}))


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    made.add_render_rule("table_open", _table_open)
    made.add_render_rule("table_close", _table_close)
    return made


def _table_open(_: RendererHTML, tokens: Sequence[Token], at: int, *__: Any) -> str:
    name = next((tokens[k + 1].content for k in range(at, -1, -1) if tokens[k].type == "heading_open"), "")
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{Markup.escape(name)}"><table>\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"
