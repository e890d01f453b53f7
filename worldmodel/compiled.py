"""Compiled programs kept on disk, so that a new process does not compile what an earlier one has."""

import functools
import hashlib
import os
import platform
from pathlib import Path

SWITCH = "WORLDMODEL_CACHE"
_MOST_BYTES = 512 << 20  # the least recently used go first; a program of the presets takes 0.1 to 3 MB


@functools.cache
def keep_compiled() -> Path | None:
    """Sets up JAX's persistent compilation cache in the user's cache folder, once a process.

    `WORLDMODEL_CACHE=off` switches it off. A folder that JAX was given already (`JAX_COMPILATION_CACHE_DIR`) stays.

    Returns:
        The folder, or None where this function has set none.
    """
    import jax

    if os.environ.get(SWITCH, "").lower() == "off" or jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        return None
    folder = _cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that cannot be written: everything works, only later
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _MOST_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a hundred small ones take seconds too
    return folder


def _cache_folder() -> Path:
    """Where programs for this kind of processor are kept: one home may be shared by machines of several kinds."""
    import platformdirs

    return platformdirs.user_cache_path("worldmodel") / "compiled" / _processor()


def _processor() -> str:
    """A short name for what the processor can do: JAX's own key does not hold it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        able = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        able = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(able.encode()).hexdigest()[:8]}"
