"""The experts of a run are weighed, and the network joins them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldmodel.imagine.forecaster import network_ahead
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.blend import FLATTERED
from worldmodel.models.experts.closed import closed
from worldmodel.models.experts.evidence import horizons_within
from worldmodel.models.experts.expert import Expert
from worldmodel.models.experts.left_out import LeftOut
from worldmodel.models.experts.long_run import long_run
from worldmodel.models.experts.optimism import corrected, optimism
from worldmodel.models.experts.physics import Physics
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.team import Team
from worldmodel.models.world_model import WorldModel
from worldmodel.physics.uncertainty import Uncertainty
from worldmodel.terminal import counted
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
    left_out = _unflattered(experts, baselines.lens, settings, left_out, show)
    far = long_run(experts, baselines.lens, select)
    team = Team.of(baselines.lens, experts, settings.context, settings.horizon, left_out, reach, far)
    for line in trusted(team, left_out):
        show.say(line)
    return team if network is None else _joined_by(network, team, settings, left_out, select)


def _unflattered(
    experts: Sequence[Expert], lens: Lens, settings: RunSettings, left_out: LeftOut, show: TrainingProgress
) -> LeftOut:
    """Windows in which a scene that was fitted to their episodes errs as much as it would have, had it not been."""
    for number, expert in enumerate(experts):
        if not isinstance(expert, Physics):
            continue
        scene = Uncertainty.of(expert.folder)
        known = np.array([scene.has_fitted(e.name, e.sha256) for e in settings.episodes], bool)
        episode = np.asarray(settings.left_out)[left_out.starts[:, 0]]
        learned = np.isin(left_out.groups, left_out.groups[known[episode]])  # a copy of one was learned from, too
        if not learned.any():
            continue
        stream_of = lens.layout.stream_of[lens.layout.newest]
        told = FLATTERED if scene.optimism is None else scene.optimism
        more = optimism(left_out, number, learned, told, stream_of)
        some, every = len(np.unique(episode[learned])), len(np.unique(episode))
        show.say(
            f"note: the scene was fitted to {some} of {counted(every, 'recording')} that experts are measured on, and "
            f"its errors there count as {_range(np.sqrt(more))} times as large"
            + ("; no other tells how much that flatters it" if some == every else "")
        )
        horizons = horizons_within(settings.context, settings.horizon)
        left_out = corrected(left_out, number, learned, more, horizons, stream_of)
    return left_out


def _range(more: np.ndarray) -> str:
    """From the least to the most, for people."""
    least, most = (f"{x:.2f}" for x in (more.min(), more.max()))
    return least if least == most else f"{least} to {most}"


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
