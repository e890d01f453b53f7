"""Learn a world model from a machine's own recordings, imagine what its sensors read next, measure how far to trust it.

    import worldmodel as wm

    wm.simulate("cartpole", "train.h5", episodes=40)     # or wm.ingest(["drive.mp4"], "train.h5")
    log = wm.Log("train.h5")
    run = wm.train(["train.h5"], "runs/cartpole", minutes=2)     # later: wm.load("runs/cartpole")
    future = run.imagine(log, episode=0, at_s=5.0)
    result = wm.validate("runs/cartpole", log="held_out.h5")

Each name is imported when it is first used, so that `import worldmodel` alone takes no time. `wm.simulate` and
`wm.validate` are functions, though sub-packages have these names too; they have what is in those, so that both
`from worldmodel.validate import metrics` and `import worldmodel.validate.metrics as metrics` work.
"""

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from worldmodel.version import __version__

# jaxlib 0.10.1 prints two errors for each compiled program that it reads from the cache, of features of the processor
# that wrote it, which is this one. What goes wrong is raised.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if TYPE_CHECKING:
    from worldmodel.errors import WorldModelError
    from worldmodel.imagine import Trajectory
    from worldmodel.logs import Log, LogWriter
    from worldmodel.logs.ingest import ingest
    from worldmodel.report import summary_table, write_report
    from worldmodel.simulate import simulate
    from worldmodel.simulate.identification import identify
    from worldmodel.training import Run, blend, load, train
    from worldmodel.types import Samples, StreamSpec
    from worldmodel.validate import Result, validate

_HOMES = {
    "Log": "worldmodel.logs",
    "LogWriter": "worldmodel.logs",
    "Result": "worldmodel.validate",
    "Run": "worldmodel.training",
    "Samples": "worldmodel.types",
    "StreamSpec": "worldmodel.types",
    "Trajectory": "worldmodel.imagine",
    "WorldModelError": "worldmodel.errors",
    "blend": "worldmodel.training",
    "identify": "worldmodel.simulate.identification",
    "ingest": "worldmodel.logs.ingest",
    "load": "worldmodel.training",
    "simulate": "worldmodel.simulate",
    "summary_table": "worldmodel.report",
    "train": "worldmodel.training",
    "validate": "worldmodel.validate",
    "write_report": "worldmodel.report",
}

__all__ = [
    "Log", "LogWriter", "Result", "Run", "Samples", "StreamSpec", "Trajectory", "WorldModelError", "__version__",
    "blend", "identify", "ingest", "load", "simulate", "summary_table", "train", "validate", "write_report",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(_HOMES[name])
    found: Any = getattr(home, name)
    if home.__name__ == f"{__name__}.{name}":
        found.__dict__ = vars(home)  # `import worldmodel.validate.metrics as metrics` looks for it in the function
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Front(ModuleType):
    """This module, on which importing `worldmodel.simulate` does not put the sub-package in the function's place."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Front
