"""The kinds of fingerprints, as they are kept."""

from __future__ import annotations

PICTURE, CLIP, SOUND = "image", "video", "audio"
HASH_BYTES = 32  # PDQ's, of a picture
FRAMES = 8  # of a clip whose hashes are kept, at the middles of as many equal parts of its length
