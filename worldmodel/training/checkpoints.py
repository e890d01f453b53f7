"""Checkpoints: whole or not there, so that a killed run resumes from the last one."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
import orbax.checkpoint as ocp

from worldmodel.errors import WorldModelError
from worldmodel.files import DISK_FULL, disk_errors

_ROOM = 1.5  # times the bytes of a tree must be free to save it


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
        """Saves a tree.

        Raises:
            WorldModelError: if the disk is full; what was saved before is kept.
        """
        tree = jax.tree.map(_array, tree)
        with disk_errors(self.folder, "checkpoints that were whole before are kept"):
            self._check_room(sum(leaf.nbytes for leaf in jax.tree.leaves(tree)))
            try:
                self._manager.save(step, args=ocp.args.StandardSave(tree))
                self._manager.wait_until_finished()
            except Exception as error:  # TensorStore has types of its own
                if (failed := _system_error(str(error))) is None:
                    raise
                raise failed from error

    def _check_room(self, size: int) -> None:
        """Looks before Orbax does: a write that fails within it prints more than it says."""
        if shutil.disk_usage(self.folder).free < _ROOM * size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def restore(self, like: Any) -> Any | None:
        """The newest tree, shaped like `like`; None where there is none."""
        step = self._manager.latest_step()
        if step is None:
            return None
        shapes = jax.tree.map(lambda x: ocp.utils.to_shape_dtype_struct(_array(x)), like)
        try:
            tree = self._manager.restore(step, args=ocp.args.StandardRestore(shapes))
            return jax.tree.map(lambda kept, x: x if np.size(x) == 0 else kept, tree, like)
        except Exception as error:  # Orbax and TensorStore have types of their own
            raise WorldModelError(
                f"The checkpoint {self.folder / str(step)} cannot be read.",
                found=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
                remedy="remove its folder to go on from the one before it, or train the run again",
            ) from error

    @property
    def latest(self) -> int | None:
        return self._manager.latest_step()


def _system_error(text: str) -> OSError | None:
    for number in DISK_FULL:
        if os.strerror(number) in text:
            return OSError(number, os.strerror(number))
    return None


def _array(x: Any) -> Any:
    """What Orbax keeps: NumPy's scalars as arrays without axes, and a zero in place of an array of no size."""
    if np.size(x) == 0:
        return np.zeros((), x.dtype)
    return np.asarray(x) if isinstance(x, np.generic) else x
