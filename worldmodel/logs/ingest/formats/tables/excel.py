"""Sheets of Excel and OpenDocument files."""

import datetime
import io
import zipfile
from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from worldmodel.logs.ingest.importer import needed

if TYPE_CHECKING:
    import pyarrow as pa

_LARGEST = 1 << 30  # bytes of what a file unpacks to


def sheets_of(buffer: "pa.Buffer", sheet: str) -> Iterator[tuple[str, list[list[Any]]]]:
    """The rows of a sheet by its name; by default of each that has any.

    Raises:
        ValueError: if it cannot be read, or has none.
    """
    calamine = needed("python_calamine", "excel")
    data = buffer.to_pybytes()
    _check_size(data)
    try:
        book = calamine.load_workbook(io.BytesIO(data))
        if sheet and sheet not in book.sheet_names:
            raise ValueError(f"it has no sheet {sheet!r}, but {', '.join(book.sheet_names)}")
        every = {
            name: book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            for name in ([sheet] if sheet else book.sheet_names)
        }
    except (calamine.CalamineError, OSError) as error:
        raise ValueError(str(error)) from error
    if not any(every.values()):
        raise ValueError("none of its sheets has rows")
    yield from ((name, rows) for name, rows in every.items() if rows)


def _check_size(data: bytes) -> None:
    if zipfile.is_zipfile(io.BytesIO(data)):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                size = sum(info.file_size for info in archive.infolist())
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise ValueError(str(error)) from error
        if size > _LARGEST:
            raise ValueError(f"it unpacks to {size >> 20} MiB, more than {_LARGEST >> 20}")


def as_line(row: Sequence[Any]) -> str:
    """A row as a line of text, from which the layout is found."""
    return "\t".join(_as_text(cell).replace("\t", " ").replace('"', "") for cell in row)


def column(cells: Sequence[Any], missing: Container[str]) -> "pa.Array":
    """Cells as numbers, times or else as text; words for nothing are nothing."""
    import pyarrow as pa

    cells = ["" if isinstance(cell, str) and cell.strip() in missing else cell for cell in cells]
    there = [cell for cell in cells if cell != ""]
    for kind, arrow in (((int, float, bool), pa.float64()), (datetime.datetime, pa.timestamp("us"))):
        if there and all(isinstance(cell, kind) for cell in there):
            return pa.array([None if cell == "" else cell for cell in cells], arrow, safe=False)
    return pa.array([_as_text(cell) for cell in cells], pa.string())


def _as_text(cell: Any) -> str:
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(" ")
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
