"""Training: deterministic batches, checkpoints, held-out error, and the loop."""

from worldmodel.training.loop import train
from worldmodel.training.run import Run, RunSettings, load_run

__all__ = ["Run", "RunSettings", "load_run", "train"]
