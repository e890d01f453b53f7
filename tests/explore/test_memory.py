"""What was read of late."""

import numpy as np
import pytest

from worldmodel.explore.memory import Memory
from worldmodel.types import StreamSpec


@pytest.mark.parametrize(("asked", "shown"), [(0, []), (1, [1]), (2, [0, 1]), (3, [0, 1])])
def test_the_newest_frames_are_shown_as_many_as_there_are(asked, shown):
    memory = Memory(
        (StreamSpec("eye", "video", ("red", "green", "blue"), ("",) * 3, 10.0, size=(2, 3)),), 1.0, np.zeros(3)
    )
    for number in range(2):
        memory.take("eye", 0.1 * number, np.full((2, 3, 3), number, np.uint8))
    frames = memory.past(0.0, 0.1, asked)["frames"]["eye"]
    assert [int(each["seen"][0, 0, 0]) for each in frames] == shown
