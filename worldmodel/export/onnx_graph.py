"""A JAX function as an ONNX graph: its jaxpr, operation by operation (https://onnx.ai/onnx, operator set 18).

Written here since the public converter holds Orbax below the release that this package needs. What does not depend on
the inputs is computed now and becomes a constant; loops are unrolled; what has no counterpart is named in the error.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from worldmodel.errors import WorldModelError
from worldmodel.export.graphs import Graph

OPSET, IR_VERSION = 18, 9
Value = Any  # a numpy array that is known now, or the name of a tensor of the graph


class Builder:
    """Nodes and constants of a graph that is being made."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self._names: dict[int, tuple[str, np.ndarray]] = {}

    def node(self, kind: str, *inputs: Value, **attributes: Any) -> str:
        """Adds an operation of one output; returns its name."""
        return self.nodes_of(kind, inputs, 1, **attributes)[0]

    def nodes_of(self, kind: str, inputs: Sequence[Value], outputs: int, **attributes: Any) -> list[str]:
        """Adds an operation of several outputs; returns their names."""
        from onnx import helper

        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, [self.name(x) for x in inputs], names, **attributes))
        return names

    def name(self, value: Value) -> str:
        """The name of a tensor; of one that is known now, of a constant that is added once."""
        if isinstance(value, str):
            return value
        if id(value) not in self._names:
            name = f"c{len(self.constants)}"
            self.constants[name] = np.asarray(value)
            self._names[id(value)] = name, value  # kept, so that no other gets its id
        return self._names[id(value)][0]


def convert(graph: Graph, name: str) -> Any:
    """The `onnx.ModelProto` of a graph; its inputs and outputs have the names of its dictionaries.

    Raises:
        WorldModelError: for an operation that has no counterpart.
    """
    from onnx import checker, helper, numpy_helper

    names = sorted(graph.inputs)  # as JAX flattens a dictionary
    traced = jax.make_jaxpr(graph.function)(graph.inputs)
    shapes = jax.eval_shape(*graph)
    builder = Builder()
    found = run(builder, traced, names)
    outputs = [_named(builder, value, name) for value, name in zip(found, sorted(shapes), strict=True)]
    nodes = _needed(builder.nodes, outputs)
    used = {x for node in nodes for x in node.input}
    made = helper.make_graph(
        nodes,
        name,
        [_info(n, graph.inputs[n]) for n in names],
        [_info(n, shapes[n]) for n in sorted(shapes)],
        [numpy_helper.from_array(x, n) for n, x in builder.constants.items() if n in used],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    checker.check_model(model)
    return model


def run(builder: Builder, closed: ClosedJaxpr, inputs: Sequence[Value]) -> list[Value]:
    """Adds a jaxpr with these inputs; returns its outputs."""
    jaxpr = closed.jaxpr
    known = dict(zip(jaxpr.constvars, (np.asarray(x) for x in closed.consts), strict=True))
    known |= dict(zip(jaxpr.invars, inputs, strict=True))

    def read(variable: Any) -> Value:
        if not isinstance(variable, Literal):
            return known[variable]
        aval: Any = variable.aval
        return np.asarray(variable.val, aval.dtype)

    for equation in jaxpr.eqns:
        values = [read(x) for x in equation.invars]
        known.update(zip(equation.outvars, _apply(builder, equation, values), strict=True))
    return [read(x) for x in jaxpr.outvars]


def _apply(builder: Builder, equation: Any, values: list[Value]) -> list[Value]:
    from worldmodel.export.onnx_ops import OPERATIONS

    name = equation.primitive.name
    if inner := _inner(equation):
        return run(builder, inner, values)
    if not any(isinstance(x, str) for x in values):
        out = equation.primitive.bind(*values, **equation.params)
        return [np.asarray(x) for x in (out if equation.primitive.multiple_results else [out])]
    operation: Callable | None = OPERATIONS.get(name)
    if operation is None:
        problem = f"This model uses {name!r}, which cannot be written as ONNX."
        raise WorldModelError(problem, remedy="pass --no-onnx: the StableHLO file holds any model")
    out = operation(builder, equation, *values)
    return out if isinstance(out, list) else [out]


def _inner(equation: Any) -> ClosedJaxpr | None:
    """The function that an operation only calls."""
    inner = equation.params.get("call_jaxpr", equation.params.get("jaxpr"))
    if equation.primitive.name == "scan" or inner is None:
        return None
    return ClosedJaxpr(inner, ()) if isinstance(inner, Jaxpr) else inner


def _named(builder: Builder, value: Value, name: str) -> str:
    from onnx import helper

    builder.nodes.append(helper.make_node("Identity", [builder.name(value)], [name]))
    return name


def _needed(nodes: list[Any], outputs: list[str]) -> list[Any]:
    """Those that an output depends on."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


def _info(name: str, like: jax.ShapeDtypeStruct) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(like.dtype)), like.shape)
