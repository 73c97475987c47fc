"""Names of programs and services that leave theirs in files, and what each does.

Only names that the programs are known to write themselves. A name proves nothing: it can be typed by anyone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Trade = Literal["generator", "retouching", "editor", "converter", "platform"]


@dataclass(frozen=True, slots=True)
class Program:
    """A program: its name, and its trade."""

    name: str
    trade: Trade


def _program(pattern: str, name: str, trade: Trade) -> tuple[re.Pattern[str], Program]:
    return re.compile(pattern, re.IGNORECASE), Program(name, trade)


PROGRAMS: tuple[tuple[re.Pattern[str], Program], ...] = (
    _program(r"\bstable[ -]?diffusion\b|\bautomatic1111\b|\bsd-?webui\b", "Stable Diffusion", "generator"),
    _program(r"\bcomfyui\b", "ComfyUI", "generator"),
    _program(r"\bnovelai\b", "NovelAI", "generator"),
    _program(r"\binvoke ?ai\b", "InvokeAI", "generator"),
    _program(r"\bfooocus\b", "Fooocus", "generator"),
    _program(r"\bdraw things\b", "Draw Things", "generator"),
    _program(r"\bswarmui\b", "SwarmUI", "generator"),
    _program(r"\bmidjourney\b", "Midjourney", "generator"),
    _program(r"\bdall[-·. ]?e\b", "DALL-E", "generator"),
    _program(r"\b(?:openai|chatgpt|gpt-?4o|gpt-image)\b", "OpenAI", "generator"),
    _program(r"\bopenai sora\b|\bsora by openai\b|^sora(?: \d)?$", "Sora", "generator"),
    _program(r"\badobe[ _]firefly\b|\bfirefly image\b", "Adobe Firefly", "generator"),
    _program(r"\b(?:made|edited) with google ai\b|\bgoogle (?:ai|gemini|imagen|veo)\b", "Google AI", "generator"),
    _program(r"\bleonardo\.?ai\b", "Leonardo AI", "generator"),
    _program(r"\bideogram(?:\.ai| ai| \d)|^ideogram$", "Ideogram", "generator"),
    _program(r"\bblack forest labs\b|\bflux\.1\b", "FLUX", "generator"),
    _program(r"\brunway(?:ml| ai| gen-?\d)|^runway$", "Runway", "generator"),
    _program(r"\b(?:kling ?ai|klingai)\b", "Kling", "generator"),
    _program(r"\bpika ?labs\b", "Pika", "generator"),
    _program(r"\belevenlabs\b", "ElevenLabs", "generator"),
    _program(r"\bsuno(?: ai|\.com|\.ai)\b|\bmade with suno\b", "Suno", "generator"),
    _program(
        r"\b(?:deepfacelab|facefusion|roop-?(?:unleashed|cam)|deepfacelive)\b|^(?:roop|rope|reface)$",
        "face-swap software",
        "generator",
    ),
    _program(r"\bheygen\b|\bsynthesia\b|\bd-id\b", "talking-head service", "generator"),
    _program(r"\bfaceapp\b", "FaceApp", "retouching"),
    _program(r"\bfacetune\b", "Facetune", "retouching"),
    _program(r"\bremini\b", "Remini", "retouching"),
    _program(r"\b(?:meitu|beautyplus|b612|snow camera|ulike|youcam)\b", "beauty-filter app", "retouching"),
    _program(r"\btopaz (?:labs|photo|video|gigapixel|denoise|sharpen|studio|adjust)", "Topaz", "retouching"),
    _program(r"\badobe photoshop\b|^photoshop", "Adobe Photoshop", "editor"),
    _program(r"\blightroom\b|\bcamera raw\b", "Adobe Lightroom", "editor"),
    _program(r"\badobe (?:premiere|after effects|media encoder)\b", "Adobe video editor", "editor"),
    _program(r"\bgimp\b", "GIMP", "editor"),
    _program(r"\baffinity (?:photo|designer)\b", "Affinity", "editor"),
    _program(r"\bpixelmator\b", "Pixelmator", "editor"),
    _program(r"\bsnapseed\b", "Snapseed", "editor"),
    _program(r"\bpicsart\b", "PicsArt", "editor"),
    _program(r"\bcanva\b", "Canva", "editor"),
    _program(r"\bcapcut\b|\bjianying\b", "CapCut", "editor"),
    _program(r"\bdavinci resolve\b", "DaVinci Resolve", "editor"),
    _program(r"\bfinal cut\b", "Final Cut", "editor"),
    _program(r"\baudacity\b", "Audacity", "editor"),
    _program(r"\badobe audition\b", "Adobe Audition", "editor"),
    _program(r"\bpaint\.net\b", "paint.net", "editor"),
    _program(r"\bimagemagick\b", "ImageMagick", "converter"),
    _program(r"\blav[fc]\d|\bffmpeg\b", "FFmpeg", "converter"),
    _program(r"\bhandbrake\b", "HandBrake", "converter"),
    _program(r"\bx26[45]\b", "x264 or x265", "converter"),
    _program(r"\blame ?\d", "LAME", "converter"),
    _program(r"\biso media file produced by google\b", "Google (YouTube)", "platform"),
    _program(r"\bfbmd[0-9a-f]{4}", "Facebook or Instagram", "platform"),
    _program(r"\bwhatsapp\b", "WhatsApp", "platform"),
    _program(r"\btwitter\b", "Twitter", "platform"),
)


def programs_in(text: str) -> tuple[Program, ...]:
    """The programs that *text* names, each once, in the order of the list.

    Those whose names are ordinary words or names of people count with a second word, or as the whole text.
    """
    found = (program for pattern, program in PROGRAMS if pattern.search(text[:4000].strip()))
    return tuple(dict.fromkeys(found))
