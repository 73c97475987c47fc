"""Content credentials: every state, on files that were signed, changed, stripped and damaged here."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import media_factory
from deepscreen.findings.content_credentials import CODE, OCSP_RESPONDER, STATES, _of_report
from deepscreen.findings.finding import Finding
from deepscreen.findings.metadata import Metadata
from deepscreen.findings.specimen import Specimen
from deepscreen.media.intake import take_in
from deepscreen.media.sandbox import Decoder
from deepscreen.settings import Limits
from signed_media import Authority, strip

LIMITS = Limits()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    path = tmp_path_factory.mktemp("c2pa") / "photo.jpg"
    Image.fromarray(noise).save(path, "JPEG", quality=95)
    return path


@lru_cache(maxsize=1)
def trusting_nobody() -> Decoder:
    return Decoder(LIMITS)


@pytest.fixture(scope="module", autouse=True)
def _closed_at_the_end() -> Iterator[None]:
    yield
    trusting_nobody().close()


def findings(path: Path, trust_list: Path | None = None) -> dict[str, Finding]:
    intake = take_in(path, limits=LIMITS)
    if trust_list is None:
        return {found.code: found for found in trusting_nobody().inspect(intake)}
    with Decoder(LIMITS, trust_list=trust_list) as decoder:
        return {found.code: found for found in decoder.inspect(intake)}


def state(path: Path, trust_list: Path | None = None) -> object:
    return findings(path, trust_list)[CODE].facts["state"]


def changed(source: Path, target: Path, change: Callable[[bytearray], None]) -> Path:
    content = bytearray(source.read_bytes())
    change(content)
    target.write_bytes(content)
    return target


def test_without_a_list_every_signer_is_untrusted(authority: Authority, photo: Path, tmp_path: Path) -> None:
    signed = authority.sign(photo, tmp_path / "signed.jpg")
    found = findings(signed)
    assert found[CODE].facts["state"] == "valid_untrusted"
    assert found[CODE].facts["signer"] == "Test signer, Inc."


def test_signer_on_another_list_is_untrusted(authority: Authority, photo: Path, tmp_path: Path) -> None:
    other = Authority().trust_list(tmp_path / "other.pem")
    assert state(authority.sign(photo, tmp_path / "signed.jpg"), other) == "valid_untrusted"


def test_signer_on_the_pinned_list_is_trusted(authority: Authority, photo: Path, tmp_path: Path) -> None:
    trust_list = authority.trust_list(tmp_path / "roots.pem")
    assert state(authority.sign(photo, tmp_path / "signed.jpg"), trust_list) == "trusted"


def test_revocation_is_unknown_where_a_responder_would_have_to_be_asked(photo: Path, tmp_path: Path) -> None:
    authority = Authority(responder="http://127.0.0.1:9/ocsp")
    trust_list = authority.trust_list(tmp_path / "roots.pem")
    assert state(authority.sign(photo, tmp_path / "signed.jpg"), trust_list) == "revoked_unknown"


def test_picture_that_was_changed_after_signing_is_told(authority: Authority, photo: Path, tmp_path: Path) -> None:
    def change(content: bytearray) -> None:
        content[-40] ^= 1  # within the coded picture

    signed = authority.sign(photo, tmp_path / "signed.jpg")
    found = findings(changed(signed, tmp_path / "tampered.jpg", change), authority.trust_list(tmp_path / "roots.pem"))
    assert found[CODE].facts["state"] == "tampered"
    assert "assertion.dataHash.mismatch" in str(found[CODE].facts["failures"])


def test_claim_that_was_changed_after_signing_is_told(authority: Authority, photo: Path, tmp_path: Path) -> None:
    def change(content: bytearray) -> None:
        at = content.index(b"Test generator")
        content[at : at + 4] = b"Best"

    signed = authority.sign(photo, tmp_path / "signed.jpg")
    assert state(changed(signed, tmp_path / "tampered.jpg", change)) == "tampered"


def test_manifest_that_is_no_manifest_is_malformed(authority: Authority, photo: Path, tmp_path: Path) -> None:
    def change(content: bytearray) -> None:
        at = content.index(b"c2pa.signature") + 20
        content[at : at + 40] = bytes(40)

    signed = authority.sign(photo, tmp_path / "signed.jpg")
    assert state(changed(signed, tmp_path / "broken.jpg", change)) == "malformed"


def test_stripped_and_plain_files_hold_none(authority: Authority, photo: Path, tmp_path: Path) -> None:
    signed = authority.sign(photo, tmp_path / "signed.jpg")
    assert state(strip(signed, tmp_path / "stripped.jpg")) == "none"
    assert state(media_factory.save_clip(tmp_path / "clip.mp4")) == "none"


def test_manifest_tells_that_a_model_made_the_file(authority: Authority, photo: Path, tmp_path: Path) -> None:
    found = findings(authority.sign(photo, tmp_path / "signed.jpg"))
    declared = found["synthetic_source_declared"]
    assert (declared.severity, declared.facts["digital_source_type"]) == ("warning", "trainedAlgorithmicMedia")
    assert found["content_credentials_actions"].facts["software"] == "ChatGPT 5"


@pytest.mark.parametrize(
    ("suffix", "mime", "save"),
    [
        ("png", "image/png", lambda path: media_factory.save_picture(path, "PNG")),
        ("webp", "image/webp", lambda path: media_factory.save_picture(path, "WEBP")),
        ("mp4", "video/mp4", media_factory.save_clip),
        ("wav", "audio/wav", lambda path: media_factory.save_sound(path, media_factory.tone(1.0, 16_000), 16_000)),
    ],
)
def test_manifests_are_found_in_other_containers(
    authority: Authority, tmp_path: Path, suffix: str, mime: str, save: Callable[[Path], Path]
) -> None:
    source = save(tmp_path / f"plain.{suffix}")
    assert state(source) == "none"
    assert state(authority.sign(source, tmp_path / f"signed.{suffix}", mime)) == "valid_untrusted"


def test_manifest_on_a_server_is_named_and_not_fetched(photo: Path, tmp_path: Path) -> None:
    xmp = '<x:xmpmeta><rdf:Description dcterms:provenance="https://example.org/m.c2pa"/></x:xmpmeta>'
    path = tmp_path / "remote.jpg"
    Image.open(photo).save(path, "JPEG", xmp=xmp.encode())
    found = findings(path)
    assert found["content_credentials_elsewhere"].facts["address"] == "https://example.org/m.c2pa"
    assert found[CODE].facts["state"] == "none"


def test_every_state_has_words() -> None:
    states = {"none", "malformed", "tampered", "not_valid", "valid_untrusted", "trusted", "revoked", "revoked_unknown"}
    assert set(STATES) == states


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        (["signingCredential.ocsp.revoked"], "revoked"),
        (["signingCredential.ocsp.revoked", "assertion.dataHash.mismatch"], "tampered"),
        (["signingCredential.untrusted", "claimSignature.mismatch"], "tampered"),
        (["signingCredential.expired"], "not_valid"),
    ],
)
def test_failed_check_is_not_told_as_another(failures: list[str], expected: str) -> None:
    specimen = Specimen(io.BytesIO(), "JPEG", "image/jpeg", Metadata(manifest=b"manifest"))
    status = {"failure": [{"code": code} for code in failures]}
    report = {"validation_state": "Invalid", "validation_results": {"activeManifest": status}}
    first = next(_of_report(report, specimen))
    assert (first.facts["state"], first.severity) == (expected, "warning")


def test_answer_on_an_ingredient_settles_nothing_of_the_signer() -> None:
    manifest = Metadata(manifest=OCSP_RESPONDER)
    answer = {"success": [{"code": "signingCredential.ocsp.notRevoked"}]}
    results = {"activeManifest": {}, "ingredientDeltas": [{"validationDeltas": answer}]}
    report = {"validation_state": "Trusted", "validation_results": results}
    first = next(_of_report(report, Specimen(io.BytesIO(), "JPEG", "image/jpeg", manifest)))
    assert first.facts["state"] == "revoked_unknown"


def test_tiff_that_holds_the_four_letters_by_chance_holds_no_credentials(tmp_path: Path) -> None:
    path = tmp_path / "chance.tif"
    Image.fromarray(np.frombuffer(b"c2pa" * 768, np.uint8).reshape(32, 32, 3)).save(path)
    assert state(path) == "none"
