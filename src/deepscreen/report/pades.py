"""Signing of PDF reports with a certificate (PAdES B-B, ETSI EN 319 142-1), and the proof of what was signed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from deepscreen.errors import ConfigError, ReportFailed

FIELD_NAME = "Signature"


def sign_pdf(pdf: bytes, certificate: Path, passphrase_file: Path | None) -> bytes:
    """*pdf* with a signature by the key and chain in the PKCS#12 file *certificate*.

    Without a time stamp: no other machine is asked. What was signed is proven before it is given out. Raises
    ConfigError where the certificate cannot be used, ReportFailed where the signature does not hold.
    """
    signer = _signer(certificate, passphrase_file)
    metadata = signers.PdfSignatureMetadata(
        field_name=FIELD_NAME, md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES
    )
    signed = io.BytesIO()
    signers.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)), metadata, signer=signer, output=signed)
    if not is_signed_whole(signed.getvalue()):
        raise ReportFailed("the signature of the PDF does not hold; nothing was written")
    return signed.getvalue()


def is_signed_whole(pdf: bytes) -> bool:
    """Whether the first signature covers the whole file and fits it; says nothing of who signed."""
    signatures = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    if not signatures:
        return False
    context = ValidationContext(trust_roots=[signatures[0].signer_cert], allow_fetching=False)
    status = validate_pdf_signature(signatures[0], signer_validation_context=context)
    is_whole = status.coverage is not None and status.coverage.name == "ENTIRE_FILE"
    return bool(status.intact and status.valid and is_whole)


def _signer(certificate: Path, passphrase_file: Path | None) -> signers.SimpleSigner:
    try:
        passphrase = passphrase_file.read_bytes().strip() if passphrase_file is not None else None
        # Untyped; it logs and gives None where it cannot read the file.
        load: Any = signers.SimpleSigner.load_pkcs12
        signer: signers.SimpleSigner | None = load(str(certificate), passphrase=passphrase)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{certificate}: no usable PKCS#12 file, or the wrong passphrase") from error
    if signer is None:
        raise ConfigError(f"{certificate}: no usable PKCS#12 file, or the wrong passphrase")
    return signer
