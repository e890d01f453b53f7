"""Time that fits share: parts of it end with it, and what is left out is said once, wherever it was left out."""

import math

from worldmodel.models.allowance import UNLIMITED, Allowance


def test_a_part_is_no_longer_than_what_is_left():
    whole = Allowance(100)
    assert 9 < whole.part(10).left <= 10
    assert 90 < whole.part(1000).left <= whole.left + 1e-3
    assert whole.part(-1).is_over
    assert Allowance(0).part(10).is_over
    assert not whole.is_over


def test_without_an_end_there_is_always_time():
    assert math.isinf(UNLIMITED.part(UNLIMITED.left / 2).left)
    assert 0 <= UNLIMITED.spent < math.inf


def test_what_is_left_out_of_a_part_is_left_out_of_the_whole_and_said_once():
    said: list[str] = []
    whole = Allowance(100, said.append)
    for part in (whole.part(10), whole.part(20)):
        part.leave_out("the moon")
    assert whole.cut == ["the moon"]
    assert said == ["no time left for the moon"]
