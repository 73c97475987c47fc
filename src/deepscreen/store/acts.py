"""Names of the acts in the audit log."""

from __future__ import annotations

KEY_CREATED, KEY_REVOKED = "key-created", "key-revoked"
SCREENING_CREATED, SCREENING_CANCELLED = "screening-created", "screening-cancelled"
SCREENING_RETRIED, SCREENING_DELETED = "screening-retried", "screening-deleted"
SCREENING_VIEWED, RECORD_DOWNLOADED = "screening-viewed", "record-downloaded"
EVIDENCE_DOWNLOADED, ORIGINAL_DOWNLOADED = "evidence-downloaded", "original-downloaded"
REPORT_DOWNLOADED = "report-downloaded"
WEBHOOK_CREATED, WEBHOOK_DELETED = "webhook-created", "webhook-deleted"
SESSION_BEGUN, SESSION_ENDED = "session-begun", "session-ended"
SCREENING_REVIEWED = "screening-reviewed"
COMPUTATION_ENDED = "computation-ended"
BLOB_REMOVED, CHECKPOINT_TIMESTAMPED = "blob-removed", "checkpoint-timestamped"
TRIAL_QUEUED = "trial-queued"
CASE_CREATED, CASE_CHANGED, CASE_EXPORTED = "case-created", "case-changed", "case-exported"
MISUSE_ADDED, MISUSE_AMENDED = "misuse-added", "misuse-amended"
MISUSE_EXPORTED, MISUSE_IMPORTED = "misuse-exported", "misuse-imported"
