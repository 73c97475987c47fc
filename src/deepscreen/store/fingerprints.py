"""Fingerprints of contents, kept when they are screened, to find copies in another coding. One for each kind of stream.

They lie beside the computations, by the sha256 of the content, and go with the last screening of it: what is like a
file must not outlive the file. Nobody is shown them; who may know of which screening is for the reader of them to ask.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from deepscreen.store.tables import fingerprints


def keep(connection: Connection, media_sha256: str, found: Mapping[str, bytes]) -> None:
    """Keeps what was *found*, by kind ("image", "video", "audio"); what another method found of other kinds stays.

    The caller holds ``EVIDENCE_LOCK``, and knows that a screening of the content is left.
    """
    own = (fingerprints.c.media_sha256 == media_sha256) & fingerprints.c.kind.in_(list(found))
    connection.execute(delete(fingerprints).where(own))
    rows = [{"media_sha256": media_sha256, "kind": kind, "content": content} for kind, content in found.items()]
    if rows:
        connection.execute(insert(fingerprints), rows)


def forget(connection: Connection, media_sha256: str) -> None:
    """Removes all of a content."""
    connection.execute(delete(fingerprints).where(fingerprints.c.media_sha256 == media_sha256))


def kept_of(connection: Connection, media_sha256: str) -> dict[str, bytes]:
    """By kind; empty for a content that has none (plain pictures, silence), or was screened before there were any."""
    rows = connection.execute(select(fingerprints).where(fingerprints.c.media_sha256 == media_sha256))
    return {row.kind: row.content for row in rows}
