"""The misuse register: which tools were seen in what misuse, told by fingerprints, and shared under TLP marks."""
