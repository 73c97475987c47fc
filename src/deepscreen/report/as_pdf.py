"""PDF from HTML by WeasyPrint, in a process of its own with limits: it holds the whole document in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deepscreen.errors import ReportFailed

TIMEOUT_SECONDS = 300.0
INHERITED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "FONTCONFIG_PATH", "FONTCONFIG_FILE", "HOME")


def render_pdf(html: str) -> bytes:
    """The document as a tagged PDF; raises ReportFailed with the reason.

    Tagged as PDF/UA asks; that it conforms to PDF/UA or PDF/A is not claimed, since no checker has confirmed it.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "deepscreen.report.pdf_child"],
            input=html.encode("utf-8"),
            capture_output=True,
            env=_environment(),
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ReportFailed(f"the PDF was not rendered within {TIMEOUT_SECONDS:g} s") from error
    if done.returncode != 0 or not done.stdout.startswith(b"%PDF-"):
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ReportFailed(f"the PDF could not be rendered: {words[-1] if words else 'the renderer died'}")
    return done.stdout


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    package_folder = str(Path(__file__).resolve().parents[2])
    paths = [package_folder, *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
