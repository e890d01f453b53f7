"""Fitting a scene: what the machine was is found where its log tells it; what is wrong is said, and nothing written."""

import json

import numpy as np
import pytest

from tests.command_line import run
from tests.simulate.identification import machines
from tests.simulate.scenes import mujoco
from worldmodel.errors import SceneError
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.physics import KnownScene
from worldmodel.simulate import load_scene, simulate
from worldmodel.simulate.identification import identify
from worldmodel.simulate.identification.fitting import Fit
from worldmodel.simulate.identification.identify import _found
from worldmodel.simulate.identification.measuring import errors_of
from worldmodel.simulate.identification.parameters import Parameters
from worldmodel.simulate.identification.roles import motion, roles
from worldmodel.simulate.identification.windows import Recording
from worldmodel.simulate.observer import Observer
from worldmodel.simulate.world import World
from worldmodel.types import Samples

QUICK = {"horizon_s": 0.2, "progress": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("identify")


@pytest.fixture(scope="module")
def log(folder):
    return machines.log(folder)


@pytest.fixture(scope="module")
def rough(folder):
    return machines.scene(folder / "rough")


@pytest.fixture(scope="module")
def fitted(folder, log, rough):
    """Fitted from 40 % wrong masses, without friction or delay."""
    return identify(rough, log, folder / "fitted", **QUICK)


def error_of(scene, log):
    """The error [T] of a scene as it is on all episodes of a log."""
    world = World(load_scene(scene), general=True)
    machine = Parameters.of(world).machine(np.zeros(len(Parameters.of(world))))
    errors = errors_of(
        Observer(world), [Recording.of(world.scene, e) for e in Log(log).episodes], 0.2, machine, machine
    )
    return np.sqrt(np.mean([e**2 for e in errors["after"].values()], 0))


def test_predictions_and_the_delay_come_back(fitted, folder, rough):
    found = {f.name: f for f in fitted.found}
    assert found["torque.delay"].after == pytest.approx(0.008, abs=0.001)
    assert found["torque.delay"].told == "clearly"
    fresh = machines.log(folder, episodes=3, seed=7)
    true, ours, before = (error_of(each, fresh) for each in (folder / "true", fitted.folder, rough))
    assert np.linalg.norm(ours) < 1.1 * np.linalg.norm(true)
    assert (before > 5 * ours).all()


def test_time_ends_the_search_and_leaves_the_windows_as_they_are(fitted, log, rough, folder):
    hurried = identify(rough, log, folder / "hurried", fit=["mass"], minutes=1e-6, **QUICK)
    assert hurried.cut
    assert not fitted.cut
    assert hurried.windows == fitted.windows == fitted.possible
    assert "had not settled" in (hurried.folder / "identified.html").read_text()


def test_what_costs_more_goes_through_fewer_windows_and_that_is_said(rough, log, folder, monkeypatch):
    monkeypatch.setattr("worldmodel.simulate.identification.plan._STEPS", 1)
    monkeypatch.setattr("worldmodel.simulate.identification.plan._PLENTY", 30)
    made = identify(rough, log, folder / "thinned", fit=["mass"], minutes=1e-6, **QUICK)
    assert 20 < made.windows <= 30
    assert made.possible > 60
    assert f"{made.windows} of {made.possible} windows" in (made.folder / "identified.html").read_text()


def test_what_the_log_cannot_tell_stays_and_is_called_so(fitted):
    found = {f.name: f for f in fitted.found}
    for sideways in ("arm.com_y", "arm.inertia"):  # along the axis nothing turns; inertia and masses go together
        assert sideways in found
    untold = found["arm.com_y"]
    assert untold.told.startswith("hardly")
    assert untold.after == pytest.approx(untold.before, abs=1e-6)
    assert untold.std == pytest.approx(
        Parameters.of(World(fitted.scene, general=True), ["arm.com_y"]).free[0].scale, rel=0.01
    )


def test_the_folder_is_a_scene_with_an_account_and_a_page(fitted, folder, log):
    account = json.loads((fitted.folder / "identified.json").read_text())
    names = [p["name"] for p in account["parameters"]]
    assert np.shape(account["covariance"]) == (len(names), len(names))
    assert account["measured"]
    assert not set(account["measured"]) & set(account["fitted"])
    known = dict(zip((e.name for e in Log(log).episodes), Log(log).episode_sha256, strict=True))
    for role in ("fitted", "measured"):
        assert account[f"{role}_sha256"] == [known[name] for name in account[role]]
    text = (fitted.folder / "identified.html").read_text()
    assert "not the true masses" in text
    assert "arm.com_y" in text
    simulate(str(fitted.folder), folder / "again.h5", episodes=1, seconds=0.5, progress=False)


def test_patterns_choose_what_is_fitted(rough):
    world = World(load_scene(rough), general=True)
    names = [p.name for p in Parameters.of(world, ["mass", "pivot.*"]).free]
    assert names == ["arm.mass", "pivot.damping", "pivot.friction", "pivot.armature", "pivot.stiffness"]
    assert [p.name for p in Parameters.of(world, ["mass", "pivot.*"], ["friction", "*.mass"]).free] == names[
        1:2
    ] + names[3:]
    assert not {"motor.gain", "motor.lag", "pivot.stiffness"} & {p.name for p in Parameters.of(world).free}
    with pytest.raises(SceneError, match="nothing called 'weight'"):
        Parameters.of(world, ["weight"])


def test_a_tighter_prior_holds_a_number_nearer_to_where_it_was(rough, log, folder):
    """The arm is 40 % too light, which its file is unsure of or not."""
    off, few = {}, _taken(log, range(3), folder / "few.h5")
    for width in (0.5, 0.005):
        wanted = f'{machines.TOML}\n[identify]\nfit = ["mass", "friction", "damping"] # what else\n'
        wanted += f'[identify.prior]\n"*.mass" = {width}\n'
        given = machines.scene(folder / f"given{width}", toml=wanted)
        made = identify(given, few, folder / f"held{width}", **QUICK)
        assert {f.group for f in made.found} == {"mass", "friction", "damping"}
        off[width] = np.log(made.found[0].after / 0.6)
        assert load_scene(made.folder).wanted == load_scene(given).wanted
        assert '"damping"] # what else' in (made.folder / "scene.toml").read_text()
    assert abs(off[0.005]) < 0.3 * off[0.5]


def test_a_spring_and_a_lag_that_the_scene_lacks_are_found_where_they_are_asked_for(folder):
    """Both from none; the written file has them for MuJoCo alone, and members know the spring in its own unit."""
    spring, lag = 2.0, 0.05
    true = machines.TRUE.replace("<joint ", f'<joint stiffness="{spring}" ')
    true = true.replace("<motor ", f'<general dyntype="filterexact" dynprm="{lag}" ')
    log = simulate(
        str(machines.scene(folder / "sprung", true)), folder / "sprung.h5", episodes=4, seconds=2.0, progress=False
    )
    given = machines.scene(folder / "unsprung", machines.TRUE)
    made = identify(given, log, folder / "found", fit=["stiffness", "lag", "delay"], **QUICK)
    found = {f.name: f for f in made.found}
    assert found["motor.lag"].before == found["pivot.stiffness"].before == 0
    assert found["pivot.stiffness"].after == pytest.approx(spring, rel=0.1)
    assert found["motor.lag"].after == pytest.approx(lag, rel=0.1)
    assert {found[name].told for name in ("motor.lag", "pivot.stiffness")} == {"clearly"}
    assert (made.overall("after") < 0.5 * made.overall("before")).all()
    model = mujoco.MjModel.from_xml_path(str(made.folder / "model.xml"))
    assert model.jnt_stiffness[0] == pytest.approx(found["pivot.stiffness"].after, rel=1e-6)
    assert model.actuator_dynprm[0, 0] == pytest.approx(found["motor.lag"].after, rel=1e-6)
    known = KnownScene.of(made.folder)
    drawn = known.uncertainty.machines(World(known.scene, general=True), 0, 60)
    springs = np.array([machine.model.jnt_stiffness[0] for machine in drawn])
    assert springs.mean() == pytest.approx(found["pivot.stiffness"].after, rel=0.1)
    assert springs.std() == pytest.approx(found["pivot.stiffness"].std, rel=0.4)


def test_one_episode_is_fitted_alone_where_that_is_asked_for(folder, rough):
    one = machines.log(folder, episodes=1, seed=3)
    with pytest.raises(SceneError, match="No episode is left to measure"):
        identify(rough, one, folder / "alone", **QUICK)
    made = identify(rough, one, folder / "alone", fit=["mass", "friction"], holdout=0, **QUICK)
    assert not made.measured
    assert "the very recordings that were fitted" in (made.folder / "identified.html").read_text()


def test_a_number_at_its_bound_or_far_from_the_users_is_marked(rough):
    parameters = Parameters.of(World(load_scene(rough), general=True), ["mass", "damping", "friction"])
    at = {"arm.mass": 11.0, "pivot.damping": float(parameters.least[1]), "pivot.friction": 0.0}
    assert [p.name for p in parameters.free] == list(at)
    result = Fit(np.array(list(at.values())), np.eye(3), np.ones(3), 0)
    assert [f.at_bound for f in _found(parameters, result)] == [True, True, False]  # without friction it began


@pytest.mark.parametrize(("episodes", "holdout"), [(2, 0.8), (5, 0.99), (2, 0.01)])
def test_something_is_fitted_and_something_measures(episodes, holdout, log, folder, rough):
    path = _taken(log, range(episodes), folder / f"{episodes}-{holdout}.h5")
    learn, measure = roles(load_scene(rough), Log(path), holdout, 0)
    assert learn
    assert measure
    assert sorted((*learn, *measure)) == list(range(episodes))


def test_what_moves_most_is_fitted_whatever_the_seed(log, folder, rough):
    path = _taken(log, range(5), folder / "moves.h5", {3: 0.1})
    scene, read = load_scene(rough), Log(path)
    moves = motion(scene, read)
    still = np.array([np.var(e.streams["angle"].data) + np.var(e.streams["speed"].data) for e in read.episodes])
    assert still.argmin() == moves.argmin() == 3
    chosen = {i for seed in range(20) for i in roles(scene, read, 0.15, seed)[1]}
    assert chosen == set(range(5)) - {int(moves.argmax())}


def test_copies_of_one_recording_are_one(log, folder, rough):
    twice = _taken(log, [0, 0], folder / "twice.h5")
    with pytest.raises(SceneError, match="No episode is left to measure"):
        identify(rough, twice, folder / "copies", **QUICK)


def test_a_recording_too_short_to_measure_on_is_refused_before_the_fit(log, folder, rough, monkeypatch):
    row = roles(load_scene(rough), Log(log), 0.15, 0)[1][0]
    short = _taken(log, range(5), folder / "short.h5", {row: 0.2})
    monkeypatch.setattr("worldmodel.simulate.identification.plan.fit", None)
    with pytest.raises(SceneError, match="What only measures is too short"):
        identify(rough, short, folder / "none", **QUICK)


def _taken(log, rows, path, seconds=None):
    """A log of some episodes of another, of which some are cut after so long."""
    read, ends = Log(log), seconds or {}
    with LogWriter(path, list(read.streams.values())) as writer:
        for row in rows:
            end = ends.get(row, 2.0)
            streams = {
                n: Samples(s.time[s.time <= end], s.data[s.time <= end]) for n, s in read.episodes[row].streams.items()
            }
            writer.append(streams, duration_s=end)
    return path


def wrong_stream(text):
    return text.replace("[streams.torque", "[streams.force")


def wrong_unit(text):
    return text.replace('"N*m"', '"mN*m"')


def wanting(table):
    """A file that wants something of `identify`."""
    return lambda text: text + f"\n[identify{table}\n"


def wrong_columns(text):
    return text.replace('sensors = ["jointvel:pivot"]', 'sensors = ["jointvel:pivot"]\ncolumns = ["rate"]')


@pytest.mark.parametrize(
    ("edit", "words", "said"),
    [
        (wrong_stream, (), "no stream 'force'"),
        (wrong_columns, (), "no stream 'speed' of rate"),
        (wrong_unit, (), "other units"),
        (str, ("--fix", "*"), "nothing to fit"),
        (wanting(']\nfit = ["weight"]'), (), "nothing called 'weight'"),
        (wanting("]\nfit = 3"), (), "identify.fit"),
        (wanting(".prior]\nweight = 0.1"), (), "prior of 'weight'"),
        (wanting(".prior]\nmass = -1"), (), "identify.prior.mass"),
        (str, ("--fit", "weight"), "nothing called 'weight'"),
        (str, ("--fit", "arm.com_y"), "tell little"),
        (str, ("--horizon", "0"), "--horizon makes no sense"),
        (str, ("--minutes", "-1"), "--minutes makes no sense"),
        (str, ("--holdout", "1"), "--holdout makes no sense"),
        (str, ("--horizon", "1.9"), "too short"),
    ],
)
def test_bad_input_is_refused_and_nothing_written(edit, words, said, log, tmp_path):
    given = machines.scene(tmp_path / "given", toml=edit(machines.TOML))
    ran = run("identify", given, log, "--out", tmp_path / "out", *words)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["given"]


@pytest.mark.parametrize(
    ("element", "late"),
    [
        ('<motor name="motor"', '<motor name="motor" delay="0.02" nsample="4"'),
        ("</mujoco>", '<sensor><jointpos name="seen" joint="pivot" delay="0.02" nsample="4"/></sensor></mujoco>'),
    ],
    ids=["actuator", "sensor"],
)
def test_a_delay_of_mujocos_own_is_refused(element, late, log, tmp_path):
    settled = machines.TOML.replace("[reset.pivot]", "settle_s = 0.02\n[reset.pivot]")
    given = machines.scene(tmp_path / "given", machines.ROUGH.replace(element, late), toml=settled)
    with pytest.raises(SceneError, match="keeps a history") as caught:
        identify(given, log, tmp_path / "out", **QUICK)
    assert "delay_s = 0.02" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_stream_that_never_moves_is_left_out_of_the_errors(log, folder, recwarn):
    toml = machines.TOML + '\n[streams.base]\nkind = "sensor"\nsensors = ["framepos:arm"]\n'
    toml += 'columns = ["x", "y", "z"]\nunits = "m"\nrate_hz = 100\n'
    still = machines.log(folder / "base", toml=toml)
    made = identify(
        machines.scene(folder / "rough3", toml=toml), still, folder / "moved", fit=["mass"], minutes=1e-6, **QUICK
    )
    assert set(made.errors["after"]) == {"angle", "speed"}
    assert np.isfinite(made.overall("after")).all()
    assert not recwarn.list


def test_what_predicts_no_better_is_not_written(log, folder):
    """The episode that measures is of a machine that is as the user says; those that are fitted are of another."""
    lighter = machines.scene(folder / "lighter", machines.TRUE.replace('mass="1.0"', 'mass="0.7"'))
    other = simulate(str(lighter), folder / "lighter.h5", episodes=5, seconds=2.0, progress=False)
    with pytest.raises(SceneError, match="no better"):
        identify(
            folder / "true", _mixed(lighter, other, log, folder / "mixed.h5"), folder / "worse", fit=["mass"], **QUICK
        )
    assert not (folder / "worse").exists()


def _mixed(scene, most, measured, path):
    """A log of which the episode that measures is from another log."""
    one, other = Log(most), Log(measured)
    row = next(i for i in roles(load_scene(scene), one, 0.15, 0)[1])
    with LogWriter(path, list(one.streams.values())) as writer:
        for index, episode in enumerate(one.episodes):
            taken = other.episodes[index] if index == row else episode
            writer.append({n: Samples(s.time, s.data) for n, s in taken.streams.items()}, duration_s=2.0)
    return path


def test_an_unstable_scene_says_where(log, folder):
    blows_up = machines.ROUGH.replace("<joint ", '<joint stiffness="-1e9" ')
    given = machines.scene(folder / "unstable", blows_up)
    with pytest.raises(SceneError, match="became unstable"):
        identify(given, log, folder / "none", fit=["mass"], **QUICK)
    assert not (folder / "none").exists()


def test_a_log_that_hardly_moves_tells_little(folder, rough):
    still = machines.TOML.replace("[-1.5, 1.5]", "[0.0, 0.0]").replace("[-2.0, 2.0]", "[0.0, 0.0]")
    still = still.replace("2.5", "0.0").replace("noise_std = 0.001", "noise_std = 0.05").replace("0.02\n\n", "1.0\n\n")
    quiet = machines.log(folder / "still", seed=1, toml=still)
    with pytest.raises(SceneError, match="tell little"):
        identify(rough, quiet, folder / "none", fit=["mass", "damping", "armature"], **QUICK)
    assert not (folder / "none").exists()


def test_the_scene_itself_and_others_files_are_not_replaced(log, rough, tmp_path):
    with pytest.raises(Exception, match="is or holds an input"):
        identify(rough, log, rough, force=True, **QUICK)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(Exception, match="holds more than an earlier output"):
        identify(rough, log, tmp_path, force=True, **QUICK)


def test_it_predicts_with_members_as_wide_as_its_numbers_are_unsure(fitted):
    """As `worldmodel.physics` reads what was written: logarithms of factors and values vary as the account says."""
    known = KnownScene.of(fitted.folder)
    world = World(known.scene, general=True)
    drawn = known.uncertainty.machines(world, 0, 60)
    found = {f.name: f for f in fitted.found}
    masses = np.array([machine.model.body_mass[1] for machine in drawn])
    delays = np.array([machine.delay_s["torque"] for machine in drawn])
    for name, values in (("arm.mass", masses), ("torque.delay", delays)):
        assert values.mean() == pytest.approx(found[name].after, abs=found[name].std)
        assert values.std() == pytest.approx(found[name].std, rel=0.5)
