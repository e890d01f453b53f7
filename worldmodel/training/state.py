"""What training changes, as one tree, and the pure function that changes it."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from worldmodel.logs.windows import Context, Future
from worldmodel.models.objective import horizon_weights
from worldmodel.models.world_model import WorldModel
from worldmodel.training.config import TrainConfig


class TrainState(NamedTuple):
    """Everything that a training needs to go on as if it had not been stopped.

    Attributes:
        params, optimizer: trees on the device.
        step: updates made. seconds: of wall clock that they took; compile_seconds: of those, spent on compiling.
        errors: float64 [H] at each horizon, as last evaluated on the select episodes; NaN where unknown.
        best: the lowest score of an evaluation.
        horizon: ticks of the longest rollouts trained.
    """

    params: Any
    optimizer: Any
    step: np.int64
    seconds: np.float64
    compile_seconds: np.float64
    errors: np.ndarray
    best: np.float64
    horizon: np.int64


class Learner:
    """What training does not change: a model's structure and units, its optimiser, and the seed of its noise.

    Args:
        model: with its initial parameters.
        config: how it is trained.
        seed: decides each update's noise.
    """

    def __init__(self, model: WorldModel, config: TrainConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self._graph, self._params, self._rest = split_parameters(model)
        self._optimizer = _optimizer(config)
        self._update = jax.jit(self._apply)

    def start(self, horizon: int) -> TrainState:
        """The state before the first update, in a run of that horizon in ticks."""
        zero, errors, best = np.float64(0), np.ones(horizon), np.float64(np.inf)
        optimizer = jax.jit(self._optimizer.init)(self._params)  # else a program is compiled for each shape
        return TrainState(self._params, optimizer, np.int64(0), zero, zero, errors, best, np.int64(0))

    def model(self, params: Any) -> WorldModel:
        return nnx.merge(self._graph, params, self._rest)

    def update(self, state: TrainState, batch: tuple[Context, Future], rate: float):
        """The state after one update with a learning rate, the loss, and its terms.

        Pure: it depends on its arguments and the learner's seed alone.
        """
        horizon = batch[1].values.shape[1]
        weights = horizon_weights(jnp.asarray(state.errors[:horizon], jnp.float32))
        scalars = np.float32(rate), np.int32(state.step)
        params, optimizer, loss, terms = self._update(state.params, state.optimizer, batch, weights, *scalars)
        longest = np.int64(max(horizon, state.horizon))
        return state._replace(params=params, optimizer=optimizer, step=state.step + 1, horizon=longest), loss, terms

    def _apply(self, params, optimizer, batch, weights, rate, step):
        key = jax.random.fold_in(jax.random.key(self.seed + 1), step)
        loss_of = partial(self._loss, batch=batch, weights=weights, key=key)
        (loss, terms), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, optimizer = self._optimizer.update(grads, optimizer, params)
        return jax.tree.map(lambda p, u: p - rate * u, params, updates), optimizer, loss, terms

    def _loss(self, params, batch, weights, key):
        config = self.config
        return self.model(params).loss(*batch, members=config.members, weights=weights, dropout=config.dropout, key=key)


def _optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """AdamW before its learning rate: gradients clipped by their norm, scaled by Adam, decoupled decay of weights."""
    decay = optax.add_decayed_weights(config.weight_decay)
    return optax.chain(optax.clip_by_global_norm(config.clip), optax.scale_by_adam(b2=0.99), decay)


def learning_rate(config: TrainConfig, step: int, share: float) -> float:
    """A short warm-up, then half a cosine down to nothing, at update `step`, when a share of the training is done."""
    warm = min((step + 1) / config.warmup, 1)
    return config.learning_rate * warm * 0.5 * (1 + np.cos(np.pi * min(share, 1)))


def split_parameters(model: WorldModel) -> tuple[Any, Any, Any]:
    """A model's structure, what training changes, and what it does not; `nnx.merge` puts them together."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]
    return graph, params, rest
