"""Before anything is imported: the test process behaves as the program does."""

from __future__ import annotations

from deepscreen.process import settle_in

settle_in()
