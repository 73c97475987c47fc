"""Converts the official AASIST weights to safetensors, all keys, and proves the result against official logits.

    python scripts/convert_aasist.py FOLDER --clips CLIPS

FOLDER holds ``models_weights_AASIST.pth``, ``models_weights_AASIST-L.pth`` (clovaai/aasist @a04c986) and
``golden.json`` (logits of the official implementation by clip below CLIPS). Nothing is written where a logit is off by
1e-3 or more. The file format is written by our own code, so equal tensors give equal bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile
import torch

from deepscreen.detectors.nets.aasist import SIZES, Aasist, fitted_length
from deepscreen.weights.convert import write_safetensors
from deepscreen.weights.manifest import refresh_shipped

TOLERANCE = 1e-3
ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    "aasist": ("AASIST", "51d2d9cf0738172f61e2a384ec50a54a55363240f67c971ed55a92435bc1a1c0"),
    "aasist-l": ("AASIST-L", "814331d088032bb4c3fa61cc014789eadeed464209dd094ab3a2dd6ffbdce27a"),
}


def main() -> int:
    """Exit code 0 when both networks were converted and agree with the official logits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=Path, required=True)
    options = parser.parse_args()
    golden = json.loads((options.folder / "golden.json").read_text())["logits"]
    torch.set_num_threads(1)
    for name, (official, sha256) in SOURCES.items():
        tensors = _official_tensors(options.folder / f"models_weights_{official}.pth", sha256)
        network = Aasist(SIZES[name])
        network.load_state_dict(tensors, strict=True)
        worst, n = _largest_difference(network.eval(), golden[official], options.clips)
        sys.stdout.write(f"{official}: {len(tensors)} keys; {n} clips; largest difference {worst:.2e}\n")
        if not n or worst >= TOLERANCE:
            return 1
        _write(tensors, ROOT / "weights/peers" / f"{name.replace('-', '_')}.safetensors")
    refresh_shipped(ROOT / "weights/manifest.toml")
    return 0


def _official_tensors(path: Path, sha256: str) -> dict[str, torch.Tensor]:
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise SystemExit(f"{path}: not the official file (sha256 differs)")
    tensors: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors


@torch.inference_mode()
def _largest_difference(network: Aasist, golden: dict[str, list[float]], clips: Path) -> tuple[float, int]:
    """Over the clips that are there, and how many these are."""
    worst, n = 0.0, 0
    for key, expected in golden.items():
        path = clips / key
        if not path.is_file():
            continue
        samples, _ = soundfile.read(path, dtype="float32")
        output = network(torch.from_numpy(fitted_length(samples))[None])[0].tolist()
        worst = max(worst, *(abs(a - b) for a, b in zip(output, expected, strict=True)))
        n += 1
    return worst, n


def _write(tensors: dict[str, torch.Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        partial = Path(folder) / path.name
        write_safetensors(partial, {name: tensor.numpy() for name, tensor in tensors.items()})
        partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
