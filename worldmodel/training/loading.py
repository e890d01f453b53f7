"""Opens whatever can be asked: a run, or a scene."""

from pathlib import Path

from worldmodel.errors import WorldModelError
from worldmodel.physics import KnownScene
from worldmodel.simulate import shipped_scenes
from worldmodel.training.folder import RunFolder
from worldmodel.training.run import Run, load_run


def load(path: Path | str) -> Run | KnownScene:
    """A run with its best parameters, or a scene.

    Args:
        path: the folder of a run or of a scene, or a shipped scene's name.

    Raises:
        WorldModelError: if it is neither, or cannot be read.
    """
    folder = Path(path)
    if RunFolder(folder).has_run:
        return load_run(folder)
    if str(path) in shipped_scenes() or (folder / "scene.toml").is_file():
        return KnownScene.of(str(path))
    raise WorldModelError(
        f"{folder} holds no run, and no scene.",
        expected=f"a folder with a run.json or a scene.toml, or a shipped scene ({', '.join(shipped_scenes())})",
        remedy="train a run with `worldmodel train LOG --out RUN`; sim/README.md says how to write a scene",
    )
