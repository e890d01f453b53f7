"""What a training says before it begins: first of all the tick, and why it is that one."""

import numpy as np
import pytest

from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.training.plan import Options, new_settings
from worldmodel.training.telling import choices
from worldmodel.types import Samples, StreamSpec

LEVEL, PUMP = StreamSpec("level", "sensor", ("h",), ("m",), 1.0), StreamSpec("pump", "action", ("u",), ("V",), 1.0)


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ({LEVEL: 0.25, PUMP: 0.25}, "tick 4 s (actions: pump 0.25 Hz)"),
        ({LEVEL: 1000.0}, "tick 0.008 s (level 1000 Hz)"),
        ({LEVEL: 100.0, PUMP: 50.0}, "tick 0.02 s (actions: pump 50 Hz)"),
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
