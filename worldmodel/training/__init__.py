"""Training: settings, deterministic batches, the loop, checkpoints, and runs."""

from worldmodel.training.loading import load
from worldmodel.training.reblend import blend
from worldmodel.training.run import Run, load_run
from worldmodel.training.settings import RunSettings
from worldmodel.training.trainer import train

__all__ = ["Run", "RunSettings", "blend", "load", "load_run", "train"]
