"""What happens to a recording on its way to the examiner: telephone bands, codecs, noise, another level.

Both classes are laundered alike, so that a head learns nothing from a codec or a band that leans to one class.
Each copy is drawn from a seed of its own, so a clip gets the same copy whatever else is fitted.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import librosa
import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from deepscreen.media.recode import through_sound_codec

SAMPLE_RATE_HZ = 16_000
TELEPHONE_RATE_HZ = 8_000
TELEPHONE_BAND_HZ = (300, 3400)
AS_RECORDED, TELEPHONE_CALL, MP3_32, RANDOM = "as recorded", "telephone band + GSM", "MP3 32 kbit/s", "random"
TREATMENTS = (AS_RECORDED, TELEPHONE_CALL, MP3_32, RANDOM)  # by number of the copy
RANDOM_ONE_IN = 16
Sound = NDArray[np.float32]
Step = Callable[[Sound, np.random.Generator], Sound]


def clip_seed(name: str, copy: int, seed: int) -> int:
    """A seed for one laundered copy of one clip: depends on its name, the copy's number and *seed* only."""
    digest = hashlib.sha256(f"{seed}|{copy}|{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def copies_of(name: str) -> tuple[int, ...]:
    """Which copies a clip is fitted with: as recorded, a telephone call, an MP3; of one in sixteen a random one too."""
    fixed = (0, TREATMENTS.index(TELEPHONE_CALL), TREATMENTS.index(MP3_32))
    return fixed if clip_seed(name, 0, 0) % RANDOM_ONE_IN else (*fixed, TREATMENTS.index(RANDOM))


def copy_of(samples: Sound, name: str, copy: int, seed: int) -> Sound:
    """Copy number *copy* of a clip, as long as the original; TREATMENTS names it."""
    kind = TREATMENTS[copy]
    if kind == TELEPHONE_CALL:
        return telephone_call(samples)
    if kind == MP3_32:
        return through_sound_codec(samples, "libmp3lame", "mp3", 32_000)
    return launder(samples, clip_seed(name, copy, seed)) if kind == RANDOM else samples


def telephone_call(samples: Sound) -> Sound:
    """A telephone call: 300 to 3400 Hz and GSM 06.10, as long as the original."""
    band = butter(4, TELEPHONE_BAND_HZ, "bandpass", fs=TELEPHONE_RATE_HZ, output="sos")
    narrow = np.clip(sosfiltfilt(band, _to_telephone(samples)).astype(np.float32), -1, 1)
    return _as_long_as(_from_telephone(_gsm(narrow)), len(samples))


def launder(samples: Sound, seed: int) -> Sound:
    """A laundered copy, as long as the original: noise in one of two, then one way of transport, then a new level.

    ``samples``: (n,) float32 at 16 kHz. The same seed gives the same copy.
    """
    rng = np.random.default_rng(seed)
    sound = add_noise(samples, rng) if rng.random() < 0.5 else samples
    transport = _TRANSPORTS[int(rng.choice(len(_TRANSPORTS), p=_TRANSPORT_SHARES))]
    return change_level(_as_long_as(transport(sound, rng), len(samples)), rng)


def add_noise(samples: Sound, rng: np.random.Generator) -> Sound:
    """White, pink or brown noise, 12 to 40 dB below the sound."""
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    slope = rng.choice((0.0, 0.5, 1.0))
    noise = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** slope, n=len(samples))
    gain = _rms(samples) / max(_rms(noise), 1e-12) * 10 ** (-rng.uniform(12, 40) / 20)
    return np.asarray(samples + gain * noise, np.float32)


def change_level(samples: Sound, rng: np.random.Generator) -> Sound:
    """A level between -12 and +6 dB of the old one; what goes beyond full scale is clipped, as in a recorder."""
    return np.asarray(np.clip(samples * 10 ** (rng.uniform(-12, 6) / 20), -1, 1), np.float32)


def limit_band(samples: Sound, rng: np.random.Generator) -> Sound:
    """Sound through a sampling rate of 7 to 14 kHz."""
    rate_hz = int(rng.integers(7_000, 14_000))
    return _resample(_resample(samples, SAMPLE_RATE_HZ, rate_hz), rate_hz, SAMPLE_RATE_HZ)


def limit_to_4khz(samples: Sound, rng: np.random.Generator) -> Sound:
    """Sound through 8 kHz sampling, as clean telephone prompts are stored."""
    del rng
    return _from_telephone(_to_telephone(samples))


def through_mu_law(samples: Sound, rng: np.random.Generator) -> Sound:
    """G.711 mu-law at 8 kHz."""
    del rng
    narrow = np.clip(_to_telephone(samples), -1, 1)
    return _from_telephone(librosa.mu_expand(librosa.mu_compress(narrow)).astype(np.float32))


def through_gsm(samples: Sound, rng: np.random.Generator) -> Sound:
    """GSM 06.10 full rate at 8 kHz."""
    del rng
    return _from_telephone(_gsm(_to_telephone(samples)))


def through_mp3(samples: Sound, rng: np.random.Generator) -> Sound:
    """MP3 at 16 kHz, 24 to 96 kbit/s."""
    return through_sound_codec(samples, "libmp3lame", "mp3", int(rng.integers(24, 97)) * 1000)


def through_opus(samples: Sound, rng: np.random.Generator) -> Sound:
    """Opus, 10 to 48 kbit/s, as messengers send voice."""
    return through_sound_codec(samples, "libopus", "ogg", int(rng.integers(10, 49)) * 1000)


def through_aac(samples: Sound, rng: np.random.Generator) -> Sound:
    """AAC, 24 to 96 kbit/s."""
    return through_sound_codec(samples, "aac", "adts", int(rng.integers(24, 97)) * 1000)


_TRANSPORTS: tuple[Step, ...] = (
    limit_band,
    limit_to_4khz,
    through_mu_law,
    through_gsm,
    through_mp3,
    through_opus,
    through_aac,
)
_TRANSPORT_SHARES = (0.12, 0.16, 0.12, 0.08, 0.2, 0.2, 0.12)


def _gsm(narrow: Sound) -> Sound:
    file = io.BytesIO()
    soundfile.write(file, narrow, TELEPHONE_RATE_HZ, format="WAV", subtype="GSM610")
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    return np.asarray(decoded, np.float32)


def _to_telephone(samples: Sound) -> Sound:
    return _resample(samples, SAMPLE_RATE_HZ, TELEPHONE_RATE_HZ)


def _from_telephone(samples: Sound) -> Sound:
    return _resample(samples, TELEPHONE_RATE_HZ, SAMPLE_RATE_HZ)


def _resample(samples: Sound, from_hz: int, to_hz: int) -> Sound:
    return np.asarray(librosa.resample(samples, orig_sr=from_hz, target_sr=to_hz, res_type="soxr_hq"), np.float32)


def _as_long_as(samples: Sound, n_samples: int) -> Sound:
    return np.pad(samples[:n_samples], (0, max(0, n_samples - len(samples))))


def _rms(samples: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
