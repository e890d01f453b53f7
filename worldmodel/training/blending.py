"""The experts of a run are weighed, and the network joins them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldmodel.imagine.forecaster import network_ahead
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines import Baselines
from worldmodel.models.experts.closed import closed
from worldmodel.models.experts.left_out import LeftOut
from worldmodel.models.experts.long_run import long_run
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.team import Team
from worldmodel.models.world_model import WorldModel
from worldmodel.training.progress import TrainingProgress
from worldmodel.training.roles import ENOUGH
from worldmodel.training.settings import RunSettings
from worldmodel.training.telling import trusted

_WINDOWS = 256  # of the select episodes that the network is asked for at most


def blended(
    settings: RunSettings,
    baselines: Baselines,
    rich: Sequence[Any],
    left_out: LeftOut,
    reach: Reach,
    select: Windows,
    network: WorldModel | None,
    show: TrainingProgress,
) -> Team:
    """Experts, the network among them, weighed by what they predicted for windows that they had not seen.

    Args:
        settings: of the run.
        baselines: as experts.
        rich: the others.
        left_out: what all these predicted, in this order.
        reach: of what they were trained on.
        select: windows of the select episodes.
        network: trained; None where there is none.
        show: says what is being done, and who is trusted.
    """
    show.say("blending experts")
    experts = (*closed(baselines), *rich)
    far = long_run(experts, baselines.lens, select)
    team = Team.of(baselines.lens, experts, settings.context, settings.horizon, left_out, reach, far)
    for line in trusted(team, left_out):
        show.say(line)
    return team if network is None else _joined_by(network, team, settings, left_out, select)


def _joined_by(network: WorldModel, team: Team, settings: RunSettings, left_out: LeftOut, select: Windows) -> Team:
    """The experts with the network, by its errors on the select episodes.

    Where the others were measured on enough of these that it did not learn from, it is compared with them column by
    column.
    """
    episode = np.asarray(settings.left_out)[left_out.starts[:, 0]]
    unseen = np.setdiff1d(settings.select, settings.learn)
    rows = np.isin(episode, unseen)
    apart = len(np.unique(left_out.groups[rows])) >= ENOUGH
    if apart:
        starts = np.stack([np.searchsorted(settings.select, episode[rows]), left_out.starts[rows, 1]], 1)
    else:
        starts = select.starts().thinned(_WINDOWS)
    context, future = select.cut(starts, select.horizon)
    ahead = network_ahead(network, team.lens, context, future.actions)
    if apart:
        said = np.full(left_out.came.shape, np.nan, ahead.dtype)
        said[rows] = ahead
        return team.reweighed(left_out, said)
    seen = team.lens.seen(context, future)
    held = np.repeat(seen.view.held[:, -1:], select.horizon, 1)
    groups = len(np.unique(starts[:, 0])) if len(unseen) else 0
    return team.with_network(seen.squared_errors(ahead), seen.squared_errors(held), groups)
