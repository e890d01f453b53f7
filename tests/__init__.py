"""Calls of the modules that pyproject.toml names are checked against their annotations in tests."""

import numpy as np
from beartype import BeartypeConf, BeartypeHintOverrides, beartype

# A number of numpy's is as good as one of Python's: what is checked are arrays and records.
check = beartype(
    conf=BeartypeConf(hint_overrides=BeartypeHintOverrides({int: int | np.integer, float: float | int | np.number}))
)
