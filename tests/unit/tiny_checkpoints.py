"""Checkpoints as a hub has them, but tiny and random, made with transformers' own classes; and catalogues of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

SIZE_PX, FRAMES, MELS, COLUMNS = 32, 4, 32, 64
REVISION = "0123456789" * 4
HALVES = [0.5, 0.5, 0.5]
MODALITIES = {"vit": "image", "siglip": "image", "videomae": "video", "wav2vec2": "audio", "ast": "audio"}
ARCHITECTURES = tuple(MODALITIES)
Row = dict[str, Any]

_SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
_PATCHES = {"image_size": SIZE_PX, "patch_size": 16}
_SQUARE = {"height": SIZE_PX, "width": SIZE_PX}
_PREPROCESSING: dict[str, Row] = {
    "vit": {"size_px": SIZE_PX, "mean": HALVES, "std": HALVES, "resampler": "bilinear"},
    "siglip": {"size_px": SIZE_PX, "mean": HALVES, "std": HALVES, "resampler": "bicubic"},
    "videomae": {
        "size_px": SIZE_PX, "short_side_px": 40, "crop": "centre", "frames": FRAMES, "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225], "resampler": "bilinear",
    },
    "wav2vec2": {"sample_rate_hz": 16000, "window_seconds": 1.0, "normalise": True},
    "ast": {"sample_rate_hz": 16000, "window_seconds": 0.64, "mean": -4.25, "std": 4.5},
}  # fmt: skip


def save_checkpoint(folder: Path, architecture: str, labels: Sequence[str] = ("Fake", "Real")) -> Path:
    """config.json, preprocessor_config.json and model.safetensors of a random network with these labels."""
    torch.manual_seed(1)
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: k for k, name in enumerate(labels)}}
    network = getattr(transformers, _NETWORKS[architecture])(_config(architecture, names))
    with torch.no_grad():  # as initialised, the labels would hardly differ
        for name, parameter in network.named_parameters():
            if name.startswith("classifier"):
                parameter.copy_(torch.randn_like(parameter))
    network.save_pretrained(folder)
    processor_of(architecture).save_pretrained(folder)
    return folder


_NETWORKS = {
    "vit": "ViTForImageClassification",
    "siglip": "SiglipForImageClassification",
    "videomae": "VideoMAEForVideoClassification",
    "wav2vec2": "Wav2Vec2ForSequenceClassification",
    "ast": "ASTForAudioClassification",
}


def _config(architecture: str, names: Row) -> Any:
    if architecture == "vit":
        return transformers.ViTConfig(**_SMALL, **_PATCHES, **names)
    if architecture == "siglip":
        text = {**_SMALL, "vocab_size": 8, "bos_token_id": 0, "eos_token_id": 1}
        return transformers.SiglipConfig(vision_config={**_SMALL, **_PATCHES}, text_config=text, **names)
    if architecture == "videomae":
        return transformers.VideoMAEConfig(**_SMALL, **_PATCHES, num_frames=FRAMES, **names)
    if architecture == "ast":
        return transformers.ASTConfig(**_SMALL, max_length=COLUMNS, num_mel_bins=MELS, **names)
    return transformers.Wav2Vec2Config(
        **_SMALL, conv_dim=[16, 16], conv_stride=[5, 4], conv_kernel=[10, 8], num_feat_extract_layers=2,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, classifier_proj_size=8, **names,
    )  # fmt: skip


def processor_of(architecture: str) -> Any:
    """The library's own preprocessing, as the row declares it."""
    p = _PREPROCESSING[architecture]
    if architecture in {"vit", "siglip"}:
        kind = transformers.ViTImageProcessor if architecture == "vit" else transformers.SiglipImageProcessor
        return kind(size=_SQUARE, image_mean=p["mean"], image_std=p["std"])
    if architecture == "videomae":
        size = {"shortest_edge": p["short_side_px"]}
        return transformers.VideoMAEImageProcessor(
            size=size, crop_size=_SQUARE, image_mean=p["mean"], image_std=p["std"]
        )
    if architecture == "wav2vec2":
        return transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    return transformers.ASTFeatureExtractor(num_mel_bins=MELS, max_length=COLUMNS, mean=p["mean"], std=p["std"])


def spoof_logit_of_the_library(folder: Path, architecture: str, item: Any, spoof_index: int = 0) -> float:
    """What transformers itself makes of one picture, list of frames or stretch of sound: the log-odds of a label."""
    network = getattr(transformers, _NETWORKS[architecture]).from_pretrained(folder).eval()
    processor = processor_of(architecture)
    options = {"sampling_rate": 16000} if MODALITIES[architecture] == "audio" else {}
    inputs = processor(item, return_tensors="pt", **options)
    with torch.inference_mode():
        logits: NDArray[np.float64] = network(**inputs).logits[0].double().numpy()
    return float(logits[spoof_index] - np.logaddexp.reduce(np.delete(logits, spoof_index)))


def row_of(folder: Path, architecture: str, **changes: Any) -> Row:
    """The row of a checkpoint, hashes of what lies there included."""
    return {
        "name": f"tiny_{architecture}",
        "modality": MODALITIES[architecture],
        "architecture": architecture,
        "folder": str(folder),
        "sha256": hashes_of(folder),
        "revision": REVISION,
        "origin": "example.org/tiny",
        "licence": "CC0-1.0",
        "spoof_label": "Fake",
        "preprocessing": dict(_PREPROCESSING[architecture]),
        "summary": "Random numbers.",
        **changes,
    }


def hashes_of(folder: Path) -> dict[str, str]:
    names = ("config.json", "preprocessor_config.json", "model.safetensors")
    return {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names if (folder / n).exists()}


def save_catalogue(path: Path, *rows: Row) -> Path:
    """A catalogue of these rows."""
    blocks = ["schema_version = 1"]
    for row in rows:
        blocks.append("\n".join(("[[plugin]]", *(f"{key} = {_toml(value)}" for key, value in row.items()))))
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return path


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)  # strings, numbers, truths and lists of them are written alike
