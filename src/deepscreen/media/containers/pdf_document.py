"""PDF documents: pictures on their pages, and attached files. Runs in the decoder process."""

from __future__ import annotations

import ctypes
import io
from typing import Any, BinaryIO

import pypdfium2
from pypdfium2 import raw

from deepscreen.errors import EncryptedMember, MediaError, UndecodableMedia
from deepscreen.media.containers.sink import Sink, copy_member, name_problem

MAX_FORM_DEPTH = 8
# A picture whose last filter is one of these is a file as it stands; others are rows of pixels, and become PNG files.
AS_THEY_ARE = {"DCTDecode": "jpg", "JPXDecode": "jp2"}


def unpack_pdf(file: BinaryIO, sink: Sink) -> None:
    """Pictures as ``page 3/image 1.jpg``, attached files as ``attachment 1/NAME``."""
    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD:
            raise EncryptedMember("the document is encrypted") from error
        raise UndecodableMedia(f"not a whole PDF document: {error}") from error
    try:
        for number in range(len(document)):
            _give_page(document, number, sink)
        for number in range(document.count_attachments()):
            _give_attachment(document, number, sink)
    finally:
        document.close()


def _give_page(document: Any, number: int, sink: Sink) -> None:
    try:
        page = document[number]
        images = page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=MAX_FORM_DEPTH)
        for place, image in enumerate(images, 1):
            _give_image(image, f"page {number + 1}/image {place}", sink)
        page.close()
    except pypdfium2.PdfiumError as error:
        sink.begin(f"page {number + 1}".encode(), None, UndecodableMedia(f"the page cannot be read: {error}"))


def _give_image(image: Any, stem: str, sink: Sink) -> None:
    try:
        filters = image.get_filters()
        suffix = AS_THEY_ARE.get(filters[-1]) if filters else None
        if suffix is not None:
            # Decoded up to its last filter: the very file that was embedded.
            content = bytes(image.get_data(decode_simple=len(filters) > 1))
        else:
            suffix, content = "png", _as_png(image)
    except (pypdfium2.PdfiumError, ValueError, ctypes.ArgumentError) as error:
        sink.begin(f"{stem}.png".encode(), None, UndecodableMedia(f"the picture cannot be read: {error}"))
        return
    _give(f"{stem}.{suffix}".encode(), content, sink)


def _as_png(image: Any) -> bytes:
    """The pixels as they are stored: not scaled, masked or turned as the page shows them."""
    target = io.BytesIO()
    image.get_bitmap(render=False).to_pil().convert("RGB").save(target, "PNG", compress_level=1)
    return target.getvalue()


def _give_attachment(document: Any, number: int, sink: Sink) -> None:
    stem = f"attachment {number + 1}/"
    try:
        attachment = document.get_attachment(number)
        name = attachment.get_name().replace("/", "_").replace("\\", "_")
        content = bytes(attachment.get_data())
    except (pypdfium2.PdfiumError, ValueError) as error:
        sink.begin(stem.encode(), None, UndecodableMedia(f"the attachment cannot be read: {error}"))
        return
    _give((stem + name).encode("utf-8", "surrogatepass"), content, sink)


def _give(name: bytes, content: bytes, sink: Sink) -> None:
    problem: MediaError | None = name_problem(name)
    if sink.begin(name, len(content), problem):
        copy_member(io.BytesIO(content), sink)
