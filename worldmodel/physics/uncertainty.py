"""How surely the numbers of a fitted scene are known, and machines drawn by that."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.files import readable
from worldmodel.logs.reader import Log
from worldmodel.simulate.identification.catalogue import every
from worldmodel.simulate.identification.parameters import Machine, Parameter, Parameters
from worldmodel.simulate.identification.writing import IDENTIFIED_FILE
from worldmodel.simulate.world import World


@dataclasses.dataclass(frozen=True)
class Uncertainty:
    """The fitted numbers of a scene, by name, and their covariance.

    Attributes:
        names: P of them.
        covariance: [P, P] of the logarithms of what moves by factors, and of the values of the rest.
        in_units: the names of those that are not known as factors.
        logs_sha256: of the files that they were fitted to.
        fitted: names of their episodes. fitted_sha256: hashes of their content; empty where older files lack them.
        optimism: how many times as large the squared error of a recording is that is left out of the fit; None where
            older files do not say, or nothing was fitted.
    """

    names: tuple[str, ...]
    covariance: np.ndarray
    in_units: tuple[str, ...] = ()
    logs_sha256: tuple[str, ...] = ()
    fitted: tuple[str, ...] = ()
    fitted_sha256: tuple[str, ...] = ()
    optimism: float | None = None

    @classmethod
    def of(cls, folder: Path) -> "Uncertainty":
        """What `identify` found of a scene; nothing of one that was not fitted.

        Raises:
            WorldModelError: if its file is damaged.
        """
        file = folder / IDENTIFIED_FILE
        if not file.is_file():
            return cls((), np.zeros((0, 0)))
        with readable(file):
            told = json.loads(file.read_text(encoding="utf-8"))
            names = tuple(str(each["name"]) for each in told["parameters"])
            covariance = np.array(told["covariance"], float).reshape(len(names), len(names))
            in_units = tuple(str(each["name"]) for each in told["parameters"] if not each.get("factor", True))
            keys = "logs_sha256", "fitted", "fitted_sha256"
            logs, fitted, sha256 = (tuple(map(str, told.get(key, ()))) for key in keys)
            optimism = told.get("optimism")
            if optimism is not None and not optimism >= 1:
                raise ValueError(f"an optimism of {optimism}, where it is 1 or more")
            return cls(names, covariance, in_units, logs, fitted, sha256, optimism)

    def has_fitted(self, name: str, sha256: str) -> bool:
        """Whether an episode was fitted: by its content, or where older files do not tell that, by its name."""
        return sha256 in self.fitted_sha256 if self.fitted_sha256 else name in self.fitted

    def unfitted(self, log: Log) -> list[int]:
        """Episodes of a log that were not fitted: told by their content, or else by name in the same files."""
        if not self.fitted_sha256 and not set(log.file_sha256) & set(self.logs_sha256):
            return list(range(len(log.episode_names)))
        each = enumerate(zip(log.episode_names, log.episode_sha256, strict=True))
        return [i for i, (name, sha256) in each if not self.has_fitted(name, sha256)]

    def machines(self, world: World, seed: int, count: int) -> list[Machine]:
        """Machines that the scene may stand for; the first ones are the same for any `count`.

        Args:
            world: the scene's, compiled in general.
            seed: of the draws.
            count: how many.

        Raises:
            SceneError: if the scene has changed since.
        """
        if not self.names:
            return [Machine.of(world)] * count
        parameters = self._parameters(world)
        scale = np.array([p.scale for p in parameters.free])
        size, axes = np.linalg.eigh(self.covariance)
        root = axes * np.sqrt(np.maximum(size, 0))
        drawn = (np.random.default_rng([seed, k, 0x5C]).normal(size=len(scale)) for k in range(count))
        return [parameters.machine(root @ each / scale) for each in drawn]

    def _parameters(self, world: World) -> Parameters:
        known = {p.name: p for p in every(world)}
        if gone := [name for name in self.names if name not in known]:
            raise SceneError(
                f"{world.scene.name} is not the scene that was fitted.",
                expected=f"{gone[0]}, which {IDENTIFIED_FILE} names",
                found=", ".join(known),
                remedy=f"fit it again, or remove {IDENTIFIED_FILE}",
            )
        return Parameters(world, tuple(self._as_known(known[name]) for name in self.names))

    def _as_known(self, parameter: Parameter) -> Parameter:
        """In its own unit if it was fitted so: a spring that was not there moves by factors once it is."""
        in_unit = parameter.name in self.in_units
        return dataclasses.replace(parameter, factor=False, curve=None) if in_unit else parameter
