"""Checkpoints: whole or not there, so that a killed run resumes from the last one."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
import orbax.checkpoint as ocp

from worldmodel.files import DISK_FULL, disk_errors


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
        with disk_errors(self.folder), _plain_errors():
            self._manager.save(step, args=ocp.args.StandardSave(jax.tree.map(_array, tree)))
            self._manager.wait_until_finished()

    def restore(self, like: Any) -> Any | None:
        """The newest tree, shaped like `like`; None where there is none."""
        step = self._manager.latest_step()
        if step is None:
            return None
        shapes = jax.tree.map(lambda x: ocp.utils.to_shape_dtype_struct(_array(x)), like)
        return self._manager.restore(step, args=ocp.args.StandardRestore(shapes))

    @property
    def latest(self) -> int | None:
        return self._manager.latest_step()


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Turns Orbax's report of a write that failed into the system's, without what it would print of it."""
    level = logging.getLogger("absl").level
    logging.getLogger("absl").setLevel(logging.CRITICAL + 1)
    try:
        yield
    except Exception as error:  # TensorStore has types of its own
        if (failed := _system_error(str(error))) is None:
            raise
        raise failed from error
    finally:
        logging.getLogger("absl").setLevel(level)


def _system_error(text: str) -> OSError | None:
    for number in DISK_FULL:
        if os.strerror(number) in text:
            return OSError(number, os.strerror(number))
    return None


def _array(x: Any) -> Any:
    """NumPy's scalars as arrays without axes, which Orbax keeps."""
    return np.asarray(x) if isinstance(x, np.generic) else x
