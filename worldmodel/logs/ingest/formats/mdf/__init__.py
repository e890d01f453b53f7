"""Measurements in ASAM's MDF 3 and 4 (https://www.asam.net/standards/detail/mdf).

A process of its own reads them: the library has parts in C that damaged files crash.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.dbc import dbc_beside
from worldmodel.logs.ingest.importer import Options, needed
from worldmodel.logs.ingest.recording import Recording
from worldmodel.types import StreamSpec

_MARKS = (b"MDF     ", b"UnFinMF ")
_READER = f"{__name__}.channels"
_LONGEST_S = 3600
_TUPLES = ("columns", "units", "noise_std", "circular")


def claims(path: Path) -> bool:
    """By the first bytes."""
    try:
        with open(path, "rb") as file:
            return file.read(8) in _MARKS
    except OSError:
        return False


def parts(path: Path) -> list[Path]:
    """The file, and the DBC beside it where there is one."""
    beside = dbc_beside(path)
    return [path, *beside] if len(beside) == 1 else [path]


def read(path: Path, options: Options) -> Iterator[Recording]:
    """One episode: a stream a channel group, on the times of its master; time zero is the first sample.

    Raw frames of a CAN bus are decoded by `--dbc`, or the only DBC beside the file.

    Raises:
        RecipeError: if it is damaged, or no group has numbers with times.
    """
    needed("asammdf", "mdf")
    with reading(path, "an MDF file"), tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        out = Path(folder) / "channels.npz"
        beside = dbc_beside(path)
        dbc = options.dbc or (beside if len(beside) == 1 else [])
        command = [sys.executable, "-m", _READER, *(str(file.absolute()) for file in (path, out, *dbc))]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_LONGEST_S)
        if done.returncode or not out.exists():
            lines = done.stderr.strip().splitlines() or [""]
            raise ValueError(f"its reader ended with {done.returncode}: {lines[-1]}")
        with np.load(out, allow_pickle=False) as arrays:
            recording = _recording(path, json.loads(str(arrays["told"])), arrays)
    options.advance(path.stat().st_size)
    yield recording


def _recording(path: Path, told: dict[str, Any], arrays: Any) -> Recording:
    if "refused" in told:
        raise RecipeError(told["refused"])
    recording = Recording(path.name, origin_utc=told["origin_utc"], notes=told["notes"], about=told["about"])
    for number, spec in enumerate(told["specs"]):
        made = StreamSpec(**spec | {name: tuple(spec[name]) for name in _TUPLES})
        recording.add(made, arrays[f"arr_{2 * number}"], arrays[f"arr_{2 * number + 1}"])
    return recording
