"""run.json: valid JSON of a version, read by this release and by later ones."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.oscillator import write_log
from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.models.config import ResidualConfig, RSSMConfig
from worldmodel.training.config import PRESETS
from worldmodel.training.folder import RunFolder
from worldmodel.training.plan import Options, new_settings
from worldmodel.training.roles import LEARN
from worldmodel.training.settings import RunSettings
from worldmodel.types import Samples, StreamSpec

STORED = Path(__file__).parent / "run_version_1.json"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 4, 1.0))


def read(text: str) -> RunSettings:
    return RunSettings.from_json(text, Path("run.json"))


@pytest.mark.parametrize("dynamics", ["residual", "rssm"])
def test_what_is_written_is_read_back(log, dynamics):
    settings = new_settings(log, log.files, Options(dynamics=dynamics, weights=[2.0]), steps=7)
    again = read(settings.to_json())
    assert again.model == settings.model == PRESETS["small"][dynamics][0]
    assert again.to_json() == settings.to_json()
    for name in ("horizon", "episodes", "train", "weights", "logs", "steps", "minutes", "about", "layout"):
        one, two = getattr(again, name), getattr(settings, name)
        assert str(one) == str(two)  # noise that is not known is NaN, which equals nothing


@pytest.fixture
def jittered(tmp_path):
    """A log whose stamps lie up to a fifth of their interval late."""
    time = np.arange(120) + np.random.default_rng(0).uniform(0, 0.2, 120)
    spec = StreamSpec("level", "sensor", ("h",), ("m",), 1.0)
    with LogWriter(tmp_path / "jittered.h5", [spec]) as writer:
        for i in range(3):
            writer.append({"level": Samples(time - time[0], np.full((120, 1), i, float))})
    return Log(tmp_path / "jittered.h5")


def test_where_ticks_lie_between_samples_is_kept(jittered):
    settings = new_settings(jittered, jittered.files, Options(context=10.0, horizon=10.0))
    assert 0 < settings.phase_s < 0.5
    assert read(settings.to_json()).layout == settings.layout
    assert settings.layout.phase_s == settings.phase_s
    older = {k: v for k, v in json.loads(settings.to_json()).items() if k != "phase_s"}
    assert read(json.dumps(older)).layout.phase_s == 0.0
    with pytest.raises(ValueError, match="phase_s"):
        read(json.dumps(older | {"phase_s": 1.0}))


def test_an_episode_counts_as_one_if_a_window_fits_beside_the_phase(jittered):
    fit = new_settings(jittered, jittered.files, Options(context=60.0, horizon=60.0)).episodes
    assert {role for episode in fit for role in episode.roles} == {LEARN}  # 119 s and the phase are too long
    short = new_settings(jittered, jittered.files, Options(context=60.0, horizon=58.0)).episodes
    assert {role for episode in short for role in episode.roles} > {LEARN}


def test_what_is_not_known_is_null_and_not_nan(log):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    text = new_settings(log, log.files, Options()).to_json()
    raw = json.loads(text, parse_constant=refuse)
    assert (raw["format"], raw["version"]) == ("worldmodel-run", 1)
    assert raw["streams"][0]["noise_std"] == [None] * 3
    assert math.isnan(read(text).streams[0].noise_std[0])


def test_a_stored_run_of_version_1_is_read():
    """With keys that this release does not know, at every depth, and without some that have a default."""
    settings = read(STORED.read_text())
    assert settings.model == ResidualConfig(width=32, hidden=8, noise=4, video_width=8)
    assert (settings.dt, settings.context, settings.horizon, settings.steps) == (0.02, 20, 20, 40)
    assert [spec.name for spec in settings.streams] == ["cart", "push"]
    assert settings.streams[0].noise_std[0] == 0.002
    assert math.isnan(settings.streams[1].noise_std[0])
    assert (settings.learn, settings.select, settings.measure) == ([0, 3], [1], [2])
    assert settings.train.curriculum == ((0.0, 0.5), (0.5, 1.0))
    assert settings.lengthened_at == ()
    assert settings.shared_roles == ""


def test_a_family_is_found_by_its_name():
    raw = json.loads(STORED.read_text())
    raw["model"] = {"family": "rssm", "width": 16, "stochastic": 4, "later": 1}
    assert read(json.dumps(raw)).model == RSSMConfig(width=16, stochastic=4)


@pytest.mark.parametrize("change", [{"version": 2}, {"format": "other"}, {"format": None, "version": None}])
def test_another_format_or_version_is_refused_and_named(change, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({**json.loads(STORED.read_text()), **change}))
    with pytest.raises(WorldModelError, match=r"another release[\s\S]*version 1[\s\S]*do:"):
        RunFolder(tmp_path).read_settings()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dt": 0}, "dt has no sense"),
        ({"horizon": 0}, "horizon has no sense"),
        ({"minutes": 3}, "steps has no sense"),
        ({"model": {"family": "lstm"}}, "lstm"),
        ({"episodes": None}, "cannot be read"),
    ],
)
def test_damage_is_named(change, says, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({**json.loads(STORED.read_text()), **change}))
    with pytest.raises(WorldModelError, match=rf"run.json cannot be read[\s\S]*{says}|{says}"):
        RunFolder(tmp_path).read_settings()


def test_a_log_needs_a_weight_each(log):
    for weights in ([1.0, 2.0], [0.0], [float("nan")]):
        with pytest.raises(WorldModelError, match="how often each log is drawn"):
            new_settings(log, log.files, Options(weights=weights))


def test_which_log_an_episode_is_of(log, tmp_path):
    other = write_log(tmp_path / "b.h5", 2, 1.0, seed=9)
    both = Log([log.files[0], other])
    settings = new_settings(both, [log.files[0], other], Options())
    assert [e.log for e in settings.episodes] == [0, 0, 0, 0, 1, 1]


def test_settings_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        read(STORED.read_text()).dt = 1.0


def test_minutes_are_shared_by_experts_and_the_network(log):
    by_minutes = new_settings(log, log.files, Options(network=True), minutes=4)
    assert (by_minutes.experts_s, by_minutes.network_minutes) == (120, 4)
    assert dataclasses.replace(by_minutes, began_s=90.0).network_minutes == 2.5
    assert dataclasses.replace(by_minutes, began_s=300.0).network_minutes == 2  # which is never without any
    alone = new_settings(log, log.files, Options(network=False), minutes=4)
    assert alone.experts_s == 240
    by_steps = new_settings(log, log.files, Options(), steps=7)
    assert (by_steps.experts_s, by_steps.network_minutes) == (math.inf, None)


def test_what_there_was_no_time_for_is_kept(log):
    settings = dataclasses.replace(
        new_settings(log, log.files, Options(), minutes=4), began_s=12.5, cut=("the moon", "the sun")
    )
    assert (read(settings.to_json()).began_s, read(settings.to_json()).cut) == (12.5, ("the moon", "the sun"))
