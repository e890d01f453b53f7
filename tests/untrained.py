"""A run that nothing trained, for tests that need a model and not a good one."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines import Baselines
from worldmodel.models.world_model import Film, Scaling, WorldModel
from worldmodel.training.config import preset
from worldmodel.training.data import measure_scaling
from worldmodel.training.run import Run, build_model
from worldmodel.training.settings import RunSettings


def untrained_run(log: Log, *, dt: float, context: int, horizon: int, seed: int = 0, phase_s: float = 0.0) -> Run:
    """Statistics and baselines of the log, and random parameters; context and horizon in ticks."""
    model, config = preset("debug")
    settings = RunSettings(
        streams=tuple(log.streams.values()),
        dt=dt,
        phase_s=phase_s,
        context=context,
        horizon=horizon,
        preset="debug",
        seed=seed,
        steps=1,
        minutes=None,
        holdout=0.1,
        logs=(),
        weights=None,
        episodes=(),
        about=log.about,
        code_version="",
        model=model,
        train=config,
    )
    windows = Windows.of(log, settings.layout, context, horizon)
    scaling = measure_scaling(windows, seed)
    return Run(Path(), settings, random_model(settings, scaling), Baselines.fit(windows, scaling, seed))


def random_model(settings: RunSettings, scaling: Scaling) -> WorldModel:
    """Every parameter is drawn by NumPy: compiling the initialisers would take longer than most tests."""
    model = nnx.eval_shape(lambda: build_model(settings, scaling))
    rng = np.random.default_rng(settings.seed)

    def draw(like):
        return jnp.asarray(rng.normal(size=like.shape) * 0.3 / np.sqrt(max(like.shape[0], 1)), like.dtype)

    nnx.update(model, jax.tree.map(draw, nnx.state(model, nnx.Param)))
    nnx.update(model, jax.tree.map(lambda like: jnp.ones(like.shape, like.dtype), nnx.state(model, nnx.Not(nnx.Param))))
    model.scaling = nnx.data(Scaling(*(nnx.Variable(jnp.asarray(x, jnp.float32)) for x in scaling)))
    model.film = Film.plain([spec.sample_shape for spec in settings.layout.videos])
    return model
