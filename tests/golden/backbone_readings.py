"""Numbers of the four networks on made-up inputs; run as a program, this file renews the stored ones."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from deepscreen.detectors.nets.clip import ClipBackbone
from deepscreen.detectors.nets.silero import load_silero_vad
from deepscreen.detectors.nets.whisper import WhisperBackbone
from deepscreen.settings import load_settings
from deepscreen.weights.store import WeightsStore

STORED = Path(__file__).with_name("backbones.json")
Readings = dict[str, list[float]]
VALUES_KEPT = 32


def picture() -> Tensor:
    """(3, 224, 224) uint8: coloured waves, the same on every machine."""
    y, x = np.mgrid[0:224, 0:224].astype(np.float64)
    waves = [np.sin(x / 9 + y / 31), np.cos(y / 7), np.sin((x - 112) * (y - 112) / 900)]
    return torch.from_numpy(np.clip(np.rint(127.5 + 127.5 * np.stack(waves)), 0, 255).astype(np.uint8))


def sound(seconds: float = 3.0) -> Tensor:
    """(seconds * 16000,) float32: a buzzing, syllable-like tone of 140 Hz and its overtones."""
    t = np.arange(int(seconds * 16_000)) / 16_000
    pitch = 2 * math.pi * np.cumsum(140 + 25 * np.sin(2 * math.pi * 1.3 * t)) / 16_000
    voice = sum(np.sin(k * pitch) / (1 + ((k * 140 - 700) / 400) ** 2) for k in range(1, 25))
    syllables = np.clip(np.sin(2 * math.pi * 3.1 * t), 0, 1)
    return torch.from_numpy((0.2 * voice * syllables).astype(np.float32))


def kept(vector: Tensor) -> list[float]:
    """Evenly spaced values of a vector, enough to notice another network."""
    flat = vector.flatten()
    return [round(float(v), 6) for v in flat[:: max(1, len(flat) // VALUES_KEPT)][:VALUES_KEPT]]


def read_backbones(store: WeightsStore, clip: ClipBackbone, whisper: WhisperBackbone) -> Readings:
    """What the networks say now."""
    blocks = clip.hidden_states(picture()[None])
    layers = whisper.hidden_states(sound()[None])
    readings = {f"clip block {number}, class token": kept(blocks[number - 1][0, 0]) for number in (3, 6, 9, 12)}
    readings["clip block 6, patch (7, 7)"] = kept(blocks[5][0, 1 + 14 * 7 + 7])
    readings |= {f"whisper layer {number}, mean frame": kept(layers[number, 0].mean(dim=0)) for number in (0, 3, 6)}
    readings["silero, probabilities"] = kept(load_silero_vad(store.locate("silero-vad")).speech_probabilities(sound()))
    readings["yunet, raw outputs"] = _yunet(store)
    return readings


def _yunet(store: WeightsStore) -> list[float]:
    net = cv2.dnn.readNetFromONNX(str(store.locate("yunet").path))
    blob = cv2.dnn.blobFromImage(cv2.resize(picture().permute(1, 2, 0).numpy(), (320, 320)))
    net.setInput(blob)
    outputs = net.forward(net.getUnconnectedOutLayersNames())
    return [value for output in outputs for value in kept(torch.from_numpy(output))[:4]]


def main() -> None:
    """Stores the readings of this machine and says how far they moved."""
    store = WeightsStore.from_settings(load_settings())
    clip = ClipBackbone(store.locate("clip-vit-b16"))
    readings = read_backbones(store, clip, WhisperBackbone(store.locate("whisper-base-encoder")))
    before: Readings = json.loads(STORED.read_text()) if STORED.exists() else {}
    for name, values in readings.items():
        moved = max(abs(a - b) for a, b in zip(values, before.get(name, [math.nan] * len(values)), strict=True))
        sys.stdout.write(f"{name}: largest change {moved:.6f}\n")
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(values)}" for name, values in readings.items())
    STORED.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
