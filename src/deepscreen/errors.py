"""Everything Deepscreen raises on purpose.

DeepscreenError
├── MediaError                the file is the problem, not the software
│   ├── UnreadableMedia       not a regular file, gone, or no permission
│   ├── EmptyMedia            zero bytes
│   ├── UnsupportedMedia      content is no image, video or audio that is read here
│   ├── MediaTooLarge         more bytes, pixels or seconds than the limits allow
│   ├── UndecodableMedia      right kind, broken content
│   ├── DecodeTimeout         decoding took longer than the limit
│   ├── DecoderCrashed        the sandboxed decoder died (signal, out of memory)
│   ├── UnpackRefused         a container holds more, deeper or denser content than the limits allow
│   ├── UnsafeMember          a member of a container is a link or a device, or its name climbs out of it
│   ├── EncryptedMember       a member of a container, or the whole of it, wants a password
│   └── WorkerDied            workers of the service died on it, also with nothing else in hand
├── WeightsError              the installation is the problem; refuse to start
│   ├── ManifestInvalid       weights/manifest.toml breaks its own rules
│   ├── WeightsMissing        a file that the manifest names is not there
│   ├── WeightsMismatch       a file's sha256 is not the manifest's
│   └── WeightsUnavailable    no source gave the file (pull, import)
├── DetectorError
│   └── InferenceFailed       a network gave no finite number
├── CalibrationError          a calibration file is missing or does not belong to its head
│   └── TooFewItems           too little labelled media to fit and validate a calibration on
├── StoreError                database or blob store cannot do its part
│   ├── StoreUnavailable      it does not answer; try again later
│   ├── StorageFull           no space left
│   └── BlobDamaged           a stored file is gone or is not what was written
├── RegisterError             the misuse register cannot do what is asked
│   ├── EntryChanged          somebody else amended the entry meanwhile
│   ├── EntryAboveTlp         an entry is marked higher than those may see who would get it
│   └── ExchangeInvalid       what is to be imported is no register that can be read
├── ReportFailed              a report could not be rendered, signed or proven
├── Overloaded                no free place; try again later
└── ConfigError               a setting or an option is wrong
"""

from __future__ import annotations


class DeepscreenError(Exception):
    """Root of all errors raised on purpose; its text may be shown to the user."""


class MediaError(DeepscreenError):
    """The evidence file cannot be screened; nothing is wrong with the installation."""


class UnreadableMedia(MediaError):
    """The path is no regular file, is gone, or may not be read."""


class EmptyMedia(MediaError):
    """The file holds zero bytes."""


class UnsupportedMedia(MediaError):
    """The content is no image, video or audio that Deepscreen reads."""


class MediaTooLarge(MediaError):
    """The file has more bytes, pixels or seconds than the limits allow."""


class UndecodableMedia(MediaError):
    """The content has a known type but cannot be decoded."""


class DecodeTimeout(MediaError):
    """The sandboxed decoder did not finish in time and was killed."""


class DecoderCrashed(MediaError):
    """The sandboxed decoder died: a signal, or more memory than it may have."""


class UnpackRefused(MediaError):
    """A container holds more, deeper or denser content than the limits allow."""


class UnsafeMember(MediaError):
    """A member of a container is a link or a device, or its name climbs out of the container."""


class EncryptedMember(MediaError):
    """A member of a container, or the whole container, cannot be read without a password."""


class WorkerDied(MediaError):
    """Workers died while they screened this file."""


class WeightsError(DeepscreenError):
    """Weights are not what the manifest says; screening refuses to start."""


class ManifestInvalid(WeightsError):
    """The manifest cannot be read or breaks its own rules."""


class WeightsMissing(WeightsError):
    """A file that the manifest names is not in the cache."""


class WeightsMismatch(WeightsError):
    """A file's sha256 differs from the manifest's."""


class WeightsUnavailable(WeightsError):
    """No source (package index, mirror folder, bundle) gave the file."""


class DetectorError(DeepscreenError):
    """A detector could not do its work."""


class InferenceFailed(DetectorError):
    """A network returned something that is not a finite number."""


class CalibrationError(DeepscreenError):
    """A calibration file is missing, malformed, or belongs to another head."""


class TooFewItems(CalibrationError):
    """There is too little labelled media to fit and validate a calibration on."""


class StoreError(DeepscreenError):
    """The store cannot do its part."""


class StoreUnavailable(StoreError):
    """The database or the blob store does not answer."""


class StorageFull(StoreError):
    """There is no space left to keep evidence in."""


class BlobDamaged(StoreError):
    """A stored file is gone, or is not what was written."""


class RegisterError(DeepscreenError):
    """The misuse register cannot do what is asked."""


class EntryChanged(RegisterError):
    """Somebody else amended the entry meanwhile."""


class EntryAboveTlp(RegisterError):
    """An entry is marked higher than those may see who would get it."""


class ExchangeInvalid(RegisterError):
    """What is to be imported is no register that can be read."""


class ReportFailed(DeepscreenError):
    """A report could not be rendered, signed or proven."""


class Overloaded(DeepscreenError):
    """All places are taken; ``retry_after_seconds`` says when to come back."""

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ConfigError(DeepscreenError):
    """A setting or a command-line option is wrong."""
