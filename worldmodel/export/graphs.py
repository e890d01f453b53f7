"""A network as pure functions of named arrays, with all that is random given: what is exported.

A window is one (B = 1), members K are fixed. Each function takes and gives a dictionary of arrays; an array without
elements, such as the actions of a machine that has none, is left out.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from worldmodel.imagine.engine import roll_out
from worldmodel.imagine.trajectory import frame_ticks
from worldmodel.logs.windows import CONTEXT_FRAMES, Context
from worldmodel.models.world_model import Belief, WorldModel
from worldmodel.types import Array, Commands

Arrays = dict[str, Array]
Shapes = dict[str, jax.ShapeDtypeStruct]
_AHEAD = "future_"


class Graph(NamedTuple):
    """A function of named arrays, and the shapes that it takes."""

    function: Callable[[Arrays], Arrays]
    inputs: Shapes


def graphs(model: WorldModel, members: int) -> dict[str, Graph]:
    """`observe` gives latents [1, K, Z] after a context, `step` moves them a tick on and reads the sensors, `draw_<i>`
    paints video i.
    """
    found = {"observe": _observe(model, members), "step": _step(model, members)}
    return found | {f"draw_{i}": _draw(model, members, i) for i in range(len(model.layout.videos))}


def futures(model: WorldModel, members: int, horizon: int) -> Graph:
    """The whole way: `clean` and `read` [1, K, H, D], and `frames_<i>` [1, K, P, rows, columns, 3], of a context, what
    is commanded after it (`future_action_...` [1, H, A]) and a seed: what `Imaginer` gives for the same.
    """
    parts, layout = nnx.split(model), model.layout
    asked = [ticks[None] for ticks in frame_ticks(layout, horizon)]

    def roll(arrays: Arrays) -> Arrays:
        ahead = {name.removeprefix(_AHEAD): x for name, x in arrays.items() if name.startswith(_AHEAD)}
        context, key = to_context(arrays, len(layout.videos)), jnp.stack([arrays["seed"], jnp.uint32(0)])
        imagined, shown = roll_out(*parts, context, to_commands(ahead), asked, key, members)
        return imagined._asdict() | {f"frames_{i}": video.members for i, video in enumerate(shown)}

    given = {_AHEAD + name: shape for name, shape in commands_shapes(model, 1, horizon).items()}
    return _without_empty(roll, context_shapes(model) | given | {"seed": _shape(dtype=np.uint32)})


def context_shapes(model: WorldModel) -> Shapes:
    """Of the arrays of one `Context`, by their names in a graph."""
    layout, ticks = model.layout, model.context
    shapes = {
        "values": _shape(1, ticks, layout.size),
        "mask": _shape(1, ticks, layout.size, dtype=bool),
        "age_s": _shape(1, ticks, len(layout.readings)),
        **commands_shapes(model, 1, ticks - 1),
    }
    for i, spec in enumerate(layout.videos):
        shapes[f"frames_{i}"] = _shape(1, CONTEXT_FRAMES, *spec.sample_shape, dtype=np.uint8)
        shapes[f"frames_mask_{i}"] = _shape(1, CONTEXT_FRAMES, dtype=bool)
    return shapes


def commands_shapes(model: WorldModel, *ticks: int) -> Shapes:
    """Of the arrays of `Commands`."""
    count, streams = model.layout.action_count, len(model.layout.actions)
    return {
        "action_values": _shape(*ticks, count),
        "action_mask": _shape(*ticks, count, dtype=bool),
        "action_age_s": _shape(*ticks, streams),
    }


def to_context(arrays: Mapping[str, Array], videos: int) -> Context:
    """The context that named arrays hold."""
    frames = tuple(arrays[f"frames_{i}"] for i in range(videos))
    masks = tuple(arrays[f"frames_mask_{i}"] for i in range(videos))
    return Context(arrays["values"], arrays["mask"], arrays["age_s"], to_commands(arrays), frames, masks)


def to_commands(arrays: Mapping[str, Array]) -> Commands:
    """The commands that named arrays hold."""
    return Commands(arrays["action_values"], arrays["action_mask"], arrays["action_age_s"])


def _observe(model: WorldModel, members: int) -> Graph:
    def observe(arrays: Arrays) -> Arrays:
        belief = model.observe(to_context(arrays, len(model.layout.videos)))
        out = {"latent": model.start(belief, arrays["noise"]), "angle": belief.angle}
        for i, (tokens, frame) in enumerate(zip(belief.tokens, belief.frames, strict=True)):
            out |= {f"tokens_{i}": tokens, f"last_{i}": frame}
        return out

    return _without_empty(observe, context_shapes(model) | {"noise": _shape(1, members, *model.start_noise)})


def _step(model: WorldModel, members: int) -> Graph:
    def step(arrays: Arrays) -> Arrays:
        angle = arrays["angle"]
        latent = model.step(arrays["latent"], to_commands(arrays), angle, arrays["noise"])
        clean = model.decode(latent)
        noisy = clean + jax.nn.softplus(model.reading_noise[...]) * arrays["reading_noise"]
        tick = jnp.minimum(arrays["tick"], len(model.spread[...]) - 1)
        mean = noisy.mean(1, keepdims=True)
        read = mean + jnp.take(model.spread[...], tick, axis=0) * (noisy - mean)
        return {
            "next": latent, "clean": model.denormalise(clean, angle), "read": model.denormalise(read, angle),
        }  # fmt: skip

    layout = model.layout
    shapes = {
        "latent": _shape(1, members, latent_size(model)),
        "angle": _shape(1, len(layout.frames.names)),
        **commands_shapes(model, 1),
        "noise": _shape(1, members, model.step_noise),
        "reading_noise": _shape(1, members, layout.size),
        "tick": _shape(dtype=np.int32),
    }
    return _without_empty(step, shapes)


def _draw(model: WorldModel, members: int, video: int) -> Graph:
    def draw(arrays: Arrays) -> Arrays:
        tokens, last = (jnp.repeat(arrays[name], members, 0) for name in ("tokens", "last"))
        none = jnp.zeros((members, 0))
        belief = Belief(none, none, none, (tokens,) * (video + 1), (last,) * (video + 1))
        drawn = model.decode_video(belief, arrays["latent"][0], video)[None, :, None]
        frames = model.mix(drawn, arrays["last"], jnp.reshape(arrays["tick"], (1, 1)), video)[:, :, 0]
        return {"frame": jnp.round(jnp.clip(frames, 0, 1) * 255).astype(jnp.uint8)}

    seen = jax.eval_shape(*_observe(model, members))
    shapes = {"tokens": seen[f"tokens_{video}"], "last": seen[f"last_{video}"], "latent": seen["latent"]}
    tick = {"tick": _shape(dtype=np.int32)}
    return _without_empty(draw, {name: _shape(*x.shape) for name, x in shapes.items()} | tick)


def latent_size(model: WorldModel) -> int:
    """Z."""
    return jax.eval_shape(*_observe(model, 1))["latent"].shape[-1]


def _without_empty(function: Callable[[Arrays], Arrays], shapes: Shapes) -> Graph:
    empty = {name: jnp.zeros(x.shape, x.dtype) for name, x in shapes.items() if 0 in x.shape}

    def given(arrays: Arrays) -> Arrays:
        return {name: x for name, x in function({**arrays, **empty}).items() if 0 not in x.shape}

    return Graph(given, {name: x for name, x in shapes.items() if name not in empty})


def _shape(*shape: int, dtype: type = np.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)
