"""The shipped scenes are what their READMEs say."""

import re

import numpy as np
import pytest

from worldmodel.content import content_dir
from worldmodel.logs.ingest import load_recipe
from worldmodel.logs.reader import Log
from worldmodel.simulate import load_scene, shipped_scenes, simulate
from worldmodel.simulate.world import World

ROVER = (content_dir("sim") / "rover" / "README.md").read_text()


def readme(name):
    return (content_dir("sim") / name / "README.md").read_text()


def rows(text):
    """The rows of a README's tables, as lists of cells."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def section(text, title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE).group(1)


def numbers(text):
    """Every number of a cell; a README writes minus as a hyphen."""
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", text)]


def test_every_scene_is_in_the_list():
    listed = {row[0].split("`")[1] for row in rows(readme(".")) if row[0].startswith("[`")}
    assert listed == set(shipped_scenes()) == {"rover", "cartpole", "double_pendulum", "pusher"}


@pytest.mark.parametrize("name", ["cartpole", "double_pendulum", "pusher", "rover"])
def test_every_scene_loads_compiles_and_is_recorded(name, tmp_path):
    scene = load_scene(name)
    assert scene.name == name
    assert scene.description
    World(scene)
    simulate(name, tmp_path / "a.h5", episodes=1, seconds=0.4, seed=11, progress=False)
    log = Log(tmp_path / "a.h5", truth=True)
    assert log.about["scene"] == name
    for stream_name, stream in log.episodes[0].streams.items():
        assert len(stream) or log.streams[stream_name].kind == "gps", stream_name
        assert np.isfinite(stream.data).all()
    assert len(log.episodes[0].truth["gps"] if name == "rover" else log.episodes[0].truth["state"]) > 2


@pytest.mark.parametrize("name", ["cartpole", "double_pendulum", "pusher"])
def test_streams_are_those_of_the_readme(name):
    """Names, kinds, columns, units, rates and noise."""
    table = [row for row in rows(readme(name)) if row[0].startswith("`")]
    streams = load_scene(name).streams
    assert [row[0].split("`")[1] for row in table] == [stream.spec.name for stream in streams]
    for (label, columns, rate, noise), stream in zip(table, streams, strict=True):
        assert ("(action)" in label) == (stream.spec.kind == "action")
        named = re.sub(r"\([^)]*\)", "", columns).replace(",", " ").split()
        assert tuple(named) == stream.spec.columns
        units = [unit.split(",")[0].replace(" m", "*m") for unit in re.findall(r"\(([^)]*)\)", columns)]
        assert tuple(units * (len(named) // len(units))) == stream.spec.units
        assert numbers(rate) == [stream.spec.rate_hz]
        declared = numbers(noise.replace("m/s", "").replace("rad/s", "")) or [0.0]
        np.testing.assert_allclose(stream.noise_std, np.broadcast_to(declared, len(named)))


def test_the_rover_has_every_kind_of_stream_at_the_promised_rates():
    streams = {stream.spec.name: stream for stream in load_scene("rover").streams}
    kinds = {name: (stream.spec.kind, stream.spec.rate_hz) for name, stream in streams.items()}
    assert kinds == {
        "camera": ("video", 10),
        "accelerometer": ("sensor", 100),
        "gyro": ("sensor", 100),
        "wheels": ("sensor", 50),
        "gps": ("gps", 5),
        "drive": ("action", 20),
    }
    assert streams["camera"].spec.size == (64, 64)
    assert streams["gps"].outages.seconds[0] >= 1
    assert (streams["gps"].noise_std >= 0.5).all()


def test_the_rovers_readme_names_what_the_model_has():
    model = World(load_scene("rover")).model
    for title, kind in (("Sensors", "sensor"), ("Actuators", "actuator"), ("Joints", "joint")):
        names = [name for row in rows(section(ROVER, title)) for name in re.findall(r"`(\w+)`", row[0])]
        names = [name for name in names if name != "front"]  # the camera has a table below the sensors'
        assert names
        for name in names:
            getattr(model, kind)(name)
    counts = numbers(re.search(r"The state has (.*)", ROVER).group(1))
    assert counts == [model.nq, model.nv, model.na]
    assert f"The step is {model.opt.timestep * 1000:g} ms" in ROVER


def test_the_rovers_readme_gives_the_ranges_of_its_actuators():
    model = World(load_scene("rover")).model
    for name, span, _ in (row for row in rows(section(ROVER, "Actuators")) if row[0].startswith("`")):
        assert numbers(span) == pytest.approx(model.actuator(name.strip("`")).ctrlrange.tolist()), name


def test_the_rovers_random_driving_uses_the_declared_range(tmp_path):
    scene = load_scene("rover")
    simulate("rover", tmp_path / "a.h5", episodes=4, seconds=30.0, seed=0, progress=False)
    log = Log(tmp_path / "a.h5", truth=True)
    driven = np.concatenate([episode.streams["drive"].data for episode in log.episodes])
    (drive,) = scene.actions
    low, high = drive.excitation.low, drive.excitation.high
    assert (driven >= low - 1e-6).all()
    assert (driven <= high + 1e-6).all()
    counts = [
        np.histogram(column, 10, span)[0] for column, span in zip(driven.T, zip(low, high, strict=True), strict=True)
    ]
    assert np.min(counts) > 0.02 * len(driven), "every tenth of either range is driven"
    for index, name in enumerate(drive.spec.columns):
        allowed = World(scene).model.actuator(name).ctrlrange
        assert allowed[0] <= low[index] < high[index] <= allowed[1], "MuJoCo would clip the rest"


@pytest.mark.parametrize("name", ["cartpole", "pusher"])
def test_noise_is_two_percent_of_each_readings_deviation(name, tmp_path):
    """Over 40 episodes of 20 s, whose deviations are uncertain by a few percent; a tenth is allowed."""
    scene = load_scene(name)
    simulate(name, tmp_path / "a.h5", episodes=40, seconds=20.0, seed=1234, progress=False)
    log = Log(tmp_path / "a.h5", truth=True)
    for stream in scene.streams:
        if stream.spec.kind == "sensor":
            readings = np.concatenate([episode.truth[stream.spec.name].data for episode in log.episodes])
            np.testing.assert_allclose(stream.noise_std, 0.02 * readings.std(0), rtol=0.1, err_msg=stream.spec.name)


def test_the_double_pendulum_is_the_recipes_twin():
    recipe = load_recipe("double_pendulum")
    assert recipe.twin == "double_pendulum"

    def shape(spec):
        return spec.name, spec.kind, spec.columns, spec.units, spec.rate_hz, spec.circular, spec.frame

    ours = [shape(stream.spec) for stream in load_scene(recipe.twin).streams]
    assert ours == [shape(stream.spec) for stream in recipe.streams]


def test_the_pushers_puck_moves_as_the_dish_says_until_the_arm_touches_it(tmp_path):
    """A damped oscillator between contacts, whose closed form is known, and another way where the arm has pushed it."""
    simulate("pusher", tmp_path / "a.h5", episodes=6, seconds=10.0, seed=3, progress=False)
    model = World(load_scene("pusher")).model
    mass, joint = model.body("puck").mass[0], model.joint("puck_x")
    decay = joint.damping[0] / (2 * mass)
    speed = np.sqrt(joint.stiffness[0] / mass - decay**2)
    ahead_s, free, pushed = 0.2, 0, 0
    for episode in Log(tmp_path / "a.h5", truth=True).episodes:
        time, data = episode.truth["puck"].time, episode.truth["puck"].data.astype(float)
        later = round(ahead_s / (time[1] - time[0]))
        place, velocity = data[:-later, :2], data[:-later, 2:]
        sine = (velocity + decay * place) / speed
        expected = np.exp(-decay * ahead_s) * (place * np.cos(speed * ahead_s) + sine * np.sin(speed * ahead_s))
        off = np.abs(data[later:, :2] - expected).max(1)
        free, pushed = free + np.count_nonzero(off < 1e-3), pushed + np.count_nonzero(off > 5e-3)
    assert free > 0.3 * (free + pushed)
    assert pushed > 0.1 * (free + pushed)
