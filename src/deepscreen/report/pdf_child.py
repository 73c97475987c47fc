"""The process that renders a PDF: HTML on standard input, PDF on standard output. Reads no other file of the document.

Run as ``python -m deepscreen.report.pdf_child`` by ``as_pdf``.
"""

from __future__ import annotations

import resource
import sys
from typing import NoReturn

import weasyprint
from weasyprint.urls import URLFetcher

MEMORY_BYTES = 2 * 1024**3
CPU_SECONDS = 240
FILE_BYTES = 64 * 1024**2  # font caches


class OnlyInline(URLFetcher):  # type: ignore[misc]
    """Gives what the document itself holds as ``data:``, and nothing else."""

    def fetch(self, url: str, headers: object = None) -> object:
        """The content of a data URL; raises ValueError for any other."""
        if not url.startswith("data:"):
            _refuse(url)
        return super().fetch(url, headers)


def _refuse(url: str) -> NoReturn:
    raise ValueError(f"reports hold all that they show; {url[:40]} was not fetched")


def main() -> None:
    """Renders one document."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    html = sys.stdin.buffer.read().decode("utf-8")
    document = weasyprint.HTML(string=html, url_fetcher=OnlyInline(allowed_protocols=("data",)))
    sys.stdout.buffer.write(document.write_pdf(pdf_tags=True))


if __name__ == "__main__":
    main()
