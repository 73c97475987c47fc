"""Is the preprocessing that a row declares the one that its checkpoint was made with? A difference stops the start."""

from __future__ import annotations

import math
from typing import Any

from deepscreen.detectors.catalogue.checkpoint import Checkpoint
from deepscreen.detectors.catalogue.rows import (
    CONFIG,
    PREPROCESSOR,
    ClipRow,
    PicturePreprocessing,
    PictureRow,
    PluginRow,
    SpectrogramRow,
)
from deepscreen.errors import ManifestInvalid

RESAMPLERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}  # numbers of Pillow, which checkpoints use
FRAME_SECONDS, HOP_SECONDS = 0.025, 0.01  # of a spectrogram's columns
_REL_TOL = 1e-6  # JSON writes 1/255 and such in more or fewer digits


def check_declared(row: PluginRow, checkpoint: Checkpoint) -> None:
    """Raises ManifestInvalid, naming file, key, found and declared value, where the row and its checkpoint differ.

    Keys that a checkpoint leaves out are not compared.
    """
    _compare(row, CONFIG, _config_facts(row, checkpoint.config), _wanted_of_config(row))
    _compare(row, PREPROCESSOR, checkpoint.preprocessor or {}, _wanted_of_preprocessor(row, checkpoint.config))
    if isinstance(row, SpectrogramRow):
        _check_window(row, checkpoint.config)


def _compare(row: PluginRow, file: str, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for key, value in wanted.items():
        if key in found and not _same(value, found[key]):
            raise ManifestInvalid(
                f"{row.folder / file}: {key} is {found[key]}, but plug-in {row.name!r} declares what comes to {value}; "
                "declare the preprocessing that the checkpoint was trained with"
            )


def _config_facts(row: PluginRow, config: Any) -> dict[str, Any]:
    vision = config.vision_config if row.architecture == "siglip" else config
    return {key: getattr(vision, key) for key in ("image_size", "num_frames", "num_channels") if hasattr(vision, key)}


def _wanted_of_config(row: PluginRow) -> dict[str, Any]:
    if isinstance(row, PictureRow | ClipRow):
        wanted: dict[str, Any] = {"image_size": row.preprocessing.size_px, "num_channels": 3}
        return {**wanted, "num_frames": row.preprocessing.frames} if isinstance(row, ClipRow) else wanted
    return {}


def _wanted_of_preprocessor(row: PluginRow, config: Any) -> dict[str, Any]:
    if isinstance(row, PictureRow | ClipRow):
        return _wanted_of_pictures(row.preprocessing)
    wanted: dict[str, Any] = {"sampling_rate": row.preprocessing.sample_rate_hz, "feature_size": 1}
    if not isinstance(row, SpectrogramRow):
        return {**wanted, "do_normalize": row.preprocessing.normalise}
    shape = {"num_mel_bins": config.num_mel_bins, "max_length": config.max_length}
    scale = {"do_normalize": True, "mean": row.preprocessing.mean, "std": row.preprocessing.std}
    return {**wanted, **shape, **scale}


def _wanted_of_pictures(p: PicturePreprocessing) -> dict[str, Any]:
    square = {"height": p.size_px, "width": p.size_px}
    is_centre = p.crop == "centre"
    is_scaled = p.mean != (0.0, 0.0, 0.0) or p.std != (1.0, 1.0, 1.0)
    return {
        "do_resize": True,
        "size": {"shortest_edge": p.resized_short_side_px} if is_centre else square,
        "resample": RESAMPLERS[p.resampler],
        "do_center_crop": is_centre,
        **({"crop_size": square} if is_centre else {}),
        "do_pad": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": is_scaled,
        **({"image_mean": p.mean, "image_std": p.std} if is_scaled else {}),
    }


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, dict):  # sides of a picture; older checkpoints give one number for both
        sides = found if isinstance(found, dict) else dict.fromkeys(wanted, found)
        return wanted == {key: side for key, side in sides.items() if side is not None}
    if isinstance(wanted, tuple):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_same, wanted, found))
    if isinstance(found, list | tuple):  # a size as [height, width]
        return all(_same(wanted, side) for side in found)
    if isinstance(wanted, bool):
        return wanted == (found is True)
    return isinstance(found, int | float) and math.isclose(wanted, found, rel_tol=_REL_TOL)


def _check_window(row: SpectrogramRow, config: Any) -> None:
    longest = FRAME_SECONDS + (config.max_length - 1) * HOP_SECONDS
    if row.preprocessing.window_seconds > longest + HOP_SECONDS:
        raise ManifestInvalid(
            f"{row.folder / CONFIG}: max_length {config.max_length} is {longest:.2f} s; the window_seconds "
            f"{row.preprocessing.window_seconds} of plug-in {row.name!r} would be cut off"
        )
