"""Facts that a file tells of itself and its past. Never scores: see ``finding``."""
