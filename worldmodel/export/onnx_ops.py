"""JAX's operations in ONNX's: one small function each, of the builder, the equation and its operands."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jax import lax

from worldmodel.errors import WorldModelError
from worldmodel.export.onnx_graph import Builder, Value, run

Operation = Callable[..., Value | list[Value]]


def _plain(kind: str) -> Operation:
    """An operation that ONNX has as it is."""
    return lambda b, e, *x: b.node(kind, *x)


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def _one(e: Any, value: float) -> np.ndarray:
    """A number of the type that an equation's operand has."""
    return np.array(value, e.invars[0].aval.dtype)


def _cast(b: Builder, x: Value, dtype: Any) -> str:
    from onnx import helper

    return b.node("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _shape(e: Any, operand: int = 0) -> tuple[int, ...]:
    return e.invars[operand].aval.shape


def _reshape(b: Builder, e: Any, x: Value, *_: Value) -> str:
    return b.node("Reshape", x, _ints(*e.outvars[0].aval.shape))


def _broadcast(b: Builder, e: Any, x: Value) -> str:
    shape = e.params["shape"]
    ones = [shape[d] if d in e.params["broadcast_dimensions"] else 1 for d in range(len(shape))]
    for own, d in enumerate(e.params["broadcast_dimensions"]):
        ones[d] = _shape(e)[own]
    x = b.node("Reshape", x, _ints(*ones))
    return x if tuple(ones) == shape else b.node("Expand", x, _ints(*shape))


def _slice(b: Builder, e: Any, x: Value) -> str:
    start, stop = e.params["start_indices"], e.params["limit_indices"]
    steps = e.params["strides"] or (1,) * len(start)
    return b.node("Slice", x, _ints(*start), _ints(*stop), _ints(*range(len(start))), _ints(*steps))


def _pad(b: Builder, e: Any, x: Value, fill: Value) -> str:
    low, high, inner = zip(*e.params["padding_config"], strict=True)
    assert not any(inner)
    if e.invars[0].aval.dtype == bool:  # which ONNX does not pad
        return _cast(b, b.node("Pad", _cast(b, x, np.int32), _ints(*low, *high), fill.astype(np.int32)), bool)
    return b.node("Pad", x, _ints(*low, *high), fill)


def _concatenate(b: Builder, e: Any, *x: Value) -> str:
    some = [part for part, variable in zip(x, e.invars, strict=True) if 0 not in variable.aval.shape]
    return b.node("Concat", *some, axis=e.params["dimension"])


def _stack(b: Builder, e: Any, *x: Value) -> str:
    axis = e.params["axis"]
    return b.node("Concat", *(b.node("Unsqueeze", part, _ints(axis)) for part in x), axis=axis)


def _split(b: Builder, e: Any, x: Value) -> list[Value]:
    sizes = e.params["sizes"]
    return list(b.nodes_of("Split", (x, _ints(*sizes)), len(sizes), axis=e.params["axis"]))


def _select(b: Builder, e: Any, which: Value, *cases: Value) -> str:
    assert len(cases) == 2
    return b.node("Where", which, cases[1], cases[0])


def _convert(b: Builder, e: Any, x: Value) -> str:
    return _cast(b, x, e.params["new_dtype"])


def _power(b: Builder, e: Any, x: Value) -> str:
    return b.node("Mul", x, x) if e.params["y"] == 2 else b.node("Pow", x, _one(e, e.params["y"]))


def _log1p(b: Builder, e: Any, x: Value) -> str:
    return b.node("Log", b.node("Add", x, _one(e, 1)))


def _atan2(b: Builder, e: Any, y: Value, x: Value) -> str:
    """By the arc tangent of the smaller over the larger, and the octant: ONNX has no other."""
    across, up = b.node("Abs", x), b.node("Abs", y)
    larger, smaller = b.node("Max", across, up), b.node("Min", across, up)
    still = b.node("Equal", larger, _one(e, 0))
    angle = b.node("Atan", b.node("Div", smaller, b.node("Where", still, _one(e, 1), larger)))
    angle = b.node("Where", b.node("Greater", up, across), b.node("Sub", _one(e, math.pi / 2), angle), angle)
    angle = b.node("Where", b.node("Less", x, _one(e, 0)), b.node("Sub", _one(e, math.pi), angle), angle)
    return b.node("Where", b.node("Less", y, _one(e, 0)), b.node("Neg", angle), angle)


def _reduce(kind: str) -> Operation:
    def reduce(b: Builder, e: Any, x: Value) -> str:
        axes = e.params["axes"]
        if kind == "ReduceSum":
            return b.node(kind, x, _ints(*axes), keepdims=0)
        if e.invars[0].aval.dtype != bool:
            return b.node(kind, x, _ints(*axes), keepdims=0)
        return _cast(b, b.node(kind, _cast(b, x, np.int32), _ints(*axes), keepdims=0), bool)

    return reduce


def _argmax(b: Builder, e: Any, x: Value) -> str:
    x = _cast(b, x, np.int32) if e.invars[0].aval.dtype == bool else x
    (axis,) = e.params["axes"]
    return _cast(b, b.node("ArgMax", x, axis=axis, keepdims=0), e.params["index_dtype"])


def _cummax(b: Builder, e: Any, x: Value) -> str:
    """By doubling: the largest of the newest 1, 2, 4 ... values."""
    axis, length = e.params["axis"], _shape(e)[e.params["axis"]]
    assert not e.params["reverse"]
    dtype = e.invars[0].aval.dtype
    least = np.array(np.iinfo(dtype).min if np.issubdtype(dtype, np.integer) else -np.inf, dtype)
    span = 1
    while span < length:
        before = [0] * len(_shape(e))
        before[axis] = span
        earlier = b.node("Pad", x, _ints(*before, *([0] * len(before))), least)
        earlier = b.node("Slice", earlier, _ints(0), _ints(length), _ints(axis))
        x, span = b.node("Max", x, earlier), 2 * span
    return x


def _sort(b: Builder, e: Any, keys: Value, *others: Value) -> list[Value]:
    """Ascending and stable: of equal ones ONNX's TopK names the first first."""
    axis = e.params["dimension"]
    assert e.params["num_keys"] == 1
    count = _ints(_shape(e)[axis])
    ordered, index = b.nodes_of("TopK", (keys, count), 2, axis=axis, largest=0, sorted=1)
    return [ordered, *(b.node("GatherElements", x, index, axis=axis) for x in others)]


def _gather(b: Builder, e: Any, x: Value, index: Value) -> str:
    """`take` along one axis, and `take_along_axis`: all that models here ask for."""
    how, sizes, out = e.params["dimension_numbers"], e.params["slice_sizes"], e.outvars[0].aval.shape
    shape, (*places, width) = _shape(e), _shape(e, 1)
    if width != 1 or how.collapsed_slice_dims not in ((), how.start_index_map):
        raise WorldModelError("This model gathers in a way that cannot be written as ONNX.", remedy="pass --no-onnx")
    (axis,) = how.start_index_map
    whole = [d for d in range(len(shape)) if d != axis and d not in how.operand_batching_dims]
    assert sizes[axis] == 1
    assert all(sizes[d] == shape[d] for d in whole)
    if how.operand_batching_dims:
        return _along(b, x, index, axis, e)
    taken = b.node("Gather", x, b.node("Reshape", index, _ints(*places)), axis=axis)
    if not how.collapsed_slice_dims:  # the axis stays, with length 1
        whole, places = sorted([*whole, axis]), places
        taken = b.node("Unsqueeze", taken, _ints(axis + len(places)))
    batch = [d for d in range(len(out)) if d not in how.offset_dims]
    before = sum(d < axis for d in whole)
    order = dict(zip(batch, range(before, before + len(places)), strict=True))
    rest = [*range(before), *range(before + len(places), len(out))]
    order |= dict(zip(how.offset_dims, rest, strict=True))
    return b.node("Transpose", taken, perm=[order[d] for d in range(len(out))])


def _along(b: Builder, x: Value, index: Value, axis: int, e: Any) -> str:
    """`take_along_axis`: of each place the index along the axis; axes that are taken whole share it."""
    how, out = e.params["dimension_numbers"], e.outvars[0].aval.shape
    assert len(out) == len(_shape(e))
    index = b.node("Reshape", index, _ints(*(1 if d in how.offset_dims else n for d, n in enumerate(out))))
    return b.node("GatherElements", x, b.node("Expand", index, _ints(*out)), axis=axis)


def _dot(b: Builder, e: Any, x: Value, y: Value) -> str:
    (of_x, of_y), (batch_x, batch_y) = e.params["dimension_numbers"]
    ranks = len(_shape(e)), len(_shape(e, 1))
    if not batch_x and of_x == (ranks[0] - 1,) and of_y == (0,):
        return b.node("MatMul", x, y)
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    left = [next(letters) for _ in range(ranks[0])]
    same = {**dict(zip(of_y, of_x, strict=True)), **dict(zip(batch_y, batch_x, strict=True))}
    right = [left[same[d]] if d in same else next(letters) for d in range(ranks[1])]
    out = [left[d] for d in batch_x]
    out += [c for d, c in enumerate(left) if d not in (*of_x, *batch_x)]
    out += [c for d, c in enumerate(right) if d not in same]
    return b.node("Einsum", x, y, equation=f"{''.join(left)},{''.join(right)}->{''.join(out)}")


def _conv(b: Builder, e: Any, x: Value, kernel: Value) -> str:
    how, window = e.params["dimension_numbers"], e.params
    assert set(window["lhs_dilation"]) == {1}
    assert window["batch_group_count"] == 1
    low, high = zip(*window["padding"], strict=True)
    x, kernel = b.node("Transpose", x, perm=how.lhs_spec), b.node("Transpose", kernel, perm=how.rhs_spec)
    out = b.node(
        "Conv", x, kernel, pads=[*low, *high], strides=window["window_strides"], dilations=window["rhs_dilation"],
        group=window["feature_group_count"],
    )  # fmt: skip
    return b.node("Transpose", out, perm=[int(i) for i in np.argsort(how.out_spec)])


def _scan(b: Builder, e: Any, *x: Value) -> list[Value]:
    """Unrolled: so a microcontroller's runtime needs no loops."""
    inner, length = e.params["jaxpr"], e.params["length"]
    series = sum(outer.aval.ndim > one.ndim for outer, one in zip(e.invars, inner.in_avals, strict=True))
    carried = sum(outer.aval.ndim == one.ndim for outer, one in zip(e.outvars, inner.out_avals, strict=True))
    constants = len(x) - series - carried  # names of parameters that say so are not the same in all of JAX's releases
    fixed, carry, given = x[:constants], list(x[constants:][:carried]), x[constants + carried :]
    assert not e.params["reverse"]
    made = []
    for tick in range(length):
        now = [b.node("Gather", values, np.array(tick, np.int64), axis=0) for values in given]
        out = run(b, inner, [*fixed, *carry, *now])
        carry = out[:carried]
        made.append([b.node("Unsqueeze", value, _ints(0)) for value in out[carried:]])
    return [*carry, *(b.node("Concat", *ticks, axis=0) for ticks in zip(*made, strict=True))]


def _round(b: Builder, e: Any, x: Value) -> str:
    assert e.params["rounding_method"] == lax.RoundingMethod.TO_NEAREST_EVEN
    return b.node("Round", x)


def _clamp(b: Builder, e: Any, low: Value, x: Value, high: Value) -> str:
    return b.node("Min", b.node("Max", x, low), high)


OPERATIONS: dict[str, Operation] = {
    "abs": _plain("Abs"),
    "add": _plain("Add"),
    "and": _plain("And"),
    "argmax": _argmax,
    "atan2": _atan2,
    "broadcast_in_dim": _broadcast,
    "ceil": _plain("Ceil"),
    "clamp": _clamp,
    "concatenate": _concatenate,
    "conv_general_dilated": _conv,
    "convert_element_type": _convert,
    "copy": _plain("Identity"),
    "cos": _plain("Cos"),
    "cummax": _cummax,
    "div": _plain("Div"),
    "dot_general": _dot,
    "eq": _plain("Equal"),
    "erf": _plain("Erf"),
    "exp": _plain("Exp"),
    "expand_dims": _reshape,
    "floor": _plain("Floor"),
    "gather": _gather,
    "ge": _plain("GreaterOrEqual"),
    "gt": _plain("Greater"),
    "integer_pow": _power,
    "le": _plain("LessOrEqual"),
    "log": _plain("Log"),
    "log1p": _log1p,
    "logistic": _plain("Sigmoid"),
    "lt": _plain("Less"),
    "max": _plain("Max"),
    "min": _plain("Min"),
    "mul": _plain("Mul"),
    "ne": lambda b, e, x, y: b.node("Not", b.node("Equal", x, y)),
    "neg": _plain("Neg"),
    "not": _plain("Not"),
    "or": _plain("Or"),
    "pad": _pad,
    "reduce_and": _reduce("ReduceMin"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_or": _reduce("ReduceMax"),
    "reduce_sum": _reduce("ReduceSum"),
    "reshape": _reshape,
    "round": _round,
    "rsqrt": lambda b, e, x: b.node("Reciprocal", b.node("Sqrt", x)),
    "scan": _scan,
    "select_n": _select,
    "sign": _plain("Sign"),
    "sin": _plain("Sin"),
    "slice": _slice,
    "sort": _sort,
    "split": _split,
    "sqrt": _plain("Sqrt"),
    "square": lambda b, e, x: b.node("Mul", x, x),
    "squeeze": _reshape,
    "stack": _stack,
    "stop_gradient": _plain("Identity"),
    "sub": _plain("Sub"),
    "tanh": _plain("Tanh"),
    "tile": lambda b, e, x: b.node("Tile", x, _ints(*e.params["reps"])),
    "transpose": lambda b, e, x: b.node("Transpose", x, perm=e.params["permutation"]),
}
