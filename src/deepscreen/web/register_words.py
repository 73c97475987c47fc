"""Words of the misuse register, for pages; forms exchange the values themselves."""

from __future__ import annotations

from deepscreen.register.entry import Misuse, Status, ToolKind

TOOL_KIND_WORDS: dict[str, str] = {
    ToolKind.IMAGE_GENERATOR: "image generator",
    ToolKind.VIDEO_GENERATOR: "video generator",
    ToolKind.FACE_SWAP: "face swap",
    ToolKind.LIP_SYNC: "lip sync",
    ToolKind.VOICE_CLONE: "voice clone",
    ToolKind.UNDRESSING: "undressing",
    ToolKind.EDITOR: "editor",
    ToolKind.UNKNOWN: "unknown",
}
MISUSE_WORDS: dict[str, str] = {
    Misuse.FRAUD: "fraud",
    Misuse.EXTORTION: "extortion",
    Misuse.IMPERSONATION: "impersonation",
    Misuse.SEXUAL_ABUSE: "sexual abuse",
    Misuse.DISINFORMATION: "disinformation",
    Misuse.HARASSMENT: "harassment",
    Misuse.IDENTITY_DOCUMENT: "identity document",
    Misuse.FALSE_EVIDENCE: "false evidence",
    Misuse.OTHER: "other",
    Misuse.UNKNOWN: "unknown",
}
STATUS_WORDS: dict[str, str] = {
    Status.SUSPECTED: "suspected",
    Status.CONFIRMED: "confirmed",
    Status.DISMISSED: "dismissed",
}
