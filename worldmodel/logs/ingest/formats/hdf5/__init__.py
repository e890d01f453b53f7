"""HDF5 files of episodes: robomimic, Minari, ManiSkill, D4RL and ACT.

None of them tells times: a step takes what the file says of its rate, or what is then said to be assumed.
"""

from collections.abc import Iterator
from pathlib import Path

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.apart import StoppedError, apart
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.hdf5 import steps
from worldmodel.logs.ingest.formats.hdf5.layouts import LAYOUTS, layout_of
from worldmodel.logs.ingest.formats.hdf5.told import METADATA, mjcf_of, rate_of, scalar_of
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
APART = True  # libhdf5 never ends on some damaged files
_LOOK_S = 20  # until a file says what it is


def claims(path: Path) -> bool:
    """HDF5 files with the groups of one of the layouts."""
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            if file.read(len(_SIGNATURE)) != _SIGNATURE:
                return False
        return bool(apart(_has_layout, path.absolute(), limit_s=_LOOK_S))
    except (StoppedError, OSError):  # it begins as one: reading it says what is wrong
        return True
    except Exception:  # of many types, by what is damaged
        return False


def _has_layout(path: Path) -> bool:
    import h5py

    with h5py.File(path, "r") as opened:
        return layout_of(opened) is not None


def parts(path: Path) -> list[Path]:
    """The file, and what Minari and ManiSkill write beside it."""
    return [path, *(beside for beside in (path.with_name(METADATA), path.with_suffix(".json")) if beside.is_file())]


def read(path: Path, options: Options) -> Iterator[Recording]:
    """An episode after the other."""
    import h5py

    with reading(path, "an HDF5 file of episodes"), h5py.File(path, "r") as file:
        layout = layout_of(file)
        if layout is None:
            raise RecipeError(
                f"{path} holds no episodes in a layout that is known.",
                expected=", ".join(f"{one.name} ({one.marks})" for one in LAYOUTS),
                found=", ".join(list(file)[:8]),
                remedy="write its columns as a table, and describe them in a recipe",
            )
        rate, told = rate_of(file, path)
        about, notes = {"description": f"{layout.name} episodes{told}"}, []
        if rate is None:
            notes.append(steps.ASSUMED)
        scalar = scalar_of(file, path) if layout.quaternions else None
        mjcf, several = mjcf_of(file)
        about |= {"mjcf": mjcf} if mjcf else {}
        if several > 1:
            notes.append(f"its episodes have {several} MJCF models: the log keeps that of the first")
        for episode in layout.episodes(file):
            recording = steps.recorded(episode, rate or steps.ASSUMED_HZ, scalar, options)
            recording.about, recording.notes = dict(about), notes + recording.notes
            notes = []
            options.advance(sum(piece.bytes for piece in episode.pieces))
            yield recording
