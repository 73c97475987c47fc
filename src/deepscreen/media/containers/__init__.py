"""Files that hold files: what they are by their first bytes, and how a decoder process takes them apart."""
