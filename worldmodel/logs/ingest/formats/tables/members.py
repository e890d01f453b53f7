"""The files that a source consists of: one, those of a folder, or those in an archive; unpacked within bounds."""

import fnmatch
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING

from worldmodel.errors import RecipeError

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = (".csv", ".tsv", ".txt", ".vbo", ".tab", ".dat", ".lvm", ".pos", ".mpt", ".tum", ".mot", ".sto")
LINES = (".jsonl", ".ndjson")
JSON = (".json",)
BINARY = (".parquet", ".feather", ".arrow", ".xlsx", ".xls", ".xlsb", ".ods", ".mat", ".h5", ".hdf5", ".npz")
VECTORS = (".mat", ".h5", ".hdf5", ".npz")  # whose columns have lengths of their own
PACKED = {".gz": "gzip", ".zst": "zstd"}
LARGEST = 4 << 30  # bytes of what is unpacked
_BLOCK = 1 << 24
_KEPT_BYTES = 32 << 20  # of what was unpacked last
_MOST_FILES = 4096

Opener = Callable[[], "pa.Buffer"]
_KEPT: dict[tuple[Path, str, int, int], "pa.Buffer"] = {}


def suffix(name: str) -> str:
    """What a table's name ends in, without what packs it: `.csv` of `log.csv.gz`."""
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in PACKED else path.suffix


def is_table(name: str) -> bool:
    """Whether a file's name is a table's."""
    hidden = Path(name).name.startswith((".", "~$")) or "__MACOSX" in name
    return not hidden and suffix(name) in (*TEXT, *LINES, *JSON, *BINARY)


def files_of(path: Path) -> Mapping[str, Opener]:
    """What opens each table of a source, by its name within it.

    Raises:
        RecipeError: if it is an archive that cannot be read.
    """
    if path.is_dir():
        names = sorted(file for file in path.rglob("*") if file.is_file() and is_table(file.name))
        return {str(file.relative_to(path)): _opener(file) for file in names}
    if path.suffix.lower() == ".zip":
        return {name: _zipped(path, name) for name in archived(path) if is_table(name)}
    return {path.name: _opener(path)}


def no_tables(path: Path) -> list[str]:
    """The names of what a folder or an archive holds beside its tables."""
    if path.is_dir():
        names = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
    else:
        names = archived(path) if path.suffix.lower() == ".zip" else []
    hidden = (".", "__MACOSX")
    return [
        n for n in names if not (is_table(n) or n.endswith("/") or any(p.startswith(hidden) for p in Path(n).parts))
    ]


def recordings_of(names: Collection[str]) -> dict[str, dict[str, str]]:
    """The folders of a source that are a recording each by what is in them: files of the same names, and several.

    Args:
        names: of all its files, within it.

    Returns:
        For each folder, what each of its files is called within it, and within the source; empty where there are none.
    """
    parted = [(str(PurePath(name).parent), PurePath(name).name) for name in names]
    deeper = [(first, rest) for first, _, rest in (name.partition("/") for name in names)]
    for ways in (parted, deeper) if all("/" in name for name in names) else ():
        folders: dict[str, dict[str, str]] = {}
        for name, (folder, file) in zip(names, ways, strict=True):
            folders.setdefault(folder, {})[file] = name
        if are_alike([set(files) for files in folders.values()]):
            return folders
    return {}


def recordings_by(names: Iterable[str], patterns: Collection[str]) -> dict[str, dict[str, str]]:
    """The recordings of a folder by what the `*` of patterns stands for: `run1` and `run2` of `*_imu.csv`, `*_gps.csv`.

    Args:
        names: of its files.
        patterns: of the files of a recording.

    Returns:
        For each recording, the file that each pattern means; empty where a pattern has no `*` or more than one, or all
        mean one recording at most.
    """
    if any(pattern.count("*") != 1 or {"?", "["} & set(pattern) for pattern in patterns):
        return {}
    recordings: dict[str, dict[str, str]] = {}
    left = [name for name in names if "/" not in name]
    for pattern in sorted(patterns, key=len, reverse=True):  # `*_lin_acc.csv` before `*_acc.csv`
        begins, ends = pattern.split("*")
        own = [n for n in left if n.startswith(begins) and n.endswith(ends) and len(n) >= len(pattern)]
        for name in own:
            recordings.setdefault(name[len(begins) : len(name) - len(ends)], {})[pattern] = name
        left = [name for name in left if name not in own]
    return dict(sorted(recordings.items())) if len(recordings) > 1 else {}


def are_alike(folders: list[set[str]]) -> bool:
    """Whether folders hold files of the same names, and more than one have several; some may be missing."""
    most = max(folders, key=len, default=set[str]())
    several = sum(len(files) > 1 for files in folders)
    return several > 1 and all(len(files & most) >= min(2, len(files)) for files in folders)


def archived(path: Path) -> list[str]:
    """The names of the files in an archive.

    Raises:
        RecipeError: if it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise RecipeError(f"{path} cannot be unpacked.", expected="a whole zip archive", found=str(error)) from error
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise RecipeError(
            f"{path} holds several files of one name.", expected="one of each", found=", ".join(twice[:5])
        )
    if len(names) > _MOST_FILES:
        raise RecipeError(f"{path} holds too many files.", expected=f"up to {_MOST_FILES}", found=str(len(names)))
    return names


def matching(there: Iterable[str], pattern: str) -> list[str]:
    """The names that a recipe's `file` means: a name or a pattern, with or without the folders above."""
    return [
        name
        for name in there
        if any(fnmatch.fnmatch(one, pattern) for one in (name, Path(name).name, name.partition("/")[2]))
    ]


def escaped(file: str) -> str:
    """A file's name as a pattern that means no other."""
    return re.sub(r"([*?\[])", r"[\1]", file)


def _opener(path: Path) -> Opener:
    if path.suffix.lower() in PACKED:
        return lambda: _unpacked(path, PACKED[path.suffix.lower()])
    return lambda: _mapped(path)


def _mapped(path: Path) -> "pa.Buffer":
    import pyarrow as pa

    if not path.stat().st_size:
        raise ValueError("it is empty")
    return pa.memory_map(str(path)).read_buffer()


def _unpacked(path: Path, compression: str) -> "pa.Buffer":
    import pyarrow as pa

    def unpack() -> "pa.Buffer":
        with pa.input_stream(str(path), compression=compression) as stream:
            return _bounded(path, stream)

    return _kept(path, "", unpack)


def _kept(path: Path, name: str, unpack: Opener) -> "pa.Buffer":
    """What a file, or a member of an archive, unpacks to; of the last ones in memory, as first they are looked at."""
    stat = path.stat()
    key = path.absolute(), name, stat.st_size, stat.st_mtime_ns
    buffer = _KEPT.pop(key, None) or unpack()
    if buffer.size <= _KEPT_BYTES:
        _KEPT[key] = buffer
        while sum(each.size for each in _KEPT.values()) > _KEPT_BYTES:
            del _KEPT[next(iter(_KEPT))]
    return buffer


def _zipped(path: Path, name: str) -> Opener:
    def unpack() -> "pa.Buffer":
        try:
            with zipfile.ZipFile(path) as archive, archive.open(name) as stream:
                return _bounded(path, stream)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
            raise ValueError(f"{name}: {error}") from error

    return lambda: _kept(path, name, unpack)


def _bounded(path: Path, stream: IO[bytes]) -> "pa.Buffer":
    """All that a stream unpacks to.

    Raises:
        RecipeError: if that is more than `LARGEST`.
    """
    import pyarrow as pa

    out = pa.BufferOutputStream()
    for block in _blocks(stream):
        if out.tell() + len(block) > LARGEST:
            raise RecipeError(
                f"{path} unpacks to more than {LARGEST >> 30} GiB.", remedy="unpack it, and give what is in it"
            )
        out.write(block)
    if not out.tell():
        raise ValueError("it is empty")
    return out.getvalue()


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def head_of(buffer: "pa.Buffer", count: int) -> bytes:
    """Its first bytes, as many at most."""
    return buffer.slice(0, min(count, buffer.size)).to_pybytes()
