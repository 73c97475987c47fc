"""Other detectors on the same files in one run: ``deepscreen peers``."""
