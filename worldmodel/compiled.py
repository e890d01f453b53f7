"""Compiled programs: kept on disk, so that a new process does not compile what an earlier one has; where they run."""

import contextlib
import functools
import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

SWITCH = "WORLDMODEL_CACHE"
_MOST_BYTES = 512 << 20  # the least recently used go first; a program of the presets takes 0.1 to 3 MB


@functools.cache
def keep_compiled() -> Path | None:
    """Sets up JAX's persistent compilation cache in the user's cache folder, once a process.

    What was used least recently goes now, if there is too much: JAX's own bound reads the whole folder again with every
    program that it adds, a second each where there are thousands.

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
        _prune(folder)
    except OSError:  # a home that cannot be written: everything works, only later
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a hundred small ones take seconds too
    return folder


def jit_on_processor(function: Callable, **options: Any) -> Callable:
    """`jax.jit` of a program that runs on the processor, whatever accelerator there is besides.

    For one of many small steps, which leave an accelerator idle, and one whose single precision counts: by default a
    GPU rounds what it multiplies to ten bits.
    """
    import jax

    program = jax.jit(function, **options)

    @functools.wraps(function)
    def on_processor(*arguments: Any) -> Any:
        with _processor_of_jax():
            return program(*arguments)

    return on_processor


def _processor_of_jax() -> contextlib.AbstractContextManager:
    import jax

    try:
        return jax.default_device(jax.local_devices(backend="cpu")[0])
    except RuntimeError:  # JAX_PLATFORMS leaves it out
        return contextlib.nullcontext()


def _prune(folder: Path, most: int = _MOST_BYTES) -> None:
    """Removes the files that were used least recently, until what is left has no more bytes than `most`."""
    with os.scandir(folder) as entries:
        files = [(entry.stat(), entry.path) for entry in entries if entry.is_file()]
    kept = 0
    for stat, path in sorted(files, key=lambda file: -max(file[0].st_atime, file[0].st_mtime)):
        kept += stat.st_size
        if kept > most:
            Path(path).unlink(missing_ok=True)


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
