"""``make bench-scan``: how near a scan comes to what its stages allow; prints it and writes ``docs/benchmark-scan.md``.

Run it with nothing else running. 5,000 pictures take about an hour on two cores with fast bf16, three without.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from deepscreen.errors import DeepscreenError
from deepscreen.process import settle_in

PAGE_NAME = "benchmark-scan.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit code 0 when all was measured, 1 when it could not be. A missed target is not an error here."""
    settle_in()  # before torch is loaded
    from rich.console import Console
    from rich.markdown import Markdown

    from deepscreen.evaluation.bench_scan_report import as_markdown
    from deepscreen.evaluation.bench_scan_run import FULL, QUICK, Size, benchmark

    parser = argparse.ArgumentParser(prog="python -m deepscreen.evaluation.scan_benchmark", description=__doc__)
    parser.add_argument("--samples", type=Path, default=Path("sample_media"))
    parser.add_argument("--out", type=Path, help=f"folder for {PAGE_NAME} (default: docs; quick: none)")
    parser.add_argument("--pictures", type=int, default=FULL.pictures, help="pictures that are scanned (default: 5000)")
    parser.add_argument("--precision", default="auto", choices=("auto", "bf16", "fp32"))
    parser.add_argument("--quick", action="store_true", help="few files, to see that all of it works")
    options = parser.parse_args(arguments)
    size = QUICK if options.quick else Size(options.pictures, FULL.block, FULL.files, FULL.hashes)
    out = options.out or (None if options.quick else Path("docs"))
    try:
        with TemporaryDirectory(prefix="deepscreen-bench-") as work:
            report = benchmark(options.samples, size, options.precision, Path(work), Console(stderr=True))
    except DeepscreenError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    page = as_markdown(report)
    Console().print(Markdown(page))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / PAGE_NAME).write_text(page, encoding="utf-8")
        Console().print("written:", str(out / PAGE_NAME))
    return 0


if __name__ == "__main__":
    sys.exit(main())
