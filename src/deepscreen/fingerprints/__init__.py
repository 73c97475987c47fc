"""Fingerprints that survive re-encoding, to find copies of a picture, clip or recording; they are no scores."""
