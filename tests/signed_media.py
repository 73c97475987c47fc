"""Signs test media with ``c2pa-python``, under a certificate authority that exists for the test alone."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from PIL import Image

SYNTHETIC = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
CREATED = {
    "action": "c2pa.created",
    "digitalSourceType": SYNTHETIC,
    "softwareAgent": {"name": "ChatGPT", "version": "5"},
}
MANIFEST = {
    "claim_generator_info": [{"name": "Test generator", "version": "1.0"}],
    "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [CREATED]}}],
}


class Authority:
    """A root certificate and what it signs; ``responder`` is the OCSP address that its certificates name."""

    def __init__(self, responder: str | None = None) -> None:
        self.key, self.certificate = _certificate("Test root", None, responder=None)
        self._leaf_key, self._leaf = _certificate("Test signer", self, responder=responder)

    def trust_list(self, path: Path) -> Path:
        """Writes the root as a trust list."""
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path

    def key_file(self, path: Path, passphrase: bytes) -> Path:
        """Writes key and chain as PKCS#12."""
        protection = BestAvailableEncryption(passphrase)
        path.write_bytes(
            serialize_key_and_certificates(b"test", self._leaf_key, self._leaf, [self.certificate], protection)
        )
        return path

    def sign(self, source: Path, target: Path, mime: str = "image/jpeg", *, title: str | None = None) -> Path:
        """Writes *source* to *target* with a manifest that says it was generated, called *title*."""
        named = {} if title is None else {"title": title, "claim_generator_info": [{"name": title, "version": "1.0"}]}
        chain = self._leaf.public_bytes(Encoding.PEM) + self.certificate.public_bytes(Encoding.PEM)
        key = self._leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(alg=b"es256", sign_cert=chain, private_key=key, ta_url=None))
        context = c2pa.Context.from_dict({"verify": {"verify_after_sign": False, "remote_manifest_fetch": False}})
        signed = io.BytesIO()
        c2pa.Builder.from_json(json.dumps(MANIFEST | named), context).sign(
            signer, mime, io.BytesIO(source.read_bytes()), signed
        )
        target.write_bytes(signed.getvalue())
        return target


def strip(source: Path, target: Path) -> Path:
    """Writes the picture again without its manifest, as a platform does."""
    Image.open(source).save(target, "JPEG", quality=90)
    return target


def _certificate(
    name: str, issuer: Authority | None, *, responder: str | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"{name}, Inc.")]
    )
    signing_key = issuer.key if issuer else key
    is_root = issuer is None
    usage = x509.KeyUsage(not is_root, False, False, False, False, is_root, is_root, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=365))
        .add_extension(x509.BasicConstraints(is_root, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        .add_extension(usage, critical=True)
    )
    if not is_root:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    if responder is not None:
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder))
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return key, builder.sign(signing_key, hashes.SHA256())
