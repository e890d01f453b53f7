"""Opens whatever can be asked: a run, or a scene."""

from pathlib import Path

from worldmodel.errors import WorldModelError
from worldmodel.physics import KnownScene
from worldmodel.simulate import is_scene, load_scene, shipped_scenes
from worldmodel.training.folder import RunFolder
from worldmodel.training.run import Run, load_run
from worldmodel.types import StreamSpec


def load(path: Path | str) -> Run | KnownScene:
    """A run with its best parameters, or a scene.

    Args:
        path: the folder of a run or of a scene, or a shipped scene's name.

    Raises:
        WorldModelError: if it is neither, or cannot be read.
    """
    return load_run(path) if _is_run(path) else KnownScene.of(str(path))


def commanded(path: Path | str) -> tuple[StreamSpec, ...]:
    """The actions of a run or a scene, of which nothing else is loaded.

    Raises:
        WorldModelError: if it is neither, or cannot be read.
    """
    if _is_run(path):
        return RunFolder(path).read_settings().layout.actions
    return tuple(stream.spec for stream in load_scene(str(path)).actions)


def _is_run(path: Path | str) -> bool:
    """Whether it is a run, and not a scene.

    Raises:
        WorldModelError: if it is neither.
    """
    folder = Path(path)
    if RunFolder(folder).has_run:
        return True
    if is_scene(path):
        return False
    raise WorldModelError(
        f"{folder} holds no run, and no scene.",
        expected=f"a folder with a run.json or a scene.toml, or a shipped scene ({', '.join(shipped_scenes())})",
        remedy="train a run with `worldmodel train LOG --out RUN`; sim/README.md says how to write a scene",
    )
