"""Calls of the modules that pyproject.toml names are checked against their annotations in tests."""

from typing import Any, Self

import jax
import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype

# A number of numpy's is as good as one of Python's, and outside of compiled functions an array of numpy's as one of
# JAX's: what is checked are shapes, types of values, and records. What `Self` is, a method that is checked by itself
# cannot tell.
check = beartype(
    conf=BeartypeConf(
        hint_overrides=FrozenDict(
            {int: int | np.integer, float: float | int | np.number, jax.Array: jax.Array | np.ndarray, Self: Any}
        )
    )
)
