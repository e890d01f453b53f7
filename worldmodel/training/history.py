"""A run's figures over its steps, as JSON lines and for TensorBoard."""

import json
import math
from pathlib import Path
from typing import Any, Self

from worldmodel.files import disk_errors, whole_file
from worldmodel.training.settings import plain_json

METRICS, TENSORBOARD = "metrics.jsonl", "tensorboard"


class History:
    """Appends to `metrics.jsonl` and to TensorBoard's event files in the run's folder.

    What a killed run wrote after its last checkpoint, at update `step`, is forgotten.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from tensorboardX import SummaryWriter

        self.path = folder / METRICS
        self._forget_after(step)
        self._events = SummaryWriter(str(folder / TENSORBOARD), purge_step=step + 1 if step else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._events.close()

    def add(self, step: int, **values: Any) -> None:
        """Writes one row of named numbers, after `step` updates; what is not finite is null."""
        numbers = {name: float(value) for name, value in values.items()}
        with disk_errors(self.path, "the run's checkpoints are kept"), open(self.path, "a") as file:
            file.write(plain_json({"step": step, **numbers}) + "\n")
        for name, value in numbers.items():
            if math.isfinite(value):  # of others the writer warns on the terminal
                self._events.add_scalar(name, value, step)

    def _forget_after(self, step: int) -> None:
        if self.path.exists():
            rows = [row for row in self.path.read_text(errors="replace").splitlines() if _step(row) <= step]
            with whole_file(self.path, force=True) as path:
                path.write_text("".join(f"{row}\n" for row in rows))


def _step(row: str) -> float:
    try:
        return float(json.loads(row)["step"])
    except (ValueError, KeyError, TypeError):  # the line that was being written when the run was killed
        return float("inf")
