"""Vectors of a MATLAB file."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def load_mat(path: Path) -> "pa.Table":
    """The vectors of a MATLAB file that are as long as the longest of them, by name.

    Raises:
        ValueError: if it cannot be read.
    """
    import pyarrow as pa
    from scipy.io import loadmat

    try:
        variables = loadmat(path)
    except Exception as error:  # of many types, by what is damaged
        raise ValueError(str(error) or type(error).__name__) from error
    vectors = {
        name: value.ravel()
        for name, value in variables.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "iuf" and value.size == max(value.shape, default=0)
    }
    longest = max(map(len, vectors.values()), default=0)
    return pa.table({name: vector for name, vector in vectors.items() if len(vector) == longest})
