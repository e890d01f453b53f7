"""What stands beside a scene that was never trained: baselines that a log teaches."""

from collections.abc import Collection

from worldmodel.errors import WorldModelError
from worldmodel.foreteller import Foreteller
from worldmodel.logs.reader import Log
from worldmodel.models.baselines import Baselines
from worldmodel.training.data import measure_scaling

_SEED = 0


def baselines_from(asked: Foreteller, log: Log, measured: Collection[str] = ()) -> Baselines:
    """Baselines for the streams, context and horizon of a scene, fitted on a log.

    Args:
        asked: the scene, on the log that is measured.
        log: what they learn from.
        measured: hashes of episodes that they must not learn from, `Episode.sha256`.

    Raises:
        WorldModelError: if the log lacks one of the streams, no episode is long enough, or all of them are measured.
    """
    learn = [i for i, sha256 in enumerate(log.episode_sha256) if sha256 not in measured]
    if not learn:
        raise WorldModelError(
            f"Baselines would learn from what is measured: every episode of {log.files[0]}.",
            expected="a log with episodes that are not measured",
            remedy="give another log to --learn",
        )
    windows = asked.windows(log, episodes=learn)
    return Baselines.fit(windows, measure_scaling(windows, _SEED), _SEED)
