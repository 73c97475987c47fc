"""From a row to a detector: files proven, preprocessing checked, network loaded."""

from __future__ import annotations

from deepscreen.detectors.catalogue.checkpoint import load_classifier, open_checkpoint
from deepscreen.detectors.catalogue.clips import ClipPlugin
from deepscreen.detectors.catalogue.declared import check_declared
from deepscreen.detectors.catalogue.pictures import PicturePlugin
from deepscreen.detectors.catalogue.rows import ClipRow, PictureRow, PluginRow, WaveRow
from deepscreen.detectors.catalogue.sounds import SoundPlugin, spectrogram_features, wave_features
from deepscreen.detectors.contract import Detector


def build_plugin(row: PluginRow, device: str) -> Detector:
    """The detector of *row* on *device*; raises WeightsMissing, WeightsMismatch or ManifestInvalid."""
    checkpoint = open_checkpoint(row)
    check_declared(row, checkpoint)
    classifier = load_classifier(row, checkpoint, device)
    if isinstance(row, PictureRow):
        return PicturePlugin(row, classifier)
    if isinstance(row, ClipRow):
        return ClipPlugin(row, classifier)
    if isinstance(row, WaveRow):
        return SoundPlugin(row, classifier, wave_features(row.preprocessing))
    return SoundPlugin(row, classifier, spectrogram_features(row.preprocessing, checkpoint.config))
