"""What stands beside a scene that was never trained: baselines that a log teaches."""

from worldmodel.foreteller import Foreteller
from worldmodel.logs.reader import Log
from worldmodel.models.baselines import Baselines
from worldmodel.training.data import measure_scaling

_SEED = 0


def baselines_from(asked: Foreteller, log: Log) -> Baselines:
    """Baselines for the streams, context and horizon of a scene, fitted on all episodes of a log.

    Raises:
        WorldModelError: if the log lacks one of the streams, or no episode is long enough.
    """
    windows = asked.windows(log)
    return Baselines.fit(windows, measure_scaling(windows, _SEED), _SEED)
