"""A checkpoint folder, proven file by file, and the classifier in it with the polarity that its row declares.

Safetensors only, through the architecture's own class: no pickle, no code from the folder, no network. Each file is
read once, hashed as it was read, and parsed from those bytes, so that nothing can be swapped in between.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from deepscreen.detectors.catalogue.rows import CONFIG, PREPROCESSOR, WEIGHTS, PluginRow
from deepscreen.errors import InferenceFailed, ManifestInvalid, WeightsMismatch, WeightsMissing

NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "vit": "ViTForImageClassification",
        "siglip": "SiglipForImageClassification",
        "videomae": "VideoMAEForVideoClassification",
        "wav2vec2": "Wav2Vec2ForSequenceClassification",
        "ast": "ASTForAudioClassification",
    }
)
# Keys that name code, other weights or another number format: what they ask for is not what the row declares.
REFUSED_KEYS = frozenset(
    {"auto_map", "custom_pipelines", "quantization_config", "fusion_config", "transformers_weights"}
)
SHOWN_TENSORS = 3
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, repr=False)
class Checkpoint:
    """The proven contents of a row's folder. ``preprocessor`` is None where the folder has none."""

    config: Any  # the architecture's own configuration class
    preprocessor: Json | None
    tensors: dict[str, Tensor]


class SpoofClassifier:
    """The network on one device, in fp32, and the index of the label that means spoof."""

    def __init__(self, network: Any, spoof_index: int, device: str) -> None:
        self._network, self._spoof_index, self._device = network.to(device), spoof_index, torch.device(device)

    @torch.inference_mode()
    def spoof_logit(self, inputs: Tensor) -> float:
        """Log-odds of spoof against all other labels together, for one item, in a batch of its own."""
        logits = self._network(inputs[None].to(self._device)).logits[0].double().cpu()
        is_other = torch.arange(len(logits)) != self._spoof_index
        odds = float(logits[self._spoof_index] - torch.logsumexp(logits[is_other], dim=0))
        if not torch.isfinite(torch.tensor(odds)):
            raise InferenceFailed(f"the network gave {logits.tolist()}; a finite number for each label is needed")
        return odds


def open_checkpoint(row: PluginRow) -> Checkpoint:
    """Reads and proves all files of *row*; raises WeightsMissing, WeightsMismatch or ManifestInvalid."""
    if PREPROCESSOR not in row.sha256 and (row.folder / PREPROCESSOR).exists():
        raise ManifestInvalid(
            f"{row.folder / PREPROCESSOR}: is there, but row {row.name!r} gives no sha256 for it; add one, so that the "
            "declared preprocessing is checked against it"
        )
    proven = {file: _proven(row, file) for file in sorted(row.sha256)}
    preprocessor = _json(row, PREPROCESSOR, proven[PREPROCESSOR]) if PREPROCESSOR in proven else None
    return Checkpoint(_config(row, proven[CONFIG]), preprocessor, _tensors(row, proven[WEIGHTS]))


def load_classifier(row: PluginRow, checkpoint: Checkpoint, device: str) -> SpoofClassifier:
    """The classifier of *row*; raises ManifestInvalid where label, configuration and weights do not fit together."""
    spoof_index = _spoof_index(row, checkpoint.config)
    place = row.folder / WEIGHTS
    try:
        with _without_progress_bar():
            network, report = _network_class(row).from_pretrained(
                None,
                config=checkpoint.config,
                state_dict=checkpoint.tensors,
                local_files_only=True,
                output_loading_info=True,
                dtype=torch.float32,
                attn_implementation="sdpa",
            )
    except (RuntimeError, ValueError) as error:
        raise ManifestInvalid(f"{place}: the weights do not fit {CONFIG}: {error}") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if report[kind]:
            what, names = kind.partition("_")[0], sorted(map(str, report[kind]))
            raise ManifestInvalid(
                f"{place}: {len(names)} {what} tensors for {NETWORKS[row.architecture]}, such as "
                f"{', '.join(names[:SHOWN_TENSORS])}; take the whole checkpoint of one revision"
            )
    return SpoofClassifier(network.eval().requires_grad_(False), spoof_index, device)


def _proven(row: PluginRow, file: str) -> bytes:
    path, expected = row.folder / file, row.sha256[file]
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsMissing(
            f"{path}: plug-in {row.name!r} cannot be read ({error.strerror}); expected sha256 {expected}; put revision "
            f"{row.revision} of {row.origin} there (nothing is downloaded, and pickled weights are never read)"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise WeightsMismatch(
            f"{path}: expected sha256 {expected}, found {found}; restore revision {row.revision} of {row.origin}, or, "
            f"if you trust the new file, correct plug-in {row.name!r} in the catalogue"
        )
    return content


def _json(row: PluginRow, file: str, content: bytes) -> Json:
    try:
        data = json.loads(content)
    except ValueError as error:
        raise ManifestInvalid(f"{row.folder / file}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ManifestInvalid(f"{row.folder / file}: want a JSON object, got {type(data).__name__}")
    return data


def _tensors(row: PluginRow, content: bytes) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ManifestInvalid(
            f"{row.folder / WEIGHTS}: no safetensors file ({error}); pickled weights are never read: convert them first"
        ) from error
    return tensors


def _network_class(row: PluginRow) -> Any:
    return getattr(import_module("transformers"), NETWORKS[row.architecture])


def _config(row: PluginRow, content: bytes) -> Any:
    data, config_class = _json(row, CONFIG, content), _network_class(row).config_class
    path = row.folder / CONFIG
    if data.get("model_type") != config_class.model_type:
        raise ManifestInvalid(
            f"{path}: model_type is {data.get('model_type')!r}; architecture {row.architecture!r} of plug-in "
            f"{row.name!r} wants {config_class.model_type!r}"
        )
    refused = sorted(REFUSED_KEYS & set(_keys(data)))
    if refused:
        raise ManifestInvalid(
            f"{path}: {', '.join(refused)}: code from a checkpoint, quantised or foreign weights are not loaded"
        )
    try:
        return config_class.from_dict(data)
    except (StrictDataclassError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise ManifestInvalid(f"{path}: no configuration of {config_class.__name__}: {error}") from error


def _keys(data: object) -> Iterator[str]:
    """All keys, at any depth."""
    if isinstance(data, dict):
        yield from data
    for inner in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from _keys(inner)


def _spoof_index(row: PluginRow, config: Any) -> int:
    labels = {int(index): str(name) for index, name in config.id2label.items()}
    shown = ", ".join(f"{index} = {name!r}" for index, name in sorted(labels.items()))
    if len(labels) < 2 or set(labels) != set(range(len(labels))):
        raise ManifestInvalid(f"{row.folder / CONFIG}: labels {shown}; at least two are needed, numbered from 0")
    found = [index for index, name in labels.items() if row.spoof_label in (index, name)]
    if len(found) != 1:
        raise ManifestInvalid(
            f"{row.folder / CONFIG}: spoof_label {row.spoof_label!r} of plug-in {row.name!r} names {len(found)} of its "
            f"labels; they are {shown}"
        )
    return found[0]


@contextmanager
def _without_progress_bar() -> Iterator[None]:
    """The library draws a bar on the terminal for each checkpoint; ours is the only one there."""
    logging = import_module("transformers.utils.logging")
    was_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_shown:
            logging.enable_progress_bar()
