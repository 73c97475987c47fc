"""Turns published weight files into safetensors, bit for bit the same on every machine.

Only numpy runs here: no thread count, processor or library version may change a digest that stands in the manifest.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from deepscreen.errors import WeightsUnavailable

if TYPE_CHECKING:
    import onnx

Tensors = Mapping[str, NDArray[Any]]
Recipe = Callable[[Sequence[Path], Path], None]

_SAFETENSORS_DTYPES = {"float32": "F32", "float16": "F16", "int64": "I64"}
# CTranslate2's DataType enumeration (include/ctranslate2/types.h, MIT): its values are part of the file format.
_CTRANSLATE2_DTYPES = ("<f4", "i1", "<i2", "<i4", "<f2")
_CTRANSLATE2_VERSION = 6
_MAX_RANK = 8


def write_safetensors(path: Path, tensors: Tensors) -> None:
    """Writes *tensors* (float32, float16, int64) by sorted name, without metadata: equal tensors are equal bytes.

    The format is written here and not by the library, whose order of header fields may change between versions.
    """
    header: dict[str, object] = {}
    end = 0
    for name in sorted(tensors):
        start, end = end, end + tensors[name].nbytes
        dtype = _SAFETENSORS_DTYPES[tensors[name].dtype.name]
        header[name] = {"dtype": dtype, "shape": list(tensors[name].shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            array = tensors[name]
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


def copy_member(members: Sequence[Path], out: Path) -> None:
    """The published file as it is."""
    shutil.copyfile(members[0], out)


def clip_from_int8_onnx(members: Sequence[Path], out: Path) -> None:
    """CLIP's image tower from its dynamically quantised ONNX form; keys of ``CLIPVisionModelWithProjection``."""
    graph = _onnx_graph(members[0])
    stored = _onnx_tensors(graph)
    tensors = {name: array for name, array in stored.items() if name.startswith("vision_model.")}
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        # Node "/vision_model/encoder/layers.0/self_attn/q_proj/MatMul_quant" holds that module's weight.
        module = node.name.strip("/").rsplit("/", 1)[0].replace("/", ".")
        base = node.input[1].removesuffix("_quantized")
        quantised, zero = stored[f"{base}_quantized"].astype(np.float32), stored[f"{base}_zero_point"]
        # [in, out] in ONNX, [out, in] in torch. One multiplication per value: one rounding, the same everywhere.
        tensors[f"{module}.weight"] = ((quantised - zero.astype(np.float32)) * stored[f"{base}_scale"]).T
    write_safetensors(out, tensors)


def silero_from_onnx(members: Sequence[Path], out: Path) -> None:
    """Silero VAD's 16 kHz network from its ONNX form; keys of ``nets.silero.SileroVad``."""
    stored = _onnx_tensors(_onnx_graph(members[0]))
    tensors = {"stft_conv.weight": stored["model.stft.forward_basis_buffer"]}
    for kind in ("weight", "bias"):
        for index in range(4):
            tensors[f"conv{index + 1}.{kind}"] = stored[f"model.encoder.{index}.reparam_conv.{kind}"]
        tensors[f"final_conv.{kind}"] = stored[f"model.decoder.decoder.2.{kind}"]
        for gate in ("ih", "hh"):  # torch calls the only layer of an LSTM `l0`
            tensors[f"lstm.{kind}_{gate}_l0"] = stored[f"model.decoder.rnn.{kind}_{gate}"]
    write_safetensors(out, tensors)


def check_can_convert(recipe: str) -> None:
    """Raises WeightsUnavailable where *recipe* needs a package that is not installed: before a download, not after."""
    if "onnx" in recipe and find_spec("onnx") is None:
        raise WeightsUnavailable(
            "converting these weights needs the package `onnx`, which is not installed; run"
            " `pip install 'deepscreen[convert]'`, or take converted files with `weights import` or `--mirror`"
        )


def _onnx_graph(path: Path) -> onnx.GraphProto:
    import onnx

    return onnx.load(str(path)).graph


def _onnx_tensors(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    from onnx.numpy_helper import to_array

    return {tensor.name: to_array(tensor) for tensor in graph.initializer}


def whisper_encoder_from_ctranslate2(members: Sequence[Path], out: Path) -> None:
    """Whisper's encoder from the parts of a CTranslate2 ``model.bin``; float16, keys of ``WhisperEncoder``."""
    joined = out.with_name(f"{out.name}.joined")
    try:
        with joined.open("wb") as target:
            for part in members:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, target)
        with joined.open("rb") as file:
            stored = {v.name.removeprefix("encoder/"): v.array for v in _encoder_variables(file)}
    finally:
        joined.unlink(missing_ok=True)
    write_safetensors(out, _whisper_names(stored))


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    array: NDArray[Any]


def _encoder_variables(file: BinaryIO) -> Iterator[_Variable]:
    """Reads version, spec name, revision and count, then each variable's name, shape, type, size and bytes."""
    version = _number(file, "<I")
    spec = _text(file)
    if version != _CTRANSLATE2_VERSION or spec != "WhisperSpec":
        raise WeightsUnavailable(f"model.bin: want WhisperSpec, version {_CTRANSLATE2_VERSION}; got {spec}, {version}")
    _revision = _number(file, "<I")
    for _ in range(_number(file, "<I")):
        name = _text(file)
        rank = _number(file, "<B")
        if rank > _MAX_RANK:
            raise WeightsUnavailable(f"model.bin: {name} claims {rank} dimensions")
        shape = [_number(file, "<I") for _ in range(rank)]
        dtype = _CTRANSLATE2_DTYPES[_number(file, "<B")]
        data = _exactly(file, _number(file, "<I"))
        if name.startswith("encoder/"):
            yield _Variable(name, np.frombuffer(data, dtype).reshape(shape))


def _exactly(file: BinaryIO, n_bytes: int) -> bytes:
    data = file.read(n_bytes)
    if len(data) != n_bytes:
        raise WeightsUnavailable(f"model.bin ends early: want {n_bytes} bytes, got {len(data)}")
    return data


def _number(file: BinaryIO, layout: str) -> int:
    return int(struct.unpack(layout, _exactly(file, struct.calcsize(layout)))[0])


def _text(file: BinaryIO) -> str:
    return _exactly(file, _number(file, "<H")).rstrip(b"\0").decode()


def _whisper_names(stored: Tensors) -> dict[str, NDArray[Any]]:
    tensors = {
        "embed_positions.weight": stored["position_encodings/encodings"],
        "layer_norm.weight": stored["layer_norm/gamma"],
        "layer_norm.bias": stored["layer_norm/beta"],
    }
    for conv in ("conv1", "conv2"):
        tensors |= {f"{conv}.{kind}": stored[f"{conv}/{kind}"] for kind in ("weight", "bias")}
    n_layers = len({name.split("/")[0] for name in stored if name.startswith("layer_") and name[6].isdigit()})
    for index in range(n_layers):
        tensors |= {f"layers.{index}.{name}": array for name, array in _whisper_layer(stored, f"layer_{index}")}
    return tensors


def _whisper_layer(stored: Tensors, layer: str) -> Iterator[tuple[str, NDArray[Any]]]:
    attention = f"{layer}/self_attention"
    for kind in ("weight", "bias"):
        query, key, value = np.split(stored[f"{attention}/linear_0/{kind}"], 3)
        yield f"self_attn.q_proj.{kind}", query
        yield f"self_attn.v_proj.{kind}", value
        if kind == "weight":  # Whisper's key projection has no bias; the fused one holds zeros in its place
            yield "self_attn.k_proj.weight", key
        elif np.any(key):
            raise WeightsUnavailable(f"model.bin: {attention} has a key bias, which Whisper has not")
        yield f"self_attn.out_proj.{kind}", stored[f"{attention}/linear_1/{kind}"]
        yield f"fc1.{kind}", stored[f"{layer}/ffn/linear_0/{kind}"]
        yield f"fc2.{kind}", stored[f"{layer}/ffn/linear_1/{kind}"]
    for ours, theirs in (
        ("self_attn_layer_norm", f"{attention}/layer_norm"),
        ("final_layer_norm", f"{layer}/ffn/layer_norm"),
    ):
        yield f"{ours}.weight", stored[f"{theirs}/gamma"]
        yield f"{ours}.bias", stored[f"{theirs}/beta"]


RECIPES: Mapping[str, Recipe] = {
    "copy": copy_member,
    "clip-int8-onnx": clip_from_int8_onnx,
    "silero-onnx": silero_from_onnx,
    "whisper-encoder-ctranslate2": whisper_encoder_from_ctranslate2,
}
