"""Which rows of a table belong to a stream."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.errors import RecipeError

if TYPE_CHECKING:
    import pyarrow as pa

_FUNCTIONS = {
    "above": "greater", "at_least": "greater_equal", "below": "less", "at_most": "less_equal", "not": "not_equal",
}  # fmt: skip
COMPARISONS = (*_FUNCTIONS, "among")


def is_condition(value: object) -> bool:
    """Whether a recipe's condition is a value, a pair [low, high], or a table of comparisons."""
    if isinstance(value, list):
        return len(value) == 2 and all(isinstance(v, int | float) for v in value) and value[0] <= value[1]
    if isinstance(value, dict):
        return bool(value) and set(value) <= set(COMPARISONS) and isinstance(value.get("among", []), list)
    return isinstance(value, str | int | float)


def fulfilled(column: "pa.ChunkedArray", condition: Any) -> np.ndarray:
    """Which rows fulfil a condition: bool [M]; one that is missing fulfils none.

    Raises:
        pyarrow.ArrowException: if the column holds nothing that compares with it.
    """
    import pyarrow as pa
    from pyarrow import compute

    if isinstance(condition, list):
        condition = {"at_least": condition[0], "at_most": condition[1]}
    elif not isinstance(condition, dict):
        condition = {"among": [condition]}
    if pa.types.is_string(column.type):
        column = compute.utf8_trim_whitespace(column)
    column = missing_where_nan(column)
    rows = np.ones(len(column), bool)
    for comparison, value in condition.items():
        if comparison == "among":
            parts = [compute.equal(column, one) for one in value]
        else:
            parts = [compute.call_function(_FUNCTIONS[comparison], [column, pa.scalar(value)])]
        rows &= np.any([_filled(part) for part in parts], axis=0)
    return rows


def missing_where_nan(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """A column in which a number that is none is missing, as NaN is another than every value."""
    import pyarrow as pa
    from pyarrow import compute

    return compute.if_else(compute.is_nan(column), None, column) if pa.types.is_floating(column.type) else column


def _filled(answers: "pa.ChunkedArray") -> np.ndarray:
    return np.asarray(answers.fill_null(False))


def select(path: object, stream: str, table: "pa.Table", where: Mapping[str, Any]) -> "pa.Table":
    """The rows of a table that fulfil every condition.

    Raises:
        RecipeError: if a column holds nothing that compares with its condition.
    """
    import pyarrow as pa

    rows = np.ones(table.num_rows, bool)
    for column, condition in where.items():
        try:
            rows &= fulfilled(table[column], condition)
        except (pa.ArrowException, TypeError) as error:
            raise RecipeError(
                f"{path}: streams.{stream}.where compares column {column!r} with {condition!r}.",
                expected=f"a value of type {table[column].type}",
            ) from error
    return table if rows.all() else table.filter(pa.array(rows))
