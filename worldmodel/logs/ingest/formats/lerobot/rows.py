"""Parts the rows of Parquet files by episode; what is in memory is one episode."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worldmodel.logs.ingest.formats.damage import reading

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 1024


class Rows(NamedTuple):
    """One episode's rows.

    Attributes:
        episode: its index.
        table: its rows, in order.
    """

    episode: int
    table: "pa.Table"


def episodes(files: Sequence[Path], advance: Callable[[int], object]) -> Iterator[Rows]:
    """The episodes of files, where one may end in the file after that in which it began.

    Raises:
        RecipeError: if a file is damaged.
    """
    import pyarrow as pa

    index: int | None = None
    held: list[pa.RecordBatch] = []
    for batch in _batches(files, advance):
        stamps = np.asarray(batch.column("episode_index").to_numpy(zero_copy_only=False))
        edges = [0, *(np.flatnonzero(np.diff(stamps)) + 1), len(stamps)]
        for start, stop in itertools.pairwise(edges):
            if held and stamps[start] != index:
                yield Rows(int(index or 0), pa.Table.from_batches(held))
                held = []
            index = int(stamps[start])
            held.append(batch.slice(start, stop - start))
    if held:
        yield Rows(int(index or 0), pa.Table.from_batches(held))


def _batches(files: Sequence[Path], advance: Callable[[int], object]) -> "Iterator[pa.RecordBatch]":
    from pyarrow import parquet

    for path in files:
        with reading(path, "a Parquet file of LeRobot"), parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                if batch.num_rows:
                    yield batch
        advance(path.stat().st_size)
