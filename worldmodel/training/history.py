"""A run's figures over its steps, as JSON lines and for TensorBoard."""

import json
from pathlib import Path
from typing import Any, Self

from worldmodel.files import disk_errors, whole_file

METRICS, TENSORBOARD = "metrics.jsonl", "tensorboard"


class History:
    """Appends to `metrics.jsonl` and to TensorBoard's event files in the run's folder."""

    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter

        self.path = folder / METRICS
        self._events = SummaryWriter(str(folder / TENSORBOARD))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._events.close()

    def rewind(self, step: int) -> None:
        """Forgets what a killed run wrote after its last checkpoint, at `step`."""
        if self.path.exists():
            rows = [row for row in self.path.read_text().splitlines() if _step(row) <= step]
            with whole_file(self.path, force=True) as path:
                path.write_text("".join(f"{row}\n" for row in rows))

    def add(self, step: int, **values: Any) -> None:
        """Writes one row of named numbers."""
        numbers = {name: float(value) for name, value in values.items()}
        with disk_errors(self.path), open(self.path, "a") as file:
            file.write(json.dumps({"step": step, **numbers}) + "\n")
        for name, value in numbers.items():
            self._events.add_scalar(name, value, step)


def _step(row: str) -> float:
    try:
        return json.loads(row)["step"]
    except (ValueError, KeyError):  # the line that was being written when the run was killed
        return float("inf")
