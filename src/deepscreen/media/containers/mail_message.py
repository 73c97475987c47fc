"""E-mail messages (RFC 5322, MIME): what is attached or shown within. Runs in the decoder process."""

from __future__ import annotations

import io
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import BinaryIO

from deepscreen.errors import UndecodableMedia
from deepscreen.media.containers.sink import Sink, copy_member, name_problem

MEDIA_TYPES = frozenset({"image", "video", "audio"})


def unpack_mail(file: BinaryIO, sink: Sink) -> None:
    """Each part that is a file or media, also of messages within, as ``part 3/NAME``; texts are left."""
    first = file.readline(2048)
    if not first.startswith(b"From "):  # the line that mail boxes put before a message is none of its fields
        file.seek(0)
    try:
        message = BytesParser(policy=policy.default.clone(raise_on_defect=False)).parse(file)
    except (ValueError, LookupError, IndexError, AttributeError, TypeError) as error:
        raise UndecodableMedia(f"not a whole message: {error}") from error
    for number, part in enumerate(message.walk()):
        _give(part, number, sink)


def _give(part: EmailMessage, number: int, sink: Sink) -> None:
    if part.is_multipart():
        return
    try:
        name = part.get_filename()
        main_type, sub_type = part.get_content_maintype(), part.get_content_subtype()
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError, IndexError, AttributeError, TypeError) as error:
        # The library takes much for granted of fields that anyone may write.
        sink.begin(f"part {number}".encode(), None, UndecodableMedia(f"the part cannot be read: {error}"))
        return
    if (name is None and main_type not in MEDIA_TYPES) or not isinstance(payload, bytes):
        return
    shown = (name or f"{main_type}.{sub_type}").replace("/", "_").replace("\\", "_")
    whole = f"part {number}/{shown}".encode("utf-8", "surrogateescape")
    if sink.begin(whole, len(payload), name_problem(whole)):
        copy_member(io.BytesIO(payload), sink)
