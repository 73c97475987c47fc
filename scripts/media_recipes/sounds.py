"""Sounds: cuts of recordings, synthetic speech, a vocoded twin, a partly replaced sentence. Mono float32 in [-1, 1]."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]
RATE_HZ = 16_000


def load(path: Path, *, container: str | None = None) -> Samples:
    """The whole sound at 16 kHz mono; *container* names the format of headerless files (g722)."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    with av.open(str(path), format=container) as source:
        frames = [out for frame in source.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


def cut(samples: Samples, start_seconds: float, end_seconds: float) -> Samples:
    """The stretch [start_seconds, end_seconds), with 5 ms ramps against clicks."""
    piece = samples[round(start_seconds * RATE_HZ) : round(end_seconds * RATE_HZ)].copy()
    ramp = np.linspace(0, 1, RATE_HZ // 200, dtype=np.float32)
    piece[: ramp.size] *= ramp
    piece[-ramp.size :] *= ramp[::-1]
    return piece


def speak(text: str, *, engine: str) -> Samples:
    """Synthetic speech of *text* by ``espeak-ng`` (formant synthesis) or ``flite`` (voice slt, statistical)."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        commands = {
            "espeak-ng": ["espeak-ng", "-v", "en-us", "-s", "150", "-w", str(wav), text],
            "flite": ["flite", "-voice", "slt", "-t", text, "-o", str(wav)],
        }
        subprocess.run(commands[engine], check=True)
        return load(wav)


def vocode(samples: Samples) -> Samples:
    """WORLD analysis and synthesis of a recording: the same words and voice, every sample computed."""
    import pyworld  # type: ignore[import-not-found]  # needed by this recipe only, so no dependency

    signal = samples.astype(np.float64)
    f0, times = pyworld.harvest(signal, RATE_HZ)
    envelope = pyworld.cheaptrick(signal, f0, times, RATE_HZ)
    aperiodicity = pyworld.d4c(signal, f0, times, RATE_HZ)
    spoken = pyworld.synthesize(f0, envelope, aperiodicity, RATE_HZ)[: samples.size]
    return np.asarray(np.clip(spoken, -1, 1), np.float32)


def level_as(samples: Samples, reference: Samples) -> Samples:
    """The samples at the reference's RMS level, or as near to it as goes without clipping."""
    gain = np.sqrt(np.mean(reference**2)) / max(np.sqrt(np.mean(samples**2)), 1e-6)
    return np.asarray(samples * min(gain, 0.9 / np.abs(samples).max()), np.float32)


def write_pcm(path: Path, samples: Samples, *, rate_hz: int = RATE_HZ) -> None:
    """WAV or FLAC with 16 bits, by suffix; at 8 kHz the band ends at 4 kHz as on the telephone."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    out = [frame.to_ndarray()[0] for frame in resampler.resample(_frame(samples)) + resampler.resample(None)]
    soundfile.write(path, np.concatenate(out), rate_hz, subtype="PCM_16")


def write_opus(path: Path, samples: Samples, *, bit_rate: int = 32_000) -> None:
    """Ogg Opus."""
    with av.open(str(path), "w", format="ogg", options={"fflags": "+bitexact"}) as target:
        stream = target.add_stream("libopus", rate=48_000, layout="mono")
        stream.bit_rate = bit_rate
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000, frame_size=960)
        for frame in resampler.resample(_frame(samples)) + resampler.resample(None):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def _frame(samples: Samples) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="flt", layout="mono")
    frame.sample_rate = RATE_HZ
    frame.pts = 0
    return frame
