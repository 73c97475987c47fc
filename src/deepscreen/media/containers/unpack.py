"""Takes a container apart, whichever kind it is. Runs in the decoder process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from deepscreen.media.containers.kinds import ContainerKind
from deepscreen.media.containers.mail_message import unpack_mail
from deepscreen.media.containers.sink import Sink
from deepscreen.media.containers.tar_archive import unpack_tar
from deepscreen.media.containers.zip_archive import unpack_zip


def unpack(kind: ContainerKind, files: Sequence[BinaryIO], sink: Sink, *, max_members: int) -> None:
    """Gives every member of the container to *sink*. ``files``: the container; of an E01 image all its segments.

    Raises MediaError where the container as a whole cannot be read to its end.
    """
    # Libraries that few files need are loaded by the process that needs one, not by the server of all.
    match kind:
        case "zip":
            unpack_zip(files[0], sink, max_members=max_members)
        case "tar" | "gzip" | "bzip2" | "xz":
            unpack_tar(files[0], sink, compression=kind)
        case "7z":
            from deepscreen.media.containers.seven_zip import unpack_7z

            unpack_7z(files[0], sink, max_members=max_members)
        case "pdf":
            from deepscreen.media.containers.pdf_document import unpack_pdf

            unpack_pdf(files[0], sink)
        case "mail":
            unpack_mail(files[0], sink)
        case "disk" | "ewf":
            from deepscreen.media.containers.disk_image import unpack_disk

            unpack_disk(files, sink, is_ewf=kind == "ewf", max_members=max_members)
