"""Decode the sound of a file: mono, one rate, consecutive blocks, in flat memory. Runs in the decoder process."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from deepscreen.errors import UndecodableMedia
from deepscreen.media.container import audio_streams, open_container, packets
from deepscreen.media.sniff import Sniffed

Samples = NDArray[np.float32]
GATHER_SECONDS = 1.0  # resampling a second at a time costs less than packet by packet


def sound_blocks(file: BinaryIO, sniffed: Sniffed, *, sample_rate_hz: int, block_samples: int) -> Iterator[Samples]:
    """Blocks of *block_samples* (the last one shorter) of the first sound track, in [-1, 1].

    Channels are mixed by their mean. Nothing when there is no track or it has no packets; UndecodableMedia when not
    one of its packets decodes. Packets that cannot be decoded are left out.
    """
    with open_container(file, sniffed) as container:
        streams = audio_streams(container)
        if not streams:
            return
        mono = _decoded_mono(packets(container, streams[0]), streams[0])
        for block in regrouped(_resampled(_gathered(mono), sample_rate_hz), block_samples):
            yield np.clip(block, -1.0, 1.0)


def _decoded_mono(stream_packets: Iterator[Any], stream: Any) -> Iterator[tuple[int, Samples]]:
    """(sample rate, mono samples) of each decoded frame; the decoder is drained at the end."""
    seen, decoded = 0, 0
    for packet in chain(stream_packets, (None,)):
        seen += packet is not None
        try:
            frames = stream.codec_context.decode(packet)
        except MemoryError:
            raise
        except (av.FFmpegError, ValueError):
            continue
        for frame in frames:
            decoded += 1
            yield frame.sample_rate, mono_of(frame)
    if seen and not decoded:
        raise UndecodableMedia("not one packet of the sound track can be decoded")


def mono_of(frame: AudioFrame) -> Samples:
    """The mean of the frame's channels as float32; full scale of any format is 1; NaN and infinity are silence."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    mean = (values if values.dtype.kind == "f" else _integers_to_unit(values)).mean(axis=0, dtype=np.float32)
    sound: Samples = np.nan_to_num(mean, nan=0.0, posinf=0.0, neginf=0.0)
    return sound


def _integers_to_unit(values: NDArray[Any]) -> Samples:
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128.0) / 128.0
    return values.astype(np.float32) / float(-np.iinfo(values.dtype).min)


def _gathered(pieces: Iterator[tuple[int, Samples]]) -> Iterator[tuple[int, Samples]]:
    """The same sound in larger pieces, each of one sample rate."""
    held: list[Samples] = []
    held_rate_hz = 0
    for rate_hz, samples in pieces:
        if held and (rate_hz != held_rate_hz or sum(map(len, held)) >= GATHER_SECONDS * held_rate_hz):
            yield held_rate_hz, np.concatenate(held)
            held = []
        held_rate_hz = rate_hz
        held.append(samples)
    if held:
        yield held_rate_hz, np.concatenate(held)


def _resampled(pieces: Iterator[tuple[int, Samples]], sample_rate_hz: int) -> Iterator[Samples]:
    """All pieces at *sample_rate_hz*; a stream that changes its rate gets a new resampler there."""
    resampler, resampler_rate_hz = None, 0
    for rate_hz, samples in pieces:
        if resampler is None or rate_hz != resampler_rate_hz:
            yield from _out_of(resampler, None)
            resampler, resampler_rate_hz = AudioResampler(format="flt", layout="mono", rate=sample_rate_hz), rate_hz
        frame = AudioFrame.from_ndarray(samples[np.newaxis], format="flt", layout="mono")
        frame.sample_rate = rate_hz
        yield from _out_of(resampler, frame)
    yield from _out_of(resampler, None)


def _out_of(resampler: AudioResampler | None, frame: AudioFrame | None) -> Iterator[Samples]:
    for out in resampler.resample(frame) if resampler is not None else ():
        if out is not None:  # a resampler that has nothing to do hands back what it was given, None too
            yield out.to_ndarray()[0].astype(np.float32, copy=False)


def regrouped(pieces: Iterator[Samples], block_samples: int) -> Iterator[Samples]:
    """Blocks of exactly *block_samples*, then what is left."""
    held = np.empty(block_samples, np.float32)
    filled = 0
    for piece in pieces:
        while len(piece):
            taken = min(len(piece), block_samples - filled)
            held[filled : filled + taken] = piece[:taken]
            piece, filled = piece[taken:], filled + taken
            if filled == block_samples:
                yield held
                filled = 0
    if filled:
        yield held[:filled]
