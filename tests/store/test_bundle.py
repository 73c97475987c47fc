"""The bundle of a case: all of it is there, it proves itself without Deepscreen, and any flipped byte is named."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deepscreen.bundle import verify as verifier
from deepscreen.bundle.export import export_case
from deepscreen.cli import app
from deepscreen.errors import ConfigError
from deepscreen.record import (
    Evidence,
    FaithfulnessRecord,
    Media,
    ModalityResult,
    Overall,
    Provenance,
    Screening,
    Verdict,
)
from deepscreen.settings import Settings
from deepscreen.store import audit
from deepscreen.store.acts import COMPUTATION_ENDED
from deepscreen.store.cases import Cases
from deepscreen.store.computations import Outcome, Queue, State
from deepscreen.store.keys import Caller, Role
from deepscreen.store.screenings import Request, Screenings
from deepscreen.store.store import Store

CALLER = Caller("local", Role.ADMIN)
METHOD = "ab" * 32


def heatmap_png() -> bytes:
    packed = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)).save(packed, "PNG")
    return packed.getvalue()


def screening_of(media_sha256: str, png: bytes) -> Screening:
    evidence = Evidence(
        name="image_clip-heatmap-whole.png",
        kind="heatmap",
        sha256=hashlib.sha256(png).hexdigest(),
        detector="image_clip",
        subject="whole",
        scale_low=-4,
        scale_high=4,
        scale_unit="log-odds",
        faithfulness=FaithfulnessRecord(drop_hottest=1.2, drop_random=0.1, masked_fraction=0.1),
    )
    image = ModalityResult(
        verdict=Verdict.INCONCLUSIVE,
        authenticity_score=0.4,
        prior_spoof=0.5,
        log10_lr=0.18,
        log10_lr_low=-0.1,
        log10_lr_high=0.4,
        log10_lr_limit=1.8,
        verbal="no support for one hypothesis over the other",
        evidence=(evidence,),
    )
    return Screening(
        media=Media(sha256=media_sha256, size_bytes=10, kind="image", container="PNG", mime="image/png", streams=()),
        modalities={"image": image},
        overall=Overall(verdict=Verdict.INCONCLUSIVE, explanation="Nothing is decided."),
        provenance=Provenance(
            software="deepscreen 0.1.0",
            method_digest=METHOD,
            weights_sha256={},
            settings_digest="12" * 32,
            device_class="cpu",
            precision="fp32",
        ),
    )


def filled_case(store: Store) -> str:
    """A case with one result and one screening that still waits."""
    queue = Queue(store.database, lease_seconds=60, max_deaths_alone=1)
    screenings = Screenings(store, queue)
    case = Cases(store.database).create(CALLER, name="Case 7", notes="")
    png = heatmap_png()
    for number, filename in enumerate(("IMG 1 <b>.png", "later.png")):
        original = store.data_dir / "upload"
        original.write_bytes(bytes([number]))
        media_sha256 = hashlib.sha256(bytes([number])).hexdigest()
        asked = Request(media_sha256, 1, filename, case.id, None)
        screenings.create(CALLER, asked, method_digest=METHOD, original=original)
        if number == 0:
            record = store.blobs.put(screening_of(media_sha256, png).canonical_json())
            picture = store.blobs.put(png)
            claim = queue.claim("one", METHOD, is_idle=True)
            assert claim is not None
            outcome = Outcome(State.DONE, record_sha256=record, blobs=frozenset({record, picture}))
            assert queue.finish(claim, outcome, worker="one")
    return case.id


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("bundle")
    store = Store.open(Settings(), folder / "data")
    target = folder / "case.zip"
    exported = export_case(store, filled_case(store), target, language="en", with_pdf=True)
    store.close()
    assert (exported.items, exported.left_out) == (1, 1)
    return target.read_bytes()


def files_of(bundle: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(bundle)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_bundle_holds_everything_and_says_what_it_left_out(bundle: bytes) -> None:
    files = files_of(bundle)
    kinds = {re.sub(r"items/[0-9a-f]{64}-[0-9a-f]{12}", "items/ID", name) for name in files}
    assert kinds == {
        "manifest.json",
        "signature.json",
        "README.txt",
        "verify.py",
        "case-uco.jsonld",
        "audit/entries.jsonl",
        "audit/checkpoints.jsonl",
        "items/ID/record.json",
        "items/ID/image_clip-heatmap-whole.png",
        "items/ID/report.html",
        "items/ID/report.pdf",
    }
    manifest = json.loads(files["manifest.json"])
    assert [item["filename"] for item in manifest["items"]] == ["IMG 1 <b>.png"]
    assert [item["state"] for item in manifest["left_out"]] == ["queued"]
    acts = [json.loads(line)["act"] for line in files["audit/entries.jsonl"].splitlines()]
    assert acts[-1] == "case-exported"
    assert COMPUTATION_ENDED == verifier.COMPUTATION_ENDED


def test_bundle_proves_itself_without_deepscreen(bundle: bytes, tmp_path: Path) -> None:
    """With the verifier from the bundle, in an interpreter that cannot find Deepscreen."""
    (tmp_path / "verify.py").write_bytes(files_of(bundle)["verify.py"])
    (tmp_path / "case.zip").write_bytes(bundle)
    key = json.loads(files_of(bundle)["signature.json"])["public_key"]
    program = f"import sys; sys.modules['deepscreen'] = None; sys.argv = ['v', 'case.zip', '--public-key', '{key}']\n"
    program += "import runpy; runpy.run_path('verify.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"All holds: 11 files, signed with key {key}.\n"


def test_any_flipped_byte_is_named(bundle: bytes) -> None:
    """Every byte of small members and of the container, and many of the large ones."""
    files, _ = verifier.read_container(bundle)
    rng = np.random.default_rng(0)
    places = set(rng.integers(0, len(bundle), 150).tolist()) | set(range(0, 3_000, 31))
    places |= set(range(len(bundle) - 400, len(bundle), 5))
    for at in sorted(places):
        damaged = bytearray(bundle)
        damaged[at] ^= 1 << int(rng.integers(0, 8))
        flaws = verifier.verify(bytes(damaged))
        assert flaws, f"byte {at}"
    for name, content in files.items():
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 1
        flaws = verifier.verify(verifier.container(files | {name: bytes(changed)}))
        assert any(flaw.startswith(name) for flaw in flaws), (name, flaws)


def test_missing_added_and_swapped_files_are_named(bundle: bytes) -> None:
    files, _ = verifier.read_container(bundle)
    record = next(name for name in files if name.endswith("record.json"))
    fewer = {name: content for name, content in files.items() if name != record}
    assert f"{record}: missing" in verifier.verify(verifier.container(fewer))
    more = files | {"items/extra.png": b"x"}
    assert verifier.verify(verifier.container(more)) == ["items/extra.png: not in the manifest"]
    assert verifier.verify(bundle[: len(bundle) // 2]) != []
    assert verifier.verify(b"") == ["container: the container is broken at byte 0: no manifest.json or signature.json"]


def test_record_that_the_manifest_gives_another_hash_is_named(bundle: bytes) -> None:
    files, _ = verifier.read_container(bundle)
    manifest = json.loads(files["manifest.json"])
    manifest["items"][0]["record_sha256"] = "0" * 64
    flaws = verifier.flaws_of(files | {"manifest.json": json.dumps(manifest).encode()})
    assert any("not the record that the manifest says" in flaw for flaw in flaws)


def test_key_of_somebody_else_is_named(bundle: bytes) -> None:
    assert "not with" in verifier.verify(bundle, "00" * 32)[0]


def test_cut_and_rewritten_audit_log_is_named(bundle: bytes) -> None:
    files, _ = verifier.read_container(bundle)
    lines = files["audit/entries.jsonl"].splitlines(keepends=True)
    cut = list(verifier.flaws_of(files | {"audit/entries.jsonl": b"".join(lines[:-1])}))
    assert any("signs another entry" in flaw for flaw in cut)
    middle = list(verifier.flaws_of(files | {"audit/entries.jsonl": b"".join([lines[0], *lines[2:]])}))
    assert any("does not follow the one before it" in flaw for flaw in middle)


def test_same_case_gives_the_same_bytes_but_for_log_and_pdf(tmp_path: Path) -> None:
    store = Store.open(Settings(), tmp_path / "data")
    case = filled_case(store)
    parts = []
    for number in range(2):
        export_case(store, case, tmp_path / f"{number}.zip", language="de", with_pdf=False)
        parts.append(files_of((tmp_path / f"{number}.zip").read_bytes()))
    store.close()
    differ = {name for name in parts[0] if parts[0][name] != parts[1][name]}
    assert differ == {"manifest.json", "signature.json", "audit/entries.jsonl", "audit/checkpoints.jsonl"}


def test_command_exports_on_both_databases(store: Store, store_settings: Settings, tmp_path: Path) -> None:
    case = filled_case(store)
    target = tmp_path / "case.zip"
    environment = {"DEEPSCREEN_DATABASE_URL": store_settings.database_url} if store_settings.database_url else {}
    words = ["export", case, "--bundle", str(target), "--data-dir", str(store.data_dir), "--no-pdf"]
    done = CliRunner().invoke(app, words, env=environment)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("1 results, 1 screenings without one left out.\nSigned with key ")
    assert verifier.verify(target.read_bytes()) == []


def test_case_that_is_not_there_is_refused_and_nothing_is_written(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no case"):
        export_case(store, "none", tmp_path / "case.zip", language="en", with_pdf=False)
    assert not (tmp_path / "case.zip").exists()


def test_bundle_holds_the_case_as_case_uco(bundle: bytes) -> None:
    """Of the two screenings the one that has a result, under the case's name and the file's."""
    nodes = json.loads(files_of(bundle)["case-uco.jsonld"])["@graph"]
    by_type = {kind: [node for node in nodes if node["@type"] == kind] for kind in {node["@type"] for node in nodes}}
    assert [node["core:name"] for node in by_type["investigation:Investigation"]] == ["Case 7"]
    names = [facet["observable:fileName"] for facet in by_type["observable:FileFacet"]]
    assert sorted(names) == ["IMG 1 <b>.png", "image_clip-heatmap-whole.png"]


def test_command_exports_case_uco_alone_and_says_so_in_the_audit_log(tmp_path: Path) -> None:
    store = Store.open(Settings(), tmp_path / "data")
    case = filled_case(store)
    target = tmp_path / "case.jsonld"
    words = ["export", case, "--data-dir", str(store.data_dir)]
    assert CliRunner().invoke(app, words).exit_code == 2
    done = CliRunner().invoke(app, [*words, "--case-uco", str(target)])
    assert (done.exit_code, done.output) == (0, "1 results as CASE/UCO.\n")
    assert json.loads(target.read_bytes())["@graph"]
    with store.database.read() as connection:
        last = audit.entries(connection, subject=case)[-1]
    store.close()
    assert (last.act, last.details) == ("case-exported", {"as": "case-uco"})
