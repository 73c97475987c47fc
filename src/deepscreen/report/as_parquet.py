"""Results as Parquet, for analysis in bulk: columns as in the CSV, figures as numbers. Needs the extra ``parquet``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from deepscreen.errors import ConfigError
from deepscreen.record import Screening
from deepscreen.report.as_csv import COLUMNS, table_cells

FIGURES = frozenset({"authenticity_score", "log10_lr", "log10_lr_low", "log10_lr_high", "log10_lr_spread"})
ROWS_AT_ONCE = 5_000


class ParquetTable:
    """Writes *path* row by row, holding some thousands of rows at most; the file is whole when it is closed."""

    def __init__(self, path: Path, further: Sequence[str]) -> None:
        """Raises ConfigError where pyarrow is not installed."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise ConfigError("--parquet needs pyarrow: pip install 'deepscreen[parquet]'") from error
        self._columns = [*COLUMNS, *further]
        types = {name: pyarrow.float64() if name in FIGURES else pyarrow.string() for name in self._columns}
        self._schema = pyarrow.schema(list(types.items()))
        self._batch_of = pyarrow.RecordBatch.from_pylist
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, str | float | None]] = []

    def __enter__(self) -> ParquetTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, path: str, screening: Screening | None, error: str | None, further: Sequence[str]) -> None:
        """The rows of one file: one per modality, as in the CSV."""
        for cells in table_cells(path, screening, error):
            row = zip(self._columns, [*cells, *further], strict=True)
            self._rows.append({name: _value(name, cell) for name, cell in row})
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_batch(self._batch_of(self._rows, schema=self._schema))
        self._rows.clear()


def _value(name: str, cell: str) -> str | float | None:
    if not cell:
        return None
    return float(cell) if name in FIGURES else cell
