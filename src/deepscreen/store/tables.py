"""The tables. Times are seconds since 1970 (UTC) as the database's own clock tells them; ids are random hex."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
}
metadata = MetaData(naming_convention=NAMING)
ID, SHA256 = String(32), String(64)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("secret_hash", String(200), nullable=False),  # argon2id; the secret itself is shown once and kept nowhere
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", SHA256, primary_key=True),  # the token itself is in the cookie and nowhere else
    Column("key_id", ID, ForeignKey("api_keys.id"), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

cases = Table(
    "cases",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("notes", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("created_by", ID, nullable=False),
    Column("closed_at", Float),
)

case_members = Table(
    "case_members",
    metadata,
    Column("case_id", ID, ForeignKey("cases.id"), primary_key=True),
    Column("key_id", ID, primary_key=True),
)

# What is computed once for everybody: this method on these bytes. Nobody is told for whom it was.
computations = Table(
    "computations",
    metadata,
    Column("id", SHA256, primary_key=True),  # of media, method and attempt
    Column("media_sha256", SHA256, nullable=False),
    Column("media_bytes", BigInteger, nullable=False),
    Column("method_digest", SHA256, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("lease_holder", String(100)),  # the worker that has it
    Column("lease_token", ID),  # of this one hand-over: a worker that lost the lease cannot write
    Column("lease_expires_at", Float),
    Column("not_before", Float),  # it is tried again then: the store did not answer
    Column("postponed", Integer, nullable=False),  # how often that was
    Column("is_alone", Boolean, nullable=False),  # its worker died: nothing else runs beside its next try
    Column("deaths_alone", Integer, nullable=False),  # how many workers died on it while they did nothing else
    Column("record_sha256", SHA256),
    Column("thumbnail_sha256", SHA256),
    Column("kind", String(16)),  # kind and verdict repeat the record, to be searched by
    Column("verdict", String(32)),
    Column("log10_lrs", JSON),  # by modality; repeats the record too, to compare methods by
    Column("stage_milliseconds", JSON),
    Column("error_type", String(100)),
    Column("error_message", Text),
    Index("ix_computations_state", "state", "method_digest", "created_at"),
)

screenings = Table(
    "screenings",
    metadata,
    Column("id", ID, primary_key=True),
    Column("case_id", ID, ForeignKey("cases.id")),
    Column("computation_id", SHA256, ForeignKey("computations.id"), nullable=False),
    Column("media_sha256", SHA256, nullable=False),
    Column("filename", Text),
    Column("created_at", Float, nullable=False),
    Column("created_by", ID, nullable=False),
    # When it joined a computation of somebody else; its end is not shown sooner than if it had been computed anew.
    Column("joined_at", Float),
    Column("idempotency_key", String(200)),
    Column("cancelled_at", Float),
    Column("deleted_at", Float),  # what remains is the tombstone: ids, hash and times
    UniqueConstraint("created_by", "idempotency_key"),
    Index("ix_screenings_computation_id", "computation_id"),
    Index("ix_screenings_media_sha256", "media_sha256"),
    Index("ix_screenings_created_at", "created_at", "id"),
)

# Which computation made or needs which blob: a blob goes with the last one that is left.
blob_uses = Table(
    "blob_uses",
    metadata,
    Column("sha256", SHA256, primary_key=True),
    Column("computation_id", SHA256, ForeignKey("computations.id"), primary_key=True),
    Index("ix_blob_uses_computation_id", "computation_id"),
)

# Of contents, to find copies in another coding; they go with the last screening of the content.
fingerprints = Table(
    "fingerprints",
    metadata,
    Column("media_sha256", SHA256, primary_key=True),
    Column("kind", String(16), primary_key=True),  # of the stream: a clip has one of its frames, and one of its sound
    Column("content", LargeBinary, nullable=False),
)

reviews = Table(
    "reviews",
    metadata,
    Column("screening_id", ID, ForeignKey("screenings.id"), primary_key=True),
    Column("computation_id", SHA256, primary_key=True),  # what was reviewed: a retry is another result
    Column("reviewer", ID, nullable=False),
    Column("decision", String(16), nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("reviewed_at", Float, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", String(100), nullable=False),  # messages are signed with it, so it is kept; gone with the webhook
    Column("sealed_secret", Text),  # instead of it, where blobs are sealed
    Column("created_at", Float, nullable=False),
    Column("deleted_at", Float),
)

# Written with a screening, for every webhook that there was; told once the screening has ended.
webhook_messages = Table(
    "webhook_messages",
    metadata,
    Column("id", ID, primary_key=True),
    Column("webhook_id", ID, ForeignKey("webhooks.id"), nullable=False),
    Column("screening_id", ID, ForeignKey("screenings.id"), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("not_before", Float, nullable=False),
    Column("outcome", String(16)),  # none: still to be told
    Column("error", Text),  # of the last try
    Index("ix_webhook_messages_outcome", "outcome", "not_before"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("method_digest", SHA256, nullable=False),
    Column("about", JSON, nullable=False),  # by what it screens, as /info tells it
    Column("started_at", Float, nullable=False),
    Column("lease_expires_at", Float, nullable=False),
    Column("is_candidate", Boolean),  # its method is tried: nothing new is queued for it
    Column("figures", Text),  # what it has measured so far, in Prometheus' text format
)

# The misuse register: one row a revision, never changed but for what says that a later one stands.
misuse_entries = Table(
    "misuse_entries",
    metadata,
    Column("id", String(36), primary_key=True),  # a UUID, the same wherever the entry is exchanged to
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("is_current", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("created_by", ID, nullable=False),
    Column("revised_at", Float, nullable=False),
    Column("revised_by", ID, nullable=False),
    Column("reason", Text, nullable=False),  # of an amendment
    Column("screening_id", ID),  # whose file it is about; may be deleted by now. None: it came from elsewhere
    Column("origin", String(200)),  # who gave it; None: it was made here
    Column("kind", String(16), nullable=False),
    Column("media_sha256", SHA256, nullable=False),
    Column("fingerprint", LargeBinary),
    Column("campaign", String(36)),  # id of the oldest entry whose file is a copy; of the current row only
    Column("tool", String(200), nullable=False),
    Column("tool_kind", String(32), nullable=False),
    Column("misuse", String(32), nullable=False),
    Column("modus_operandi", Text, nullable=False),
    Column("case_reference", String(200), nullable=False),
    Column("status", String(16), nullable=False),
    Column("tlp", String(16), nullable=False),
    Index("ix_misuse_entries_created_at", "is_current", "created_at", "id"),
    Index("ix_misuse_entries_media_sha256", "media_sha256"),
)

# What every method consisted of that ever had a worker: workers go, and results stay.
methods = Table(
    "methods",
    metadata,
    Column("digest", SHA256, primary_key=True),
    Column("about", JSON, nullable=False),  # as the newest of its workers told it
    Column("first_seen_at", Float, nullable=False),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3, ... without a gap
    Column("body", LargeBinary, nullable=False),  # RFC 8785 JSON, names its predecessor's sha256
    Column("sha256", SHA256, nullable=False),  # of the body
    Column("act", String(64), nullable=False),  # act and subject repeat the body, to be searched by
    Column("subject", String(100), nullable=False),
    Index("ix_audit_entries_subject", "subject"),
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),  # of the last entry that it covers
    Column("body", LargeBinary, nullable=False),
    Column("public_key", String(64), nullable=False),  # Ed25519, hex
    Column("signature", String(128), nullable=False),
)
