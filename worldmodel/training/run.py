"""A training run's folder: everything that imagining needs, and nothing of the training data."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from worldmodel.errors import WorldModelError
from worldmodel.files import readable, whole_file
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines import Baselines
from worldmodel.models.config import ModelConfig, TrainConfig
from worldmodel.models.residual import ResidualModel
from worldmodel.models.rssm import RSSM
from worldmodel.models.world_model import Scaling, WorldModel
from worldmodel.training.history import METRICS, TENSORBOARD
from worldmodel.types import StreamSpec

SETTINGS, STATISTICS, BASELINES, FINISHED = "run.json", "statistics.npz", "baselines.npz", "finished.json"
SPREAD = "spread.npy"
CHECKPOINTS, BEST = "checkpoints", "best"
RUN_FILES = (SETTINGS, STATISTICS, BASELINES, FINISHED, SPREAD, CHECKPOINTS, BEST, METRICS, TENSORBOARD)
MODELS: dict[str, type[WorldModel]] = {"residual": ResidualModel, "rssm": RSSM}


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """What a run was started with: written once, to `run.json`.

    Attributes:
        streams: the specification of every stream, as the training log gave it.
        dt: the tick in seconds.
        context, horizon: in ticks.
        holdout: episodes of the training log that only measure.
        data_sha256: hash of the training log. file_sha256: of each of its files.
        about: what the training log says of itself; `scene` names its simulated twin.
    """

    streams: tuple[StreamSpec, ...]
    dt: float
    context: int
    horizon: int
    preset: str
    seed: int
    steps: int | None
    minutes: float | None
    holdout: tuple[int, ...]
    data_sha256: str
    file_sha256: tuple[str, ...]
    logs: tuple[str, ...]
    about: dict[str, Any]
    code_version: str
    model: ModelConfig
    train: TrainConfig

    @property
    def layout(self) -> TickLayout:
        return TickLayout(self.dt, self.streams)

    def save(self, folder: Path) -> None:
        with whole_file(folder / SETTINGS, force=True) as path:
            path.write_text(json.dumps(dataclasses.asdict(self), indent=1))

    @classmethod
    def load(cls, folder: Path) -> "RunSettings":
        """Reads `run.json`.

        Raises:
            WorldModelError: if the folder holds no run, or one of another release.
        """
        file = folder / SETTINGS
        if not file.is_file():
            remedy = "train one with `worldmodel train LOG --out RUN`"
            raise WorldModelError(f"{folder} holds no run.", expected=f"a file {SETTINGS}", remedy=remedy)
        with readable(file):
            raw = json.loads(file.read_text())
            streams = tuple(StreamSpec(**{k: _tuple(v) for k, v in s.items()}) for s in raw.pop("streams"))
            train = raw.pop("train")
            stages = tuple((float(share), int(ticks)) for share, ticks in train.pop("curriculum"))
            model = ModelConfig(**raw.pop("model"))
            raw = {k: _tuple(v) for k, v in raw.items()}
            settings = cls(streams=streams, model=model, train=TrainConfig(curriculum=stages, **train), **raw)
            sane = {
                "dt": 0 < settings.dt < float("inf"),
                "context": settings.context >= 2,
                "horizon": settings.horizon >= 1,
                "seed": isinstance(settings.seed, int) and settings.seed >= 0,
                "streams": len(streams) > 0,
                "dynamics": model.dynamics in MODELS,
            }
            if not all(sane.values()):
                raise ValueError(f"{next(name for name, fits in sane.items() if not fits)} has no sense")
            return settings


@dataclasses.dataclass
class Run:
    """A trained model with all that it needs to imagine."""

    folder: Path
    settings: RunSettings
    model: WorldModel
    baselines: Baselines

    @property
    def layout(self) -> TickLayout:
        return self.settings.layout

    def horizon_ticks(self, horizon_s: float | None, beyond_trained: bool = False) -> int:
        """A horizon in ticks; by default the run's own.

        Raises:
            WorldModelError: unless it is positive and finite.
        """
        if horizon_s is None:
            return self.settings.horizon
        if not 0 < horizon_s < float("inf"):
            raise WorldModelError("The horizon must be positive and finite.", found=f"{horizon_s} s")
        return max(round(horizon_s / self.settings.dt), 1)

    def windows(self, log: Log, horizon: int | None = None, episodes: Sequence[int] | None = None) -> Windows:
        """The log's episodes (by default all) aligned as this run's model wants them.

        Raises:
            WorldModelError: if the log lacks a stream of the run, or has it in another shape.
        """
        check_streams(self.settings.streams, log)
        return Windows.of(log, self.layout, self.settings.context, horizon or self.settings.horizon, episodes)


def check_streams(expected: tuple[StreamSpec, ...], log: Log) -> None:
    """Refuses a log whose streams are not those that the run was trained on."""
    for spec in expected:
        found = log.streams.get(spec.name)
        if found is None or (found.kind, found.columns, found.size) != (spec.kind, spec.columns, spec.size):
            shape = f"{spec.kind} with columns {', '.join(spec.columns)}" + (f" of {spec.size}" if spec.size else "")
            raise WorldModelError(
                f"The run expects other streams than {log.files[0]} has: {spec.name!r} does not fit.",
                expected=shape,
                found=f"{found.kind} with columns {', '.join(found.columns)}" if found else ", ".join(log.streams),
                remedy="ingest the log with the recipe and size that the training log was made with",
            )


def build_model(settings: RunSettings, scaling: Scaling) -> WorldModel:
    """The model with its initial parameters, which the settings' seed decides."""
    rngs = nnx.Rngs(params=jax.random.key(settings.seed))
    return MODELS[settings.model.dynamics](settings.layout, settings.context, scaling, settings.model, rngs=rngs)


def has_checkpoint(folder: Path, kind: str = BEST) -> bool:
    """Whether a run has parameters to imagine with; Orbax names a whole checkpoint by its step."""
    return (folder / kind).is_dir() and any(path.name.isdigit() for path in (folder / kind).iterdir())


def split_parameters(model: WorldModel) -> tuple[Any, Any, Any]:
    """A model's structure, what training changes, and what it does not; `nnx.merge` puts them together."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]
    return graph, params, rest


def load_run(folder: Path | str) -> Run:
    """Opens a run with its best parameters; needs no training data.

    Raises:
        WorldModelError: if there is no run, or it has no checkpoint yet.
    """
    from worldmodel.training.checkpoints import Checkpoints

    folder = Path(folder)
    settings = RunSettings.load(folder)
    if not has_checkpoint(folder):
        remedy = f"train it: `worldmodel train ... --out {folder} --resume`"
        raise WorldModelError(f"The run {folder} has no checkpoint yet.", remedy=remedy)
    model = build_model(settings, load_scaling(folder))
    graph, params, rest = split_parameters(model)
    with Checkpoints(folder / BEST, keep=1) as best:
        state = best.restore({"params": params})
    assert state is not None
    model = nnx.merge(graph, state["params"], rest)
    if (folder / SPREAD).exists():
        with readable(folder / SPREAD):
            model.spread = nnx.Variable(jnp.asarray(np.load(folder / SPREAD)))
    return Run(folder, settings, model, Baselines.load(folder / BASELINES, settings.layout))


def save_scaling(folder: Path, scaling: Scaling) -> None:
    """Keeps the training data's statistics with the run."""
    with whole_file(folder / STATISTICS, force=True) as path:
        np.savez(path, **scaling._asdict())


def load_scaling(folder: Path) -> Scaling:
    """Reads them back."""
    with readable(folder / STATISTICS), np.load(folder / STATISTICS) as file:
        return Scaling(*(jnp.asarray(file[name]) for name in Scaling._fields))


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
