"""Words for states, such as those of a gear, in tables: a column each, which is 1 where the word holds."""

import numpy as np
import pytest

from tests.logs.ingest.table_case import HEAD, read, suggested
from worldmodel.logs.ingest import suggest
from worldmodel.logs.ingest.formats.tables.recipe_file import load_recipe

GEARS = ["P"] * 30 + ["R"] * 17 + ["N"] * 5 + ["D"] * 48


def held(words, word):
    return [float(one == word) for one in words]


def test_each_word_of_a_gear_is_a_column(tmp_path):
    rows = [f"{i / 10},{i * i % 7},{gear}" for i, gear in enumerate(GEARS)]
    recording = suggested(tmp_path, "t,speed,gear", rows)
    (spec,) = recording.specs.values()
    assert spec.kind == "sensor"
    assert spec.columns == ("speed", "gear_d", "gear_n", "gear_p", "gear_r")
    data = recording.samples[spec.name].data
    np.testing.assert_array_equal(data[:, 1:], np.transpose([held(GEARS, gear) for gear in "DNPR"]))
    assert any("gear: D, N, P, R are a column each" in note for note in recording.notes)
    assert not any("hold words" in note for note in recording.notes)


def test_what_is_commanded_in_words_is_an_action(tmp_path):
    words = ["FORWARD", "LEFT", "RIGHT", "STOP"] * 25
    rows = [f"{i / 10},{i * i % 7},{word}" for i, word in enumerate(words)]
    recording = suggested(tmp_path, "t,speed,cmd", rows)
    (name,) = (name for name, spec in recording.specs.items() if spec.kind == "action")
    assert recording.specs[name].columns == ("cmd_forward", "cmd_left", "cmd_right", "cmd_stop")
    np.testing.assert_array_equal(recording.samples[name].data[:, 3], held(words, "STOP"))


def test_a_word_that_is_missing_is_nothing(tmp_path):
    words = ["MANUAL", "AUTO", "", "AUTO", "RTL"] * 20
    rows = [f"{i / 10},{i * i % 7},{word}" for i, word in enumerate(words)]
    recording = suggested(tmp_path, "t,speed,flight_mode", rows)
    (spec,) = recording.specs.values()
    known = np.isfinite(recording.samples[spec.name].data[:, spec.columns.index("flight_mode_auto")])
    np.testing.assert_array_equal(known, [word != "" for word in words])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("activity", ["walk", "sit", "run"]),  # what people say of a recording
        ("mode", ["AUTO"]),
        ("status", [f"code {i}" for i in range(9)]),
        ("status", ["all is well", "a text for people that goes on and on"]),
    ],
)
def test_other_words_are_left_out(tmp_path, name, words):
    rows = [f"{i / 10},{i * i % 7},{words[i // 7 % len(words)]}" for i in range(200)]
    recording = suggested(tmp_path, f"t,speed,{name}", rows)
    assert {column for spec in recording.specs.values() for column in spec.columns} == {"speed"}
    assert any(f"hold words are left out: {name}" in note for note in recording.notes)


def test_a_word_that_comes_once_is_none_of_the_columns(tmp_path):
    words = ["P"] * 1200 + ["D"] * 1200 + ["garbled"]
    recording = suggested(tmp_path, "t,speed,gear", [f"{i / 10},{i * i % 7},{word}" for i, word in enumerate(words)])
    (spec,) = recording.specs.values()
    assert spec.columns == ("speed", "gear_d", "gear_p")
    assert recording.samples[spec.name].data[-1].tolist()[1:] == [0, 0]


def test_what_they_are_called_is_no_quantity(tmp_path):
    """Neither a unit, an axis, an angle nor a command."""
    words = ["yaw", "brake", "rate_m", "x"] * 25
    recording = suggested(tmp_path, "t,speed,state", [f"{i / 10},{i * i % 7},{word}" for i, word in enumerate(words)])
    (spec,) = recording.specs.values()
    assert spec.columns == ("speed", "state_brake", "state_rate_m", "state_x", "state_yaw")
    assert (spec.kind, set(spec.units), set(spec.circular)) == ("sensor", {""}, {False})


def test_a_recipe_names_the_words_that_it_reads(tmp_path):
    recipe = '[clock]\ncolumn = "t"\n[streams.s]\nkind = "sensor"\ncolumns = { p = "gear=P" }\nrate_hz = 1\n'
    (recording,) = read(tmp_path, "t,gear,more\n0,P,a\n1,D ,b\n2,,c\n3, P,d\n", recipe)
    np.testing.assert_array_equal(recording.samples["s"].data[:, 0], [1, 0, np.nan, 1])


def test_the_suggested_recipe_can_be_read(tmp_path):
    rows = "".join(f"{i / 10},{i * i % 7},{gear}\n" for i, gear in enumerate(GEARS))
    (tmp_path / "run.csv").write_text(f"t,speed,gear\n{rows}")
    (tmp_path / "recipe.toml").write_text(suggest(tmp_path / "run.csv"))
    assert load_recipe(tmp_path / "recipe.toml").streams[0].sources[1:] == ("gear=D", "gear=N", "gear=P", "gear=R")
    assert HEAD.splitlines()[0] in (tmp_path / "recipe.toml").read_text()
