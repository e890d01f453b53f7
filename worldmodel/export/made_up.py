"""A window that no machine recorded, by which an artefact is tried and checked: noise at the training data's scale."""

import numpy as np

from worldmodel.export.graphs import Arrays, Shapes
from worldmodel.models.world_model import WorldModel

_MISSING = 0.1  # of readings and commands


def made_up(model: WorldModel, shapes: Shapes, seed: int = 0) -> Arrays:
    """An array for each of `shapes`, by its name: readings, commands, masks, ages, frames, noise."""
    rng = np.random.default_rng(seed)
    return {name: _array(rng, model, name.removeprefix("future_"), like) for name, like in shapes.items()}


def _array(rng: np.random.Generator, model: WorldModel, name: str, like) -> np.ndarray:
    scaling = {"values": (model.scaling.mean, model.scaling.std)}
    scaling["action_values"] = model.scaling.action_mean, model.scaling.action_std
    dtype = np.dtype(like.dtype)
    if dtype.kind == "b":
        return rng.random(like.shape) >= _MISSING
    if np.issubdtype(dtype, np.integer):
        return rng.integers(0, 256, like.shape).astype(dtype) if like.shape else np.zeros((), dtype)
    if name.endswith("age_s"):
        return (rng.random(like.shape) * model.layout.dt).astype(dtype)
    if name == "last":
        return rng.random(like.shape).astype(dtype)
    drawn = rng.normal(size=like.shape)
    if name in scaling:
        mean, std = (np.asarray(x[...]) for x in scaling[name])
        drawn = mean + std * drawn
    return drawn.astype(dtype)
