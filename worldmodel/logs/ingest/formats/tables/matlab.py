"""MATLAB, HDF5 and NumPy files as tables: MATLAB's version 5 by scipy, version 7.3, which is HDF5, by h5py.

Fields of structs are columns `log.imu.ax`, columns of matrices `position[0]`. Vectors of several lengths, as of sensors
with clocks of their own, stand side by side: the shorter ones are followed by nothing.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.logs.format import FORMAT
from worldmodel.logs.ingest.formats.npy import arrays

if TYPE_CHECKING:
    import pyarrow as pa

_HDF5 = b"\x89HDF\r\n\x1a\n"
_BEFORE_HDF5 = 512  # bytes that MATLAB writes first
_NO_NUMBERS = (b"char", b"cell", b"struct", b"function_handle", b"table", b"string")
_COMPLEX = ("real", "imag")  # as MATLAB 7.3 stores them
_MOST_BYTES = 1 << 31
_DEEPEST = 16
_RUNS = 64  # structs with others in them at most, beyond which they are rows
_LONGEST_S = 3600
_LEFT = np.zeros((0, 0, 0))  # in place of what is not read, and told


def load_vectors(path: Path) -> tuple["pa.Table", list[str]]:
    """The vectors of a MATLAB or an HDF5 file by name: the longest, and those that share their length with another.

    Returns a note of the others too.

    Raises:
        ValueError: if it cannot be read, or holds none.
    """
    import pyarrow as pa

    try:
        columns = _of(path)
    except Exception as error:  # of many types, by what is damaged
        raise ValueError(str(error) or type(error).__name__) from error
    longest = max(map(len, columns.values()), default=0)
    if longest < 2:
        raise ValueError("no vectors of numbers (tables and time series: save them as structs, or write them as CSV)")
    sharing = Counter(length for _, length in {(name.split("[")[0], len(c)) for name, c in columns.items()})
    kept = {name: c for name, c in columns.items() if len(c) == longest or (sharing[len(c)] > 1 and len(c) > 1)}
    left = [f"{name} ({len(column)})" for name, column in columns.items() if name not in kept and len(column) > 1]
    notes = [f"vectors of a length that no other has are left out: {', '.join(left[:20])}"] if left else []
    deep = [name for name, column in columns.items() if not len(column)]
    notes += (
        [f"no numbers, too large, in another file, or of three axes or more, and left out: {', '.join(deep[:20])}"]
        if deep
        else []
    )
    return pa.table({name: _filled(column, longest) for name, column in kept.items()}), notes


def _of(path: Path) -> dict[str, np.ndarray]:
    if path.suffix.lower() == ".npz":
        found, left = arrays(path)
        return dict(_in_columns(iter(found.items()))) | {name: np.zeros(0) for name in left}
    return dict(_in_columns(_from_hdf5(path))) if _is_hdf5(path) else _apart(path)


def _in_columns(variables: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, np.ndarray]]:
    """The columns of variables; an empty one of each that has none, though it is no number, text or nothing."""
    for name, value in variables:
        found = list(_columns(name, value))
        yield from found
        if not found and np.size(value) > 1 and not isinstance(value, str):
            yield name, np.zeros(0)


def _apart(path: Path) -> dict[str, np.ndarray]:
    """The columns of a file of version 5, by a process of its own: scipy has parts in C that damaged files crash."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "columns.npz"
        command = [sys.executable, "-c", f"from {__name__} import _write; _write()", str(path.absolute()), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_LONGEST_S)
        if done.returncode or not out.exists():
            lines = done.stderr.strip().splitlines() or [f"its reader ended with {done.returncode}"]
            raise ValueError(lines[-1])
        with np.load(out, allow_pickle=False) as arrays:
            return {str(name): arrays[f"arr_{i}"] for i, name in enumerate(arrays["names"])}


def _filled(column: np.ndarray, rows: int) -> "pa.Array":
    """A column of so many rows, with nothing where it has none."""
    import pyarrow as pa

    return pa.concat_arrays([pa.array(column), pa.nulls(rows - len(column), pa.array(column[:0]).type)])


def _columns(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """The columns in a variable: of its fields if it is a struct, of its elements if it is an array of structs."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for field, item in value.items():
            yield from _columns(f"{name}.{field}", item, depth + 1)
    elif isinstance(value, list) or (isinstance(value, np.ndarray) and value.dtype == object):
        items = list(np.ravel(value)) if isinstance(value, np.ndarray) else value
        if rows := _rows(items):
            yield from ((f"{name}.{field}", column) for field, column in rows.items())
        else:
            for i, item in enumerate(items):
                yield from _columns(f"{name}[{i}]", item, depth + 1)
    elif value is _LEFT:
        yield name, np.zeros(0)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "iuf" and value.size:
        yield from _vectors(name, value)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "c":
        for part in _COMPLEX:
            yield from _vectors(f"{name}.{part}", getattr(value, part))


def _rows(items: list[Any]) -> dict[str, np.ndarray]:
    """The fields of an array of structs whose fields are numbers, or few in a vector, as columns; empty for others.

    A struct with a longer vector than there are structs is one of several signals, and no row.
    """
    if not items or not all(isinstance(item, Mapping) for item in items):
        return {}
    columns: dict[str, np.ndarray] = {}
    for name in items[0]:
        values = [np.ravel(item[name]) for item in items if name in item]
        if any(value.size > len(items) or (value.dtype == object and len(items) <= _RUNS) for value in values):
            return {}
        if len(values) < len(items) or not all(v.size == values[0].size and v.dtype.kind in "iuf" for v in values):
            continue
        few = values[0].size
        columns |= {f"{name}[{i}]" if few > 1 else name: np.array([float(v[i]) for v in values]) for i in range(few)}
    return columns


def _vectors(name: str, value: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """A vector, or each vector along the longer side of a matrix."""
    value = np.squeeze(value)
    value = value.astype(value.dtype.newbyteorder("="))
    if value.ndim > 2:
        yield name, np.zeros(0)  # which is told
    elif value.ndim == 1:
        yield name, value
    elif value.ndim == 2:
        matrix = value if value.shape[0] >= value.shape[1] else value.T
        yield from ((f"{name}[{i}]", np.ascontiguousarray(column)) for i, column in enumerate(matrix.T))


def _from_version_5(path: Path) -> Iterator[tuple[str, Any]]:
    from scipy.io import loadmat

    variables = loadmat(path, simplify_cells=True)
    return ((name, value) for name, value in variables.items() if not name.startswith("__"))


def _is_hdf5(path: Path) -> bool:
    return any(_begins_hdf5(path, at) for at in (0, _BEFORE_HDF5))


def _begins_hdf5(path: Path, at: int) -> bool:
    with open(path, "rb") as file:
        file.seek(at)
        return file.read(len(_HDF5)) == _HDF5


def is_plain_hdf5(path: Path) -> bool:
    """Whether a file is HDF5 with arrays of numbers, and no log of ours."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get("format") != FORMAT and len(file) > 0
    except Exception:  # of many types, by what is damaged
        return False


def _from_hdf5(path: Path) -> Iterator[tuple[str, Any]]:
    """The variables of an HDF5 file; in one of MATLAB's the axes of arrays are in the other order."""
    import h5py

    matlab = not _begins_hdf5(path, 0)
    with h5py.File(path, "r") as file:
        for name in file:
            if not name.startswith("#"):  # what the variables refer to
                yield name, _of_hdf5(file, name, matlab)


def _of_hdf5(group: Any, name: str, matlab: bool, depth: int = 0) -> Any:
    """A variable as arrays and dictionaries; None where it is neither numbers nor a struct."""
    import h5py

    if isinstance(group.get(name, getlink=True), h5py.ExternalLink) or depth > _DEEPEST:
        return None
    item = group[name]
    if isinstance(item, h5py.Group):
        return {field: _of_hdf5(item, field, matlab, depth + 1) for field in item}
    complex_ = item.dtype.names == _COMPLEX
    if item.dtype.names and not complex_:
        return _of_table(item)
    if (
        not (complex_ or item.dtype.kind in "iuf")
        or item.attrs.get("MATLAB_class") in _NO_NUMBERS
        or "MATLAB_empty" in item.attrs
    ):
        return None
    if _is_left(item):
        return _LEFT
    values = np.asarray(item)
    values = values["real"] + 1j * values["imag"] if complex_ else values
    return values.T if matlab else values


def _is_left(item: Any) -> bool:
    """Whether a data set is too large, or lies in another file."""
    return item.is_virtual or item.external or item.size * item.dtype.itemsize > _MOST_BYTES


def _of_table(item: Any) -> dict[str, np.ndarray] | np.ndarray:
    """The fields of a data set of rows, as PyTables and NumPy make them."""
    if _is_left(item):
        return _LEFT
    rows = np.asarray(item)
    return {name: rows[name] for name in item.dtype.names if rows[name].dtype.kind in "iuf"}


def _write() -> None:
    """What the process of its own does, with the paths that it is given."""
    named = dict(_in_columns(_from_version_5(Path(sys.argv[1]))))
    np.savez(sys.argv[2], *named.values(), names=np.array(list(named), str))
