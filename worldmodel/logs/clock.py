"""An episode's clock: seconds from its time zero, whether its stamps came so or count from 1970."""

import math
from collections.abc import Mapping

import numpy as np

from worldmodel.errors import LogFormatError
from worldmodel.logs.format import LONGEST_S

_EARLIEST_UTC = 315532800.0  # 1980: the earliest date that clocks without a battery start from
_LATEST_UTC = 4102444800.0  # 2100
_AGREES_S = 60.0  # time zones are a quarter of an hour apart at least
_PARTS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}


def time_zero(times: Mapping[str, np.ndarray], what: str, origin_utc: float = math.nan) -> float:
    """Where the stamps of an episode read its time zero: 0, or the origin's stamp where they count from 1970.

    Args:
        times: increasing times [M] of each stream that has samples, in seconds.
        what: the episode, as errors name it.
        origin_utc: the episode's time zero in seconds since 1970-01-01 UTC, where it is known; else NaN, and stamps
            that count from 1970 have theirs at the first sample.

    Raises:
        LogFormatError: if the times are no seconds of one recording on one clock, or stamps disagree with the origin.
    """
    first, last = min(time[0] for time in times.values()), max(time[-1] for time in times.values())
    if first > _LATEST_UTC or LONGEST_S <= first < _EARLIEST_UTC:
        raise _no_seconds(first, what)
    if last - first >= LONGEST_S:
        raise _not_one_clock(times, what)
    if math.isinf(origin_utc):
        raise LogFormatError(f"The origin_utc of {what} is no time.", expected="seconds, or NaN", found=str(origin_utc))
    if first >= LONGEST_S:
        return _unix_origin(first, what, origin_utc)
    if last < 0:
        raise LogFormatError(
            f"The times of {what} end before its time zero.",
            expected="seconds from time zero; some of them may be below it",
            found=f"{first:.9g} s to {last:.9g} s",
            remedy="subtract the first time from all of them, and give origin_utc if it is known",
        )
    return 0.0


def _no_seconds(first: float, what: str) -> LogFormatError:
    """The error that says which unit the stamps seem to have."""
    unit = next((u for u, n in _PARTS.items() if _EARLIEST_UTC <= first / n <= _LATEST_UTC), None)
    return LogFormatError(
        f"The times of {what} are no seconds of a recording.",
        expected="seconds from its time zero, or since 1970-01-01 UTC",
        found=f"{first:.9g} at its first sample",
        remedy=f"they are {unit} since 1970: divide by {_PARTS[unit]:g}" if unit else "give times in seconds",
    )


def _not_one_clock(times: Mapping[str, np.ndarray], what: str) -> LogFormatError:
    """The error that says where the clock was set, or which streams do not share one."""
    expected = "less than a year from the first sample of an episode to its last"
    for name, time in times.items():
        if time[-1] - time[0] >= LONGEST_S:
            row = int(np.argmax(np.diff(time)))
            return LogFormatError(
                f"The times of {name} in {what} are not of one recording.",
                expected=expected,
                found=f"{time[row + 1]:.9g} s at row {row + 1} after {time[row]:.9g} s",
                remedy="cut the recording where its clock was set, or give its times in seconds",
            )
    return LogFormatError(
        f"The streams of {what} are not on one clock.",
        expected=expected,
        found=", ".join(f"{name} from {time[0]:.9g} s to {time[-1]:.9g} s" for name, time in times.items()),
        remedy="give all of them from one time zero, or all since 1970",
    )


def _unix_origin(first: float, what: str, origin_utc: float) -> float:
    if abs(first - origin_utc) > _AGREES_S:
        raise LogFormatError(
            f"The times of {what} count from 1970, and do not begin at its origin_utc.",
            expected=f"a first sample within {_AGREES_S:g} s of {origin_utc:.9f}",
            found=f"{first:.9f}",
            remedy="leave origin_utc out, or give times from time zero",
        )
    return first if math.isnan(origin_utc) else origin_utc
