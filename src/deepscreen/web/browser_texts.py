"""Texts that scripts show; they come with each page in the reader's language, by the names that scripts use."""

from __future__ import annotations

BROWSER_TEXTS: dict[str, str] = {
    "wrongKey": "This key opens nothing here: it is unknown, expired or revoked.",
    "failed": "That did not work.",
    "uploading": "being sent",
    "paused": "paused",
    "sent": "sent; it will be screened",
    "waiting": "waiting",
    "pause": "Pause",
    "resume": "Go on",
    "remove": "Remove",
    "filesLeft": "{count} files are on their way",
    "allSent": "All files are here.",
    "queue": "{running} being screened, {queued} waiting",
    "viewName": "Name of this view",
    "chosen": "{count} chosen",
    "readout": "x {x}, y {y}",
    "score": "log-odds {value}",
    "noScore": "no map here",
    "cannotPlay": "This browser cannot play the file. Times and figures below hold all the same; download the original"
    " to play it elsewhere.",
    "decodedFrames": "This browser cannot play the file: its frames are decoded for it, without sound. The original was"
    " screened.",
    "cannotShow": "Browsers cannot show this format: the picture was decoded for them. The original was screened.",
    "noWaveform": "The sound is too long, or of a format that this browser cannot read: there is no waveform.",
    "keyOnce": "The new key is shown only now. Keep it in a safe place:",
    "really": "Revoke this key? Whoever uses it is shut out at once.",
    "saved": "Saved.",
    "imported": "{added} added, {amended} amended, {known} known before, {refused} refused.",
    "trialQueued": "{count} files are being computed.",
}
