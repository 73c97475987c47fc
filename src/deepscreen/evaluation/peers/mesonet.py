"""MesoNet (2018) with its authors' four sets of weights, on the largest face of a picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from deepscreen.absence import Absence
from deepscreen.errors import DetectorError, WeightsMismatch, WeightsMissing
from deepscreen.evaluation.peers.ask import ask
from deepscreen.evaluation.peers.contract import PeerCard, PeerReading
from deepscreen.evaluation.peers.environment import Environment
from deepscreen.evaluation.peers.mesonet_nets import FACE_PX, Arrays, MesoNet, load_keras, meso4, meso_inception4
from deepscreen.faces import CROP_SCALE, Face, FaceLocator, crop_face
from deepscreen.media.samples import Pixels
from deepscreen.training.image_features import load_pixels
from deepscreen.training.labelled import LabelledFile

H5PY_VERSION = "3.16.0"
ENVIRONMENT = Environment("h5py", (f"h5py=={H5PY_VERSION}",))
COMMIT = "2144d56"
# Side of the crop in their ``pipeline.py``: 2.2 x 1.3 times the larger of eye to eye and eyes to mouth.
CROP_PER_FEATURE = 2.2 * 1.3


@dataclass(frozen=True, slots=True)
class _Weights:
    name: str
    title: str
    file: str
    sha256: str
    build: Callable[[], MesoNet]
    forgeries: str


WEIGHTS = (
    _Weights(
        "meso4-df",
        "MesoNet Meso4, DF",
        "weights_Meso4_DF.h5",
        "036ed30d04ffd9c7506f825b97c86aa64915f5818931da96817b169aad790af5",
        meso4,
        "deepfakes of online videos",
    ),
    _Weights(
        "meso4-f2f",
        "MesoNet Meso4, F2F",
        "weights_Meso4_F2F.h5",
        "bcfda015d217b9f8d6557693edbdf9f4e79cfd22672541968dd0e2954462b5d7",
        meso4,
        "Face2Face of FaceForensics",
    ),
    _Weights(
        "mesoinception-df",
        "MesoNet MesoInception4, DF",
        "weights_MesoInception_DF.h5",
        "234586d40058e76ef8b6f27ca4b63c06e31c2a5a69c0d8ba6f30b1468ab7bafa",
        meso_inception4,
        "deepfakes of online videos",
    ),
    _Weights(
        "mesoinception-f2f",
        "MesoNet MesoInception4, F2F",
        "weights_MesoInception_F2F.h5",
        "d4533ac8a3197dc35c47405d23d99e888c1d0135e267e03540c7451feaccff3f",
        meso_inception4,
        "Face2Face of FaceForensics",
    ),
)


def checked_files(folder: Path) -> tuple[Path, ...]:
    """The four files; raises WeightsMissing or WeightsMismatch."""
    paths = tuple(folder / weights.file for weights in WEIGHTS)
    for path, weights in zip(paths, WEIGHTS, strict=True):
        if not path.is_file():
            raise WeightsMissing(f"{path}: is not there; want the weights/ of github.com/DariusAf/MesoNet at {COMMIT}")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != weights.sha256:
            raise WeightsMismatch(f"{path}: sha256 {found}; want {weights.sha256}, of commit {COMMIT}")
    return paths


def keras_arrays(python: Path, paths: Sequence[Path]) -> list[Arrays]:
    """The arrays of Keras weights files, read by *python*, which has h5py: ours need not."""
    found: list[Arrays] = []
    for path, answer in zip(paths, ask(python, "h5py", H5PY_VERSION, paths), strict=True):
        if "arrays" not in answer:
            raise DetectorError(f"{path}: h5py could not read it ({answer.get('why_not')})")
        stored = answer["arrays"].items()
        found.append({name: np.array(one["values"], np.float32).reshape(one["shape"]) for name, one in stored})
    return found


class MesoNets:
    """All four networks on one crop. ``arrays``: of the four files, in the order of ``WEIGHTS``."""

    def __init__(self, arrays: Sequence[Arrays], locator: FaceLocator) -> None:
        self._nets = {w.name: load_keras(w.build(), own) for w, own in zip(WEIGHTS, arrays, strict=True)}
        self._locator = locator

    @property
    def cards(self) -> tuple[PeerCard, ...]:
        """One for each set of weights."""
        return tuple(_card(weights) for weights in WEIGHTS)

    def read(self, files: Sequence[LabelledFile]) -> Iterator[Mapping[str, PeerReading]]:
        """The largest face of each picture; nothing for a picture without one."""
        return (self._read(file.path) for file in files)

    def _read(self, path: Path) -> dict[str, PeerReading]:
        try:
            pixels = load_pixels(path)
        except (OSError, ValueError, Image.DecompressionBombError):
            return dict.fromkeys(self._nets, PeerReading(None, Absence.UNDECODABLE.value))
        faces = self._locator.locate(pixels, max_faces=1)
        if not faces:
            return dict.fromkeys(self._nets, PeerReading(None, Absence.NO_FACE.value))
        crop = crop_face(pixels, as_mesonet_crops(faces[0]), size_px=FACE_PX).pixels
        return {name: PeerReading(_spoof_logit(net, crop)) for name, net in self._nets.items()}


def _card(weights: _Weights) -> PeerCard:
    return PeerCard(
        name=weights.name,
        title=weights.title,
        version=COMMIT,
        licence="Apache-2.0",
        looks_at="largest face",
        known_of_its_training=f"{weights.forgeries}; the set is not published whole",
    )


def as_mesonet_crops(face: Face) -> Face:
    """*face* with the box that makes ``crop_face`` cut what their ``pipeline.py`` cuts.

    Differs from the source in taking YuNet's five points for dlib's 68 (the middle of the nose is taken a quarter of
    the way from its tip to the eyes), in turning by the eyes alone, and in repeating the border beyond the picture.
    """
    points = np.array(face.landmarks_px)
    eyes, nose, mouth = points[:2].mean(axis=0), points[2], points[3:5].mean(axis=0)
    across, down = points[1] - points[0], mouth - eyes
    half = max(np.hypot(*across), np.hypot(*down), 1.0) * CROP_PER_FEATURE / CROP_SCALE / 2
    x, y = 0.75 * nose + 0.25 * eyes
    return replace(face, box_xyxy_px=(float(x - half), float(y - half), float(x + half), float(y + half)))


def _spoof_logit(net: MesoNet, crop: Pixels) -> float:
    """Their class 1 is real (their folders, taken in order of name, end with ``real``): the sign is turned."""
    face = torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        return -float(net(face)[0])
