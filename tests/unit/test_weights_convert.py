"""Conversion recipes on small made-up files in the published formats."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from deepscreen.errors import WeightsUnavailable
from deepscreen.weights.convert import RECIPES, write_safetensors

WIDTH = 4


def test_safetensors_bytes_do_not_depend_on_order_or_layout(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    write_safetensors(tmp_path / "1", {"x": array, "a": array[0]})
    write_safetensors(tmp_path / "2", {"a": array[0], "x": np.asfortranarray(array)})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert np.array_equal(load_file(tmp_path / "1")["x"], array)


def test_clip_weights_are_dequantised_and_transposed(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the `convert` extra is not installed")
    quantised = np.array([[1, -2], [3, 4], [-128, 127]], dtype=np.int8)
    scale = np.array([0.5, 0.25], dtype=np.float32)
    arrays = {
        "w_quantized": quantised,
        "w_scale": scale,
        "w_zero_point": np.array([0, 2], dtype=np.int8),
        "vision_model.pre_layrnorm.bias": np.ones(2, dtype=np.float32),
    }
    node = onnx.helper.make_node(
        "MatMulInteger",
        ["x", "w_quantized", "z", "w_zero_point"],
        ["y"],
        name="/vision_model/layers.0/fc1/MatMul_quant",
    )
    initializers = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    path = tmp_path / "clip.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [], initializers)), str(path))

    RECIPES["clip-int8-onnx"]([path], tmp_path / "out")
    tensors = load_file(tmp_path / "out")
    assert set(tensors) == {"vision_model.layers.0.fc1.weight", "vision_model.pre_layrnorm.bias"}
    assert tensors["vision_model.layers.0.fc1.weight"].tolist() == [[0.5, 1.5, -64.0], [-1.0, 0.5, 31.25]]


def test_whisper_attention_is_split_and_parts_are_joined(tmp_path: Path) -> None:
    variables = _whisper_variables()
    content = _ctranslate2(variables)
    parts = [tmp_path / "part1", tmp_path / "part2"]
    parts[0].write_bytes(content[:101])
    parts[1].write_bytes(content[101:])
    RECIPES["whisper-encoder-ctranslate2"](parts, tmp_path / "out")
    tensors = load_file(tmp_path / "out")
    fused = variables["encoder/layer_0/self_attention/linear_0/weight"]
    assert np.array_equal(tensors["layers.0.self_attn.k_proj.weight"], fused[WIDTH : 2 * WIDTH])
    assert np.array_equal(tensors["layers.0.self_attn.v_proj.weight"], fused[2 * WIDTH :])
    assert "layers.0.self_attn.k_proj.bias" not in tensors
    assert not any(name.startswith("decoder") for name in tensors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "part1", "part2"]


@pytest.mark.parametrize("keep_bytes", [0, 3, 40, 400])
def test_whisper_conversion_fails_when_the_file_is_cut_short(tmp_path: Path, keep_bytes: int) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(_ctranslate2(_whisper_variables())[:keep_bytes])
    with pytest.raises(WeightsUnavailable, match="ends early"):
        RECIPES["whisper-encoder-ctranslate2"]([path], tmp_path / "out")


def test_whisper_conversion_fails_when_the_file_is_another_model(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(_ctranslate2({}, spec="TransformerSpec"))
    with pytest.raises(WeightsUnavailable, match="TransformerSpec"):
        RECIPES["whisper-encoder-ctranslate2"]([path], tmp_path / "out")


def _whisper_variables() -> dict[str, NDArray[np.float16]]:
    rng = np.random.default_rng(0)

    def made(*shape: int) -> NDArray[np.float16]:
        return rng.normal(size=shape).astype(np.float16)

    attention, ffn = "encoder/layer_0/self_attention", "encoder/layer_0/ffn"
    fused_bias = made(3 * WIDTH)
    fused_bias[WIDTH : 2 * WIDTH] = 0
    variables = {
        "decoder/embeddings/weight": made(3, WIDTH),
        "encoder/position_encodings/encodings": made(5, WIDTH),
        f"{attention}/linear_0/weight": made(3 * WIDTH, WIDTH),
        f"{attention}/linear_0/bias": fused_bias,
        f"{attention}/linear_1/weight": made(WIDTH, WIDTH),
        f"{attention}/linear_1/bias": made(WIDTH),
    }
    for norm in ("encoder", attention, ffn):
        variables |= {f"{norm}/layer_norm/{kind}": made(WIDTH) for kind in ("gamma", "beta")}
    for index in (1, 2):
        variables |= {f"encoder/conv{index}/weight": made(WIDTH, 2, 3), f"encoder/conv{index}/bias": made(WIDTH)}
        variables |= {f"{ffn}/linear_{index - 1}/weight": made(WIDTH, 8), f"{ffn}/linear_{index - 1}/bias": made(WIDTH)}
    return variables


def _ctranslate2(variables: dict[str, NDArray[np.float16]], spec: str = "WhisperSpec") -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    content = struct.pack("<I", 6) + text(spec) + struct.pack("<II", 3, len(variables))
    for name, array in variables.items():
        content += text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        content += struct.pack("<BI", 4, array.nbytes) + array.tobytes()
    return content + struct.pack("<I", 0)
