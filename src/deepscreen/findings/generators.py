"""Traces that image generators and their user interfaces leave: prompts, graphs, declared source types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from deepscreen.findings.finding import Finding, finding
from deepscreen.findings.programs import programs_in
from deepscreen.findings.specimen import Specimen

# *Source:* IPTC NewsCodes, Digital Source Type (cv.iptc.org/newscodes/digitalsourcetype).
SYNTHETIC_SOURCES = {
    "trainedAlgorithmicMedia": "made wholly by a generative model",
    "compositeWithTrainedAlgorithmicMedia": "composed with parts from a generative model",
    "compositeSynthetic": "composed with synthetic parts",
    "algorithmicMedia": "made by an algorithm without training data",
    "virtualRecording": "a recording of a virtual event",
}
SOURCE_TYPE = re.compile(r"digitalsourcetype/(\w{1,60})", re.IGNORECASE)
# The settings line that Stable Diffusion web UI and its relatives write after prompt and negative prompt.
UI_SETTINGS = re.compile(r"\bSteps: (\d{1,5}), .{0,400}?(?:Sampler|CFG scale|Seed): ", re.DOTALL)
UI_VALUE = re.compile(r"\b(Steps|Sampler|Seed|Model|Size|Version|Face restoration): ([^,\n]{1,80})")
INVOKE_KEYS = ("invokeai_metadata", "invokeai_graph", "sd-metadata", "Dream")
OTHER_KEYS = {"fooocus_scheme": "Fooocus", "sui_image_params": "SwarmUI", "negative_prompt": "Easy Diffusion"}
MIDJOURNEY_JOB = re.compile(r"\bJob ID: [0-9a-f]{8}-[0-9a-f]{4}-")
AIGC_LABEL = re.compile(r"""["']?\bAIGC\b["']?.{0,40}?["']?Label["']?\s*[:=]""", re.DOTALL)  # TC260-PG-20257A, China
PROMPT_CHARACTERS = 200


def generator_traces(specimen: Specimen) -> Iterator[Finding]:
    """What generators wrote into text blocks, EXIF, XMP and container tags."""
    texts = _texts_of(specimen)
    for place, text in texts.items():
        if (trace := _ui_settings(place, text) or _json_trace(place, text)) is not None:
            yield trace
        if MIDJOURNEY_JOB.search(text):
            yield _trace("Midjourney", place, {"text": text[:PROMPT_CHARACTERS]})
        if AIGC_LABEL.search(text):
            yield finding(
                "ai_label",
                "The file carries an AIGC label, which marks content as made or changed by artificial intelligence.",
                source=place,
                severity="warning",
                facts={"label": text[:PROMPT_CHARACTERS]},
            )
    yield from _source_types(specimen)
    yield from _named_programs(texts)


def _texts_of(specimen: Specimen) -> dict[str, str]:
    """All texts that could hold a trace, by the place where they stand."""
    metadata = specimen.metadata
    exif = {f"EXIF {name}": value for name, value in metadata.exif.items() if not value.isdecimal()}
    texts = {
        f"text block {name[:40]}": value for name, value in metadata.texts.items() if not name.startswith("XML:com")
    }
    iptc = {f"IPTC {name}": value for name, value in metadata.iptc.items()}
    tags = {f"container tag {name[:40]}": value for name, value in specimen.tags.items()}
    xmp = {"XMP": metadata.xmp} if metadata.xmp else {}
    return exif | texts | iptc | tags | xmp


def _ui_settings(place: str, text: str) -> Finding | None:
    if UI_SETTINGS.search(text) is None:
        return None
    facts = {name.lower().replace(" ", "_"): value.strip() for name, value in UI_VALUE.findall(text)}
    return _trace("a Stable Diffusion user interface", place, {**facts, "prompt": text[:PROMPT_CHARACTERS]})


def _json_trace(place: str, text: str) -> Finding | None:
    """ComfyUI, NovelAI, InvokeAI and relatives write JSON under known keywords."""
    keyword = place.rpartition(" ")[2]
    if keyword in INVOKE_KEYS:
        return _trace("InvokeAI", place, {"text": text[:PROMPT_CHARACTERS]})
    if keyword in OTHER_KEYS:
        return _trace(OTHER_KEYS[keyword], place, {"text": text[:PROMPT_CHARACTERS]})
    # ComfyUI's WebP files carry "prompt:{...}" and "workflow:{...}" in EXIF tags that are meant for the camera.
    body = text.removeprefix("prompt:").removeprefix("workflow:").strip()
    if not body.startswith("{"):
        return None
    content: Any = None
    with suppress(ValueError, RecursionError):
        content = json.loads(body)
    if not isinstance(content, dict):
        return None
    if (nodes := _comfy_nodes(content)) is not None:
        return _trace("ComfyUI", place, {"nodes": len(nodes), "node_types": sorted(set(nodes))[:12]})
    if "prompt" in content and {"steps", "sampler", "seed"} & content.keys():
        facts = {name: content.get(name) for name in ("steps", "sampler", "seed", "prompt")}
        return _trace("NovelAI or a relative", place, facts)
    return None


def _comfy_nodes(content: dict[str, Any]) -> list[str] | None:
    """Node types of a ComfyUI graph, in API form ({id: {class_type}}) or as saved by its editor ({nodes: [{type}]})."""
    values = [v for v in content.values() if isinstance(v, dict)]
    types = [str(v["class_type"]) for v in values if "class_type" in v]
    if types:
        return types
    nodes = content.get("nodes")
    if isinstance(nodes, list) and "links" in content:
        return [str(n["type"]) for n in nodes if isinstance(n, dict) and "type" in n]
    return None


def _trace(maker: str, place: str, facts: dict[str, Any]) -> Finding:
    return finding(
        "generator_trace",
        f"The file carries settings as {maker} writes them into what it generates.",
        source=place[:64],
        severity="warning",
        facts={"maker": maker, **facts},
    )


def _source_types(specimen: Specimen) -> Iterator[Finding]:
    """The declared digital source type outside C2PA (that inside is told with the manifest)."""
    for kind in dict.fromkeys(SOURCE_TYPE.findall(specimen.metadata.xmp)):
        yield declared_source(kind, "XMP")


def declared_source(kind: str, source: str) -> Finding:
    """A declared digital source type; also of C2PA manifests."""
    meaning = SYNTHETIC_SOURCES.get(kind)
    facts = {"digital_source_type": kind}
    if meaning is None:
        message = f"The file declares the digital source type {kind}; this is its maker's own statement."
        return finding("digital_source_declared", message, source=source, facts=facts)
    message = f"The file declares the digital source type {kind}: {meaning}."
    return finding("synthetic_source_declared", message, source=source, severity="warning", facts=facts)


def _named_programs(texts: dict[str, str]) -> Iterator[Finding]:
    told: set[str] = set()
    for place, text in texts.items():
        for program in programs_in(text):
            if program.name in told:
                continue
            told.add(program.name)
            trade = {
                "generator": ("generator_named", "which generates media", "warning"),
                "retouching": ("retouching_named", "which changes faces or invents detail", "notice"),
            }.get(program.trade, ("software_named", f"software of the kind: {program.trade}", "info"))
            code, what, severity = trade
            yield finding(
                code,
                f"The file names {program.name}, {what}.",
                source=place[:64],
                severity="warning" if severity == "warning" else "notice" if severity == "notice" else "info",
                facts={"program": program.name, "trade": program.trade, "text": text[:PROMPT_CHARACTERS]},
            )
