"""What a training says before it begins: first of all the tick, and why it is that one."""

import dataclasses
import io
import re
from typing import NamedTuple

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.left_out import LeftOut
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.team import Team
from worldmodel.training import progress
from worldmodel.training.plan import Options, new_settings
from worldmodel.training.telling import choices, trusted
from worldmodel.types import Samples, StreamSpec

LEVEL, PUMP = StreamSpec("level", "sensor", ("h",), ("m",), 1.0), StreamSpec("pump", "action", ("u",), ("V",), 1.0)


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ({LEVEL: 0.25, PUMP: 0.25}, "a tick is 4 s (actions: pump 0.25 Hz)"),
        ({LEVEL: 1000.0}, "a tick is 0.008 s (level 1000 Hz)"),
        ({LEVEL: 100.0, PUMP: 50.0}, "a tick is 0.02 s (actions: pump 50 Hz)"),
    ],
)
def test_the_tick_that_was_chosen_is_said_with_the_rates_it_follows(tmp_path, specs, said):
    streams = {StreamSpec(s.name, s.kind, s.columns, s.units, rate): rate for s, rate in specs.items()}
    with LogWriter(tmp_path / "a.h5", list(streams)) as writer:
        writer.append({s.name: Samples(np.arange(200) / rate, np.zeros((200, 1))) for s, rate in streams.items()})
    log = Log(tmp_path / "a.h5")
    first, *others = choices(new_settings(log, [log.files[0]], Options()), log)
    assert first == said
    assert any("network" in line for line in others)


def test_where_ticks_lie_is_said_in_the_same_line(tmp_path):
    time = np.arange(200) + 0.1 * np.sin(np.arange(200))
    with LogWriter(tmp_path / "a.h5", [LEVEL]) as writer:
        writer.append({"level": Samples(time - time[0], np.zeros((200, 1)))})
    log = Log(tmp_path / "a.h5")
    settings = new_settings(log, [log.files[0]], Options())
    first, *others = choices(settings, log)
    later = f"the first {settings.phase_s:g} s after the first sample, so that fewer are empty"
    assert first == f"a tick is 1 s (level 1 Hz), {later}"
    assert len(others) == len([*choices(dataclasses.replace(settings, phase_s=0.0), log)]) - 1


@pytest.mark.parametrize(("context", "said"), [(None, ["level (1 s) comes"]), (1.5, [])])
def test_a_sensor_that_comes_more_rarely_than_is_seen_is_said(tmp_path, context, said):
    """As a temperature each second beside a motor at 100 Hz, of which 0.64 s are seen."""
    pump = dataclasses.replace(PUMP, rate_hz=100.0)
    with LogWriter(tmp_path / "a.h5", [LEVEL, pump]) as writer:
        writer.append(
            {
                "level": Samples(np.arange(20.0), np.zeros((20, 1))),
                "pump": Samples(np.arange(2000) / 100, np.zeros((2000, 1))),
            }
        )
    log = Log(tmp_path / "a.h5")
    every = choices(new_settings(log, [log.files[0]], Options(context=context)), log)
    told = [line for line in every if "more rarely" in line]
    assert [line.removeprefix("note: ").split(" more")[0] for line in told] == said
    assert all("one reading of it is known at many moments: --context 1.5 shows more" in line for line in told)


@pytest.mark.parametrize(("count", "kept"), [(1, False), (2, False), (3, True)])
def test_what_is_kept_for_validate_is_said(tmp_path, count, kept):
    with LogWriter(tmp_path / "a.h5", [LEVEL]) as writer:
        for i in range(count):
            writer.append({"level": Samples(np.arange(200.0), np.full((200, 1), i))})
    log = Log(tmp_path / "a.h5")
    every = choices(new_settings(log, [log.files[0]], Options()), log)
    (said,) = [line for line in every if line.startswith(f"{count} episode")]
    assert said.endswith(", which only validate looks at") == kept


def test_the_table_of_experts_has_room_in_80_columns():
    """Errors of experts that diverge, too."""
    from worldmodel.training.telling import _figure, _figure_s, _row

    assert [_figure_s(seconds) for seconds in (0.0125, 60.0, 3840.0)] == ["0.0125", "60", "3840"]
    cells = [f"{_figure(error)}{' 100%'}" for error in (0.001, 9.9999, 99.99, 12345.6, 1e30)]
    row = _row("dead_reckoning", cells)
    assert len(row) < 80
    assert len(row.split()) == 1 + 2 * len(cells)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_bar_and_its_times_stay_whatever_the_words_beside_them(width, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=shown, width=width, force_terminal=True))
    with progress.TrainingProgress(True) as show:
        show.doing("measuring experts on what they do not learn from, 1 of 5")
        show.trained(0.5, "35.3 steps/s, horizon 10 ticks, loss 0.2447, best select NRMSE 0.567")
    lines = [line for line in Text.from_ansi(shown.getvalue()).plain.splitlines() if line.strip()]
    assert max(map(len, lines)) <= width
    assert re.search(r"━{5,}.* 50 % \d:\d\d:\d\d \S+:\S\S", lines[-1])
    assert "35.3 s" in lines[-1]


class Named(NamedTuple):
    name: str

    def predict(self, view):
        raise AssertionError("what it said is given")


def test_experts_are_told_of_windows_that_all_were_asked_of(tmp_path):
    """One that is better than another, and that there was time to ask of a fifth, is trusted with nearly all."""
    layout, rng = TickLayout(1.0, (LEVEL,)), np.random.default_rng(0)
    lens = Lens(layout, *(f(n) for n in (1, 0) for f in (np.zeros, np.ones)))
    came = rng.normal(size=(50, 4, 1))
    ahead = np.stack([came + 0.5 * rng.normal(size=came.shape), came + 0.01 * rng.normal(size=came.shape)])
    ahead[1, 10:] = np.nan
    groups = np.arange(50) // 5
    left_out = LeftOut(
        np.stack([groups, groups], 1), groups, came, np.ones(came.shape, bool), np.zeros((50, 4, 1)),
        np.zeros((50, 4, 0)), np.zeros((50, 1)), ahead, np.ones((2, 50, 3, 1)),
    )  # fmt: skip
    experts = tuple(Named(name) for name in ("linear", "mechanics"))
    team = Team.of(lens, experts, 8, 4, left_out, Reach.of(came, left_out.led))
    *_, mechanics, blend = trusted(team, left_out)
    assert all(float(share.rstrip("%")) > 95 for share in mechanics.split()[2::2])
    assert all(float(error) < 0.05 for error in blend.split()[1:])
    assert len(left_out.of_all().starts) == 10
    ahead[1, 3] = np.nan  # of this window it says nothing
    assert len(left_out._replace(ahead=ahead).of_all().starts) == 10
    alone = left_out._replace(ahead=ahead[:1])
    assert len(alone.of_all().starts) == 50
