"""Broken and hostile media: each is screened or fails with a typed reason; the service stays up, nothing connects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from figures import Figures
from mutations import mutated, whole_files
from processes import Part, Scale, descendants, resident_bytes

from deepscreen.media.isolation import isolation

MAX_BYTES = 2_000_000
PROBLEM = "urn:deepscreen:problem:"
# What may be said of a file. Anything else, such as an internal error, is a fault of the service.
TYPED = {PROBLEM + name for name in (
    "unsupported-media", "undecodable-media", "media-too-large", "empty-media", "decode-timeout", "decoder-crashed",
)}  # fmt: skip
MEMORY_CAP_BYTES = 1_500_000_000  # of the service and all that it started


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Part]:
    told = {
        "DEEPSCREEN_DATA_DIR": str(tmp_path / "data"),
        "DEEPSCREEN_DEVICE": "cpu",
        "DEEPSCREEN_LIMITS__MAX_BYTES": str(MAX_BYTES),
        "DEEPSCREEN_LIMITS__DECODE_MEMORY_BYTES": str(768 * 1024 * 1024),
        "DEEPSCREEN_REQUESTS_PER_MINUTE": "100000",
    }
    part = Part("serve", told, tmp_path / "log")
    part.wait_until_ready()
    yield part
    part.kill()


def outcome(service: Part, content: bytes) -> str:
    """``screened``, or the problem's type."""
    answer = httpx.post(service.url + "/v1/screenings", files={"file": ("x", content)}, timeout=300)
    return "screened" if answer.status_code == 201 else str(answer.json()["type"])


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_mutated_media_fail_one_by_one_and_typed(service: Part, scale: Scale, figures: Figures, tmp_path: Path) -> None:
    whole = whole_files(tmp_path / "whole")
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda n: outcome(service, mutated(whole, n)), range(scale.mutations)))
    tally = Counter(found)
    assert set(tally) <= TYPED | {"screened"}
    assert len(tally) > 2, "a test in which everything ends the same way tests nothing"
    assert httpx.get(service.url + "/livez", timeout=60).status_code == 200
    assert outcome(service, whole[0]) == "screened"
    family = [service.pid, *descendants(service.pid)]
    memory_bytes = sum(map(resident_bytes, family))
    assert memory_bytes < MEMORY_CAP_BYTES
    if isolation().kind != "limits":
        assert_no_traffic(family)
    counts = ", ".join(f"{count} {name.removeprefix(PROBLEM)}" for name, count in tally.most_common())
    figures.add(
        f"{scale.mutations} mutated files: the service is up, each ends typed, nothing is sent",
        target=f"all typed; < {MEMORY_CAP_BYTES // 10**6} MB",
        reached=f"{counts}; {memory_bytes // 10**6} MB; decoders in {isolation().kind}",
    )


def assert_no_traffic(family: list[int]) -> None:
    """The decoders are in a network namespace of their own, where not one packet was ever sent."""
    own = Path("/proc/self/ns/net").readlink()
    apart = [pid for pid in family if Path(f"/proc/{pid}/ns/net").readlink() != own]
    assert apart
    for pid in apart:
        for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]:
            name, figures = line.split(":")
            assert name.strip() == "lo"
            assert set(figures.split()) == {"0"}
