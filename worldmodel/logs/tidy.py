"""Samples as pandas frames, one row a reading."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.types import Samples, StreamSpec

if TYPE_CHECKING:
    import pandas as pd


def tidy(streams: Iterable[tuple[StreamSpec, Samples]]) -> "pd.DataFrame":
    """Readings [M, S] or [M, K, S] of several streams as one frame with a row a reading, in the log's units.

    Args:
        streams: specifications and samples; video is left out.

    Returns:
        Columns `stream`, `column`, `unit` (categories), `time_s`, `member` where there are some, and `value`.
    """
    pd = _pandas()
    frames = [_rows(pd, spec, samples) for spec, samples in streams if spec.kind != "video"]
    return joined(frames) if frames else pd.DataFrame(columns=["stream", "column", "unit", "time_s", "value"])


def joined(frames: "list[pd.DataFrame]") -> "pd.DataFrame":
    """Frames one below the other; words become categories, which take a byte a row."""
    frame = _pandas().concat(frames, ignore_index=True)
    return frame.astype({name: "category" for name in ("stream", "column", "unit") if name in frame})


def _rows(pd: Any, spec: StreamSpec, samples: Samples) -> "pd.DataFrame":
    time, data = samples
    members = data.shape[1:-1]
    at = np.indices(data.shape).reshape(data.ndim, -1)
    columns = {
        "stream": pd.Categorical.from_codes(np.zeros(data.size, np.int8), [spec.name]),
        "column": np.array(spec.columns, object)[at[-1]],
        "unit": np.array(spec.units, object)[at[-1]],
        "time_s": time[at[0]],
        **({"member": at[1]} if members else {}),
        "value": np.asarray(data, np.float64).ravel(),
    }
    return pd.DataFrame(columns)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise WorldModelError("pandas cannot be loaded.", found=str(error), remedy="pip install pandas") from error
    return pandas
