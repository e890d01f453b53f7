"""What an importer is, and which there are: those of `formats`, and those that installed packages bring."""

import dataclasses
import functools
import types
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, Self, cast

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.recording import Recording

ENTRY_POINTS = "worldmodel.importers"
# In the order in which they are asked: who claims what others would take too comes first.
FORMATS = (
    "gopro",
    "ulog",
    "dataflash",
    "mcap",
    "rosbag",
    "lerobot",
    "donkeycar",
    "comma2k19",
    "hdf5",
    "minari",
    "npz",
    "video",
    "can",
    "mdf",
    "tracks",
    "tables",
)


def _ignore(_: int) -> None:
    """Progress that nobody shows."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What importers are told.

    Attributes:
        size: (rows, columns) of video.
        recipe: how a table's columns become streams: a shipped recipe's name or a TOML file.
        dbc: files that say what the messages of a CAN bus mean.
        scratch: a folder for what is too large for memory (`Recording.add_film`).
        strict: whether everything that is found wrong is an error.
        cut_every_s: how long episodes are that recordings are cut into; None for what each says itself.
        advance: to be called with the number of bytes of the source that were read since the last call.
    """

    size: tuple[int, int] = (64, 64)
    recipe: str | Path | None = None
    dbc: tuple[Path, ...] = ()
    scratch: Path = Path()
    strict: bool = False
    cut_every_s: float | None = None
    advance: Callable[[int], object] = _ignore

    def absolute(self) -> Self:
        """The same wherever a process is started."""
        recipe = self.recipe
        if recipe is not None and Path(recipe).is_file():
            recipe = Path(recipe).absolute()
        dbc = tuple(path.absolute() for path in self.dbc)
        return dataclasses.replace(self, recipe=recipe, dbc=dbc, scratch=self.scratch.absolute())


class Importer(Protocol):
    """Reads one format. A module may be one: it has these functions, and imports its libraries inside of them.

    It may also have `parts(path) -> list[Path]`: every file of the recording that begins with `path`, which is the
    first of them, such as the chapters of a film. None of the others is then a source of its own.
    """

    def claims(self, path: Path) -> bool:
        """Whether a file, or a folder as a whole, looks like this format: by its first bytes, or by what it holds."""
        ...

    def read(self, path: Path, options: Options) -> Iterator[Recording]:
        """The recordings of a source, each an episode, one after the other.

        Raises:
            RecipeError: if it is damaged, or holds nothing that makes a stream.
        """
        ...


@functools.cache
def importers() -> dict[str, Importer]:
    """Every importer by the name of its format, in the order in which they are asked: those of other packages first."""
    others = {point.name: point.load() for point in entry_points(group=ENTRY_POINTS)}
    own = {name: import_module(f"worldmodel.logs.ingest.formats.{name}") for name in FORMATS}
    return cast("dict[str, Importer]", others | own)


def importer(name: str) -> Importer:
    """The importer of a format.

    Raises:
        RecipeError: if there is none of that name.
    """
    if name not in importers():
        raise RecipeError(f"There is no format {name!r}.", expected=", ".join(importers()))
    return importers()[name]


def begins_with(path: Path, magic: bytes) -> bool:
    """Whether a path is a file that begins so."""
    try:
        with open(path, "rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def needed(module: str, extra: str) -> types.ModuleType:
    """A library that an importer is built on, from the extra that installs it.

    Raises:
        RecipeError: if it is not installed, with the line that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise RecipeError(
            f"This format needs {module.split('.')[0]}, which is not installed.",
            found=str(error),
            remedy=f"pip install 'worldmodel-toolkit[{extra}]'",
        ) from error
