"""The table of figures in README.md, from the reports that ``deepscreen fit`` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BEGIN = "<!-- figures: written by `make docs` from weights/reports/ -->"
END = "<!-- end of figures -->"
HEAD = (
    "| on whole sources never seen | AUC (95 %) | EER | bare last-block probe, AUC | n spoof / bona fide / sources |",
    "|---|---|---|---|---|",
)
# Label, report, family of the protocol names there.
ROWS = (
    ("generated pictures", "image_clip", "generated"),
    ("manipulated faces, whole picture", "image_clip", "face manipulated"),
    ("manipulated faces, face crops", "face_clip", "face manipulated"),
    ("video, all", "video_clip", "all"),
    ("video, faces", "video_clip", "faces"),
    ("video, generated", "video_clip", "generated"),
    ("speech", "audio_whisper", "all"),
)


def figures_table(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The table as Markdown. ``reports``: by detector name; missing ones are left out."""
    rows = [_row(label, reports[name]["protocols"], family) for label, name, family in ROWS if name in reports]
    return "\n".join((*HEAD, *rows))


def with_figures(readme: str, table: str) -> str:
    """*readme* with the part between its two marks replaced; raises ValueError where a mark is missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md: want the marks {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _row(label: str, protocols: Mapping[str, Any], family: str) -> str:
    ours = protocols[f"source-held-out, {family}"]
    probe = protocols.get(f"last-block probe, source-held-out, {family}", {})
    interval = f"{ours['auc']:.3f} ({ours['auc_low']:.3f} to {ours['auc_high']:.3f})"
    bare = f"{probe['auc']:.3f}" if "auc" in probe else "-"
    counts = f"{ours['n_spoof']} / {ours['n_bona_fide']} / {ours['n_sources']}"
    return f"| {label} | {interval} | {ours['eer']:.3f} | {bare} | {counts} |"
