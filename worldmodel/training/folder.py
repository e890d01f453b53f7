"""A run's folder: the only place that knows its files' names, and reads and writes them."""

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.files import RUN_AGAIN, readable, whole_file, whole_folder
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.odometry import Odometer
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.blend import Blend
from worldmodel.models.experts.closed import closed
from worldmodel.models.experts.left_out import LeftOut
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.rich import experts_from, experts_to
from worldmodel.models.experts.team import Team
from worldmodel.models.memory import Memory
from worldmodel.models.world_model import Film, Scaling
from worldmodel.training.history import METRICS, TENSORBOARD, History
from worldmodel.training.settings import RunSettings, plain_json

if TYPE_CHECKING:
    from worldmodel.training.checkpoints import Checkpoints

_SETTINGS, _FINISHED = "run.json", "finished.json"
_ODOMETRY, _STATISTICS, _BASELINES = "odometry.json", "statistics.npz", "baselines.npz"
_EXPERTS, _LEFT_OUT, _BLEND = "experts.npz", "left_out.npz", "blend.npz"
_PARAMETERS, _SPREAD, _FILM = "parameters.npz", "spread.npy", "film.npz"
_CHECKPOINTS, _PRIOR = "checkpoints", "prior"
_OF_TEAM, _BLENDED = (_EXPERTS, _LEFT_OUT, _BLEND, _PRIOR), "blended-"


class RunFolder:
    """A training run on disk. Each file appears when it is whole.

    run.json           settings          written when the run begins
    odometry.json      what follows places in what is seen; so is it
    statistics.npz     of the data       and they
    baselines.npz      fitted            and they
    experts.npz        fitted            and they
    prior/             the scene that is one of them, where one is
    left_out.npz       what they predict for windows that they were not fitted on
    parameters.npz     the best so far   what imagining needs
    checkpoints/       the newest states what going on needs
    spread.npy         of members        when the training has ended
    film.npz           of what frames are mixed, and frames that are remembered, where there are any
    blend.npz          of all experts    then, too
    finished.json      how it ended      last of all
    blended-1/         experts.npz, prior/, left_out.npz and blend.npz once a scene has joined, in place of those above
    metrics.jsonl, tensorboard/          its history
    """

    NAMES = (
        _SETTINGS, _ODOMETRY, _STATISTICS, _BASELINES, _EXPERTS, _LEFT_OUT, _BLEND, _FINISHED, _SPREAD, _FILM,
        _PARAMETERS, _CHECKPOINTS, METRICS, TENSORBOARD, _PRIOR, f"{_BLENDED}*",
    )  # fmt: skip

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @contextlib.contextmanager
    def begin(self) -> Iterator["RunFolder"]:
        """A folder to write what a run needs before its first update, which becomes this one: all of it, or nothing."""
        with whole_folder(self.path) as start:
            yield RunFolder(start)

    @contextlib.contextmanager
    def replaced(self) -> Iterator[None]:
        """Keeps an earlier run while a new one takes its name, and puts it back if that fails without parameters."""
        earlier = self.path.with_name(f".{self.path.name}.replaced")
        if self.path.exists():
            shutil.rmtree(earlier, ignore_errors=True)
            os.replace(self.path, earlier)
        try:
            yield
        except BaseException:
            if not (self.has_parameters or self.has_blend):  # nothing to go on from
                shutil.rmtree(self.path, ignore_errors=True)
                if earlier.exists():
                    os.replace(earlier, self.path)
            raise
        finally:
            if self.path.exists():
                shutil.rmtree(earlier, ignore_errors=True)

    @property
    def has_run(self) -> bool:
        return (self.path / _SETTINGS).is_file()

    @property
    def has_parameters(self) -> bool:
        return (self.path / _PARAMETERS).is_file()

    @property
    def has_blend(self) -> bool:
        return self._place(_BLEND).is_file()

    @property
    def prior(self) -> Path | None:
        """The folder of the scene that is one of the experts; None where none is."""
        place = self._place(_PRIOR)
        return place if place.is_dir() else None

    @contextlib.contextmanager
    def blended_again(self) -> Iterator["RunFolder"]:
        """A folder for other experts and their blend, which take the place of this one's: all of them, or none."""
        earlier = [*map(self.path.joinpath, _OF_TEAM), *self.path.glob(f"{_BLENDED}*")]
        with whole_folder(self.path / f"{_BLENDED}{self._times_blended + 1}") as place:
            yield RunFolder(place)
        for path in earlier:  # which nobody reads from here on
            _remove(path)

    @property
    def _times_blended(self) -> int:
        """How often it was blended again."""
        numbers = [path.name.removeprefix(_BLENDED) for path in self.path.glob(f"{_BLENDED}*")]
        return max((int(number) for number in numbers if number.isdigit()), default=0)

    def _place(self, name: str) -> Path:
        """Where a file is: of experts and their blend in the newest folder of those blended again, if there is one."""
        again = self._times_blended if name in _OF_TEAM else 0
        return self.path / f"{_BLENDED}{again}" / name if again else self.path / name

    @property
    def latest_step(self) -> int:
        """Updates before the newest checkpoint, 0 without one; Orbax names a whole one by its step."""
        return max((int(p.name) for p in (self.path / _CHECKPOINTS).glob("*") if p.name.isdigit()), default=0)

    @property
    def finished(self) -> dict[str, Any] | None:
        """How the training ended; None if it has not.

        `steps`; `seconds` of wall clock, of which `compile_seconds` went into compiling; `best_nrmse` on the select
        episodes; `horizon`, the longest rollouts in ticks.
        """
        file = self.path / _FINISHED
        if not file.exists():
            return None
        with readable(file):
            return dict(json.loads(file.read_text()))

    def finish(self, **how: Any) -> None:
        self._write_text(_FINISHED, plain_json(how))

    def unfinish(self) -> None:
        """Forgets that the training had ended, before it goes on."""
        (self.path / _FINISHED).unlink(missing_ok=True)

    def read_settings(self) -> RunSettings:
        """Reads `run.json`.

        Raises:
            WorldModelError: if the folder holds no run, or one of another release.
        """
        file = self.path / _SETTINGS
        if not self.has_run:
            remedy = "train one with `worldmodel train LOG --out RUN`"
            raise WorldModelError(f"{self.path} holds no run.", expected=f"a file {_SETTINGS}", remedy=remedy)
        with readable(file):
            return RunSettings.from_json(file.read_text(), file)

    def write_settings(self, settings: RunSettings) -> None:
        self._write_text(_SETTINGS, settings.to_json())

    def read_odometers(self) -> tuple[Odometer, ...]:
        """What follows places in what is seen; nothing in a run of an earlier release."""
        file = self.path / _ODOMETRY
        if not file.exists():
            return ()
        with readable(file):
            found: list[dict[str, Any]] = [
                {k: tuple(v) if isinstance(v, list) else v for k, v in o.items()} for o in json.loads(file.read_text())
            ]
            return tuple(Odometer(**each) for each in found)

    def write_odometers(self, odometers: Sequence[Odometer]) -> None:
        self._write_text(_ODOMETRY, plain_json([dataclasses.asdict(each) for each in odometers]))

    def read_scaling(self) -> Scaling:
        """The training data's statistics."""
        arrays = self._read_arrays(_STATISTICS)
        with readable(self.path / _STATISTICS):
            return Scaling(*(arrays[name] for name in Scaling._fields))

    def write_scaling(self, scaling: Scaling) -> None:
        self._write_arrays(_STATISTICS, scaling._asdict())

    def read_baselines(self, layout: TickLayout) -> Baselines:
        return Baselines.load(self.path / _BASELINES, layout)

    def write_baselines(self, baselines: Baselines) -> None:
        baselines.save(self.path / _BASELINES)

    def read_experts(self, lens: Lens) -> list[Any]:
        """Those beyond the baselines."""
        with readable(self._place(_EXPERTS)):
            return experts_from(self._read_arrays(_EXPERTS), lens, self._place(_PRIOR))

    def write_prior(self, scene: Path) -> Path:
        """Keeps a copy of a scene's folder; says where."""
        return Path(shutil.copytree(scene, self.path / _PRIOR))

    def write_experts(self, experts: Sequence[Any]) -> None:
        self._write_arrays(_EXPERTS, experts_to(experts))

    def read_left_out(self) -> LeftOut:
        """What experts predicted for windows that they were not fitted on."""
        arrays = self._read_arrays(_LEFT_OUT)
        with readable(self._place(_LEFT_OUT)):
            if "held" not in arrays:  # in a run of an earlier release
                arrays["held"] = np.full(arrays["came"][:, 0].shape, np.nan)
            return LeftOut(*(arrays[name] for name in LeftOut._fields))

    def write_left_out(self, left_out: LeftOut) -> None:
        self._write_arrays(_LEFT_OUT, left_out._asdict())

    def read_team(self, baselines: Baselines, settings: RunSettings) -> Team | None:
        """All experts and their blend; None before the training's end, and of a log without readings."""
        if not self.has_blend:
            if self._place(_EXPERTS).exists():
                self.read_experts(baselines.lens)  # so that damage is told before the training goes on
            return None
        arrays = self._read_arrays(_BLEND)
        with readable(self._place(_BLEND)):
            parts = [  # a run of an earlier release may lack what has a default
                {f.name: arrays[f.name] for f in dataclasses.fields(kind) if f.name in arrays or not _has_default(f)}
                for kind in (Blend, Reach)
            ]
            blend, reach = (kind(**part) for kind, part in zip((Blend, Reach), parts, strict=True))
        experts = (*closed(baselines), *self.read_experts(baselines.lens))
        return Team(baselines.lens, experts, settings.context, settings.horizon, blend, reach)

    def write_blend(self, team: Team) -> None:
        self._write_arrays(_BLEND, vars(team.blend) | vars(team.reach))

    def read_parameters(self, like: Any) -> Any:
        """The best parameters so far, as a tree like `like`, whose leaves need no more than a shape.

        Raises:
            WorldModelError: if there are none yet, or they are not those of such a model.
        """
        if not self.has_parameters:
            remedy = f"train it: `worldmodel train ... --out {self.path} --resume`"
            raise WorldModelError(f"The run {self.path} has no checkpoint yet.", remedy=remedy)
        arrays, named = self._read_arrays(_PARAMETERS), _by_path(like)
        shapes = {name: array.shape for name, array in arrays.items()}
        if shapes != {name: leaf.shape for name, leaf in named.items()}:
            raise WorldModelError(f"{self.path / _PARAMETERS} is of another model.", remedy=RUN_AGAIN)
        return jax.tree.unflatten(jax.tree.structure(like), jax.device_put([arrays[name] for name in named]))

    def write_parameters(self, parameters: Any) -> None:
        self._write_arrays(_PARAMETERS, {name: np.asarray(leaf) for name, leaf in _by_path(parameters).items()})

    def read_spread(self) -> np.ndarray | None:
        """Factors [H, D] of members' distances from their mean; None before the training's end."""
        file = self.path / _SPREAD
        if not file.exists():
            return None
        with readable(file):
            return np.load(file)

    def write_spread(self, spread: np.ndarray) -> None:
        with whole_file(self.path / _SPREAD, force=True) as path:
            np.save(path, spread)

    def read_film(self) -> Film | None:
        """Of what frames are mixed; None before the training's end, and of a log without video."""
        if not (self.path / _FILM).exists():
            return None
        arrays = self._read_arrays(_FILM)
        with readable(self.path / _FILM):
            means = [arrays[f"mean.{i}"] for i in range(len(arrays["shares"]))]
            recalled = enumerate(arrays.get("sureness", ()))  # a run of before had no memory
            return Film(arrays["shares"], means, [Memory(arrays[f"memory.{i}"], sureness) for i, sureness in recalled])

    def write_film(self, film: Film) -> None:
        means = {f"mean.{i}": np.asarray(frame[...]) for i, frame in enumerate(film.mean)}
        memories = {f"memory.{i}": np.asarray(memory.frames[...]) for i, memory in enumerate(film.memory)}
        sureness = np.array([memory.sureness[...] for memory in film.memory], np.float32)
        shares = np.asarray(film.shares[...])
        self._write_arrays(_FILM, {"shares": shares, "sureness": sureness} | means | memories)

    def checkpoints(self) -> "Checkpoints":
        """The newest states of the training. Orbax is imported here, since imagining does without."""
        from worldmodel.training.checkpoints import Checkpoints

        return Checkpoints(self.path / _CHECKPOINTS, keep=2)

    def history(self, step: int) -> History:
        return History(self.path, step)

    def _write_text(self, name: str, text: str) -> None:
        with whole_file(self.path / name, force=True) as path:
            path.write_text(text)

    def _read_arrays(self, name: str) -> dict[str, np.ndarray]:
        path = self._place(name)
        with readable(path), np.load(path) as file:
            return {key: file[key] for key in file.files}

    def _write_arrays(self, name: str, arrays: dict[str, Any]) -> None:
        with whole_file(self._place(name), force=True) as path:
            np.savez(path, **arrays)


def _has_default(field: dataclasses.Field) -> bool:
    return field.default_factory is not dataclasses.MISSING


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _by_path(tree: Any) -> dict[str, Any]:
    """Leaves by where they are in the tree."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
