"""Memory: how much there is, and how the C library's allocator treats what was freed: kept, or given back."""

import contextlib
import ctypes
import platform
import re
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt(3)
_CONTAINER = Path("/sys/fs/cgroup")  # as one sees itself
_LARGE_BYTES = 32 << 20  # larger blocks still go back: they would be kept in pieces, and the process grow


def keep_freed() -> None:
    """Lets this process keep blocks that it frees, for the next ones of their size, from now on.

    A fit frees and takes arrays of megabytes over and over; glibc gives them back each time, and the pages that are
    faulted in again can take a third of the time. For processes that are ours, the command line's and workers': how
    memory is kept in a user's own is the user's affair. Without effect where the C library is another.
    """
    if platform.libc_ver()[0] == "glibc":
        with contextlib.suppress(OSError, AttributeError):  # a static build has no mallopt to be found
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
            mallopt(_TRIM_THRESHOLD, -1)  # never


def available_bytes() -> float:
    """What the system, or the container's share of it, can give without swapping; infinite where neither tells."""
    free = float("inf")
    with contextlib.suppress(OSError):
        if found := re.search(r"MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text()):
            free = int(found[1]) * 1024.0
    return min(free, _left_in(_CONTAINER))


def _left_in(group: Path) -> float:
    """What a control group (version 2) can still take; its cache of files can go."""
    with contextlib.suppress(OSError, ValueError):  # "max" is no number
        most, taken = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        cached = re.findall(r"^(?:in)?active_file (\d+)$", (group / "memory.stat").read_text(), re.M)
        return max(0, most - taken + sum(map(int, cached)))
    return float("inf")
