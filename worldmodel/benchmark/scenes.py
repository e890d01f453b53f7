"""Scenes among the models of the benchmark: asked of the streams that they have, on its tick and from its contexts."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from worldmodel.errors import SceneError, WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.models.experts.physics import folder_sha256
from worldmodel.physics import KnownScene
from worldmodel.simulate import check_streams, is_scene
from worldmodel.validate import Forecast, Model, Problem


class Given:
    """A scene that the user names as a model.

    Args:
        scene: it, its folder, or a shipped one's name.

    Raises:
        WorldModelError: if it cannot be read, or has no sensor.
    """

    def __init__(self, scene: KnownScene | Path | str) -> None:
        self._known = scene if isinstance(scene, KnownScene) else KnownScene.of(scene)
        self.name = Path(self._known.scene.name).name

    @staticmethod
    def is_one(given: Any) -> bool:
        """Whether it is a scene or names one."""
        if not isinstance(given, str | Path):
            return isinstance(given, KnownScene)
        return is_scene(given)

    @property
    def sha256(self) -> str:
        """Of the files of its folder."""
        return folder_sha256(self._known.scene.folder)

    def on(self, logs: Iterable[Path], seed: int) -> "SceneModel":
        """It as a predictor of logs.

        Raises:
            WorldModelError: if it has none of their sensors, lacks or adds a command, has other units, or was fitted to
                one of their episodes.
        """
        for path in logs:
            with Log(path) as log:
                known = self._known.on(log)
                check_streams(known.scene, [log.streams[spec.name] for spec in known.streams])
                has = {spec.name for spec in known.streams}
                if more := [s.name for s in log.streams.values() if s.kind == "action" and s.name not in has]:
                    raise SceneError(
                        f"The scene {known.scene.name} has no command {more[0]}.",
                        expected="all of the log's commands",
                        found=", ".join(spec.name for spec in known.streams if spec.kind == "action") or "none",
                        remedy="add it to scene.toml",
                    )
                met = len(log.episodes) - len(known.uncertainty.unfitted(log))
                if met:
                    raise WorldModelError(
                        f"The scene {known.scene.name} was fitted to {met} of the episodes that test it.",
                        expected="a scene that was fitted to others",
                        remedy=f"fit it to what trains: {path.with_name('train.h5')}",
                    )
        return SceneModel(self.name, known, seed)


class SceneModel:
    """A scene as a predictor: what it says of the streams that it has, whatever the tick and the context."""

    def __init__(self, name: str, known: KnownScene, seed: int) -> None:
        self.name, self._known, self._seed = name, known, seed

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of its figures."""
        return self._known.notes

    def predict(self, problem: Problem) -> Forecast:
        """MuJoCo from the best estimate of the state, with members by how sure its numbers and the state are."""
        seen = problem.only([spec.name for spec in self._known.streams])
        back = len(seen.past_times)
        known = dataclasses.replace(self._known, streams=seen.layout.streams, tick_s=seen.dt, back=back)
        return Model(known, self._seed).predict(seen)
