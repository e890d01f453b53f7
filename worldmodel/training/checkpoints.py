"""Checkpoints: whole or not there, so that a killed run resumes from the last one."""

import gc
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
import orbax.checkpoint as ocp

from worldmodel.errors import WorldModelError
from worldmodel.files import DISK_FULL, disk_errors

_QUIET_S, _PATIENCE_S = 0.5, 10.0


class Checkpoints:
    """The newest `keep` checkpoints of a tree of arrays, by step, in a folder. Orbax renames each when it is whole."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder.absolute()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def save(self, step: int, tree: Any) -> None:
        with disk_errors(self.folder, "checkpoints that were whole before are kept"), _Silence() as silence:
            if (failed := self._save(step, tree)) is not None:
                silence.wait()
                raise failed

    def _save(self, step: int, tree: Any) -> OSError | None:
        """Saves; returns the system's error, if that is what went wrong, without the frames that it came through."""
        try:
            self._manager.save(step, args=ocp.args.StandardSave(jax.tree.map(_array, tree)))
            self._manager.wait_until_finished()
        except Exception as error:  # TensorStore has types of its own
            if (failed := _system_error(str(error))) is None:
                raise
            return failed
        return None

    def restore(self, like: Any) -> Any | None:
        """The newest tree, shaped like `like`; None where there is none."""
        step = self._manager.latest_step()
        if step is None:
            return None
        shapes = jax.tree.map(lambda x: ocp.utils.to_shape_dtype_struct(_array(x)), like)
        try:
            return self._manager.restore(step, args=ocp.args.StandardRestore(shapes))
        except Exception as error:  # Orbax and TensorStore have types of their own
            raise WorldModelError(
                f"The checkpoint {self.folder / str(step)} cannot be read.",
                found=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
                remedy="remove its folder to go on from the one before it, or train the run again",
            ) from error

    @property
    def latest(self) -> int | None:
        return self._manager.latest_step()


class _Silence:
    """Hides what a failed save prints beside its error.

    Orbax logs it, and closes its event loop at the first write that fails. Each of the others, which end afterwards in
    threads of TensorStore, then prints a traceback of not having found the loop, or of an error that nobody asked for.
    """

    def __enter__(self) -> Self:
        self._loggers = {logger: logger.level for logger in map(logging.getLogger, ("absl", "asyncio"))}
        for logger in self._loggers:
            logger.setLevel(logging.CRITICAL + 1)
        self._plain, self._heard = sys.unraisablehook, time.monotonic()
        sys.unraisablehook = self._listen
        return self

    def __exit__(self, *_: object) -> None:
        sys.unraisablehook = self._plain
        for logger, level in self._loggers.items():
            logger.setLevel(level)

    def _listen(self, unraisable: "sys.UnraisableHookArgs") -> None:
        if str(unraisable.exc_value) == "Event loop is closed":
            self._heard = time.monotonic()
        else:
            self._plain(unraisable)

    def wait(self) -> None:
        """Until the other writes have been quiet for a while; then lets go of what they left."""
        began = self._heard = time.monotonic()
        while (now := time.monotonic()) - self._heard < _QUIET_S and now - began < _PATIENCE_S:
            time.sleep(0.05)
        gc.collect()


def _system_error(text: str) -> OSError | None:
    for number in DISK_FULL:
        if os.strerror(number) in text:
            return OSError(number, os.strerror(number))
    return None


def _array(x: Any) -> Any:
    """NumPy's scalars as arrays without axes, which Orbax keeps."""
    return np.asarray(x) if isinstance(x, np.generic) else x
