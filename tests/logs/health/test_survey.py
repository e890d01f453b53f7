"""Whole logs: recordings beside each other, what is usable at a tick, and the page."""

import io
import re
from html import unescape

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.logs.health.build import action, noise, record, sensor
from worldmodel.cli import app
from worldmodel.errors import WorldModelError
from worldmodel.logs import Log, LogWriter
from worldmodel.logs.health import copies
from worldmodel.logs.health.copies import compared
from worldmodel.logs.health.examination import findings
from worldmodel.logs.health.page import page, write_page
from worldmodel.logs.health.survey import survey
from worldmodel.logs.health.terminal import print_health
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.joining import as_recording
from worldmodel.logs.reader import opened
from worldmodel.types import Samples

IMU, MOTOR = sensor("imu", "xy", ["m/s^2"] * 2, 10.0), action("motor", ["u", "v"], rate_hz=10.0)
TIME = np.arange(400) / 10


def write(path, *episodes, about=None):
    """A log of episodes ({stream: (time, data)}, name)."""
    with LogWriter(path, (IMU, MOTOR), about=about) as log:
        for streams, name in episodes:
            made = record(*((spec, *streams[spec.name]) for spec in (IMU, MOTOR) if spec.name in streams))
            log.append(made.samples, name=name)
    return path


def drive(seed, scale=1.0, time=TIME):
    values = np.round(noise(len(time), 4, seed), 5)
    return {"imu": (time, values[:, :2]), "motor": (time, scale * values[:, 2:])}


def test_recordings_that_are_the_same_are_found_within_and_across_logs(tmp_path):
    first = write(tmp_path / "a.h5", (drive(0), "a"), (drive(1), "b"))
    other = write(tmp_path / "b.h5", (drive(1), "again"))
    assert compared(opened([first])) == []
    (finding,) = compared(opened([first, other]))
    assert (finding.check, finding.episode) == ("copies: whole", "b")
    assert "again" in finding.text


def test_a_stretch_that_two_recordings_share_is_found_with_its_rows_and_also_where_digits_were_cut(tmp_path):
    long, part = drive(0, time=np.arange(3000) / 10), drive(1, time=np.arange(3000) / 10)
    part["imu"][1][500:2500] = np.float32(long["imu"][1][800:2800]) * (1 + 1e-7)
    (finding,) = compared(opened([write(tmp_path / "a.h5", (long, "long"), (part, "part"))]))
    first, last, there, _ = map(int, re.findall(r"\d+", finding.text))
    assert (finding.check, finding.episode, there - first) == ("copies: stretch", "long", -300)
    assert 800 <= first < 1000
    assert 2600 < last <= 2800


@pytest.mark.parametrize("pending", [0, 1 << 24], ids=["one by one", "together"])
def test_what_is_gathered_while_a_log_is_written_is_what_is_read_off_it(tmp_path, monkeypatch, pending):
    monkeypatch.setattr("worldmodel.logs.writer._PENDING_BYTES", pending)
    monkeypatch.setattr(copies, "_BLOCK_ROWS", 500)
    gathering = copies.Gathering()
    with LogWriter(tmp_path / "a.h5", (IMU, MOTOR), seen=gathering.take) as log:
        for seed, count in enumerate((3000, 10, 64, 0, 700, 31, 5000)):
            made = drive(seed, time=np.arange(max(count, 1)) / 10)
            given = {"imu": made["imu"]} if count else {"motor": made["motor"]}
            log.append({name: Samples(*each) for name, each in given.items()}, name=str(seed))
    (gathered,) = gathering.done().values()
    with Log(tmp_path / "a.h5") as log:
        (stream,), places = log.by_file("imu")
        read = copies._gathered(stream, np.diff(np.append(places[:, 1], len(stream))))
    assert len(read.hashes) > 200
    for one, other in zip(gathered, read, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("workers", [1, 2])
def test_logs_that_were_just_written_are_not_read_again_to_be_compared(tmp_path, monkeypatch, workers):
    for i in range(2):
        rows = "".join(f"{t:.2f},{x},{y}\n" for t, (x, y) in zip(TIME, noise(len(TIME), 2), strict=True))
        (tmp_path / f"{i}.csv").write_text(f"t,x,y\n{rows}{40 + i},{i},0\n")
    monkeypatch.setattr(copies, "_gathered", None)
    report = ingest([tmp_path / "0.csv", tmp_path / "1.csv"], tmp_path / "log.h5", workers=workers, progress=False)
    assert [finding.check for finding in report.findings] == ["copies: stretch"]


def test_of_very_many_episodes_a_part_is_looked_at_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("worldmodel.logs.health.survey.MOST_EPISODES", 4)
    with Log(write(tmp_path / "a.h5", *((drive(i), str(i)) for i in range(10)))) as log:
        health = survey(log)
        assert list(health.looked) == [0, 3, 6, 9]
        assert health.ticks.shape == (4,)
        assert "rests on 4 of 10 episodes" in health.verdict
        page(health)


def test_what_stands_still_or_comes_back_by_chance_is_no_copy(tmp_path):
    coarse = [np.round(3 * np.sin(np.arange(3000) / 40 + phase))[:, None] * [1, 1] for phase in (0, 0.3)]
    episodes = [({"imu": (np.arange(3000) / 10, data)}, str(i)) for i, data in enumerate(coarse)]
    assert compared(opened([write(tmp_path / "a.h5", *episodes)])) == []


def test_a_command_far_beyond_those_of_the_other_episodes_is_found(tmp_path):
    episodes = [(drive(i), f"e{i}") for i in range(6)] + [(drive(9, scale=20.0), "odd")]
    (finding,) = compared(opened([write(tmp_path / "a.h5", *episodes)]))
    assert (finding.check, finding.stream, finding.episode) == ("commands: unlike others", "motor", "odd")
    assert "at most in others" in finding.text


def test_usable_ticks_and_covered_commands_are_counted(tmp_path):
    late = drive(0)
    late["motor"] = (TIME[100:], np.column_stack([np.repeat([0.0, 1.0], 150), np.zeros(300)]))
    late["imu"] = (TIME[::2], late["imu"][1][::2])
    health = survey(Log(write(tmp_path / "a.h5", (late, "late"))), dt=0.1)
    np.testing.assert_array_equal(health.ticks, [400])
    np.testing.assert_array_equal(health.filled, [[200, 300]])
    moved, still = health.coverage
    assert (moved.low, moved.high, moved.filled) == (0.0, 1.0, 2 / 20)
    assert (still.low, still.high) == (0.0, 0.0)
    assert health.independent == (pytest.approx(1.0), 1)


def test_columns_that_move_as_one_are_one_direction(tmp_path):
    both = drive(0)
    both["motor"] = (TIME, np.column_stack([noise(400)[:, 0], -2 * noise(400)[:, 0]]))
    ratio, columns = survey(Log(write(tmp_path / "a.h5", (both, "a")))).independent
    assert (ratio, columns) == (pytest.approx(1.0, abs=1e-6), 2)
    ratio, columns = survey(Log(write(tmp_path / "b.h5", (drive(3), "a")))).independent
    assert (ratio, columns) == (pytest.approx(2.0, abs=0.05), 2)


def test_samples_astride_the_ends_of_ticks_are_told(tmp_path):
    shaken = TIME + 0.02 * np.sin(np.arange(400))
    log = Log(write(tmp_path / "a.h5", (drive(0, time=shaken - shaken[0]), "a")))
    health = survey(log, dt=0.1)  # whose ticks begin a little later
    assert [f for f in health.found if f.check == "usable: astride"] == []
    assert health.filled[0, 0] == health.ticks[0]
    shaken = TIME + 0.08 * np.sin(np.arange(400))  # in no phase of ticks
    log = Log(write(tmp_path / "c.h5", (drive(0, time=shaken - shaken[0]), "a")))
    (finding,) = [f for f in survey(log, dt=0.1).found if f.check == "usable: astride"]
    assert "a tick of 0.1 s" in finding.text
    better = float(re.search(r"--dt ([\d.]+)", finding.remedy)[1])
    assert survey(log, dt=better).filled[0, 0] > 0.98 * survey(log, dt=better).ticks[0]
    assert [f for f in survey(log, dt=0.3).found if f.check == "usable: astride"] == []
    late = drive(0)
    late["imu"] = late["imu"][0][200:], late["imu"][1][200:]  # half of the ticks without it, and none with two
    log = Log(write(tmp_path / "b.h5", (late, "a")))
    assert [f for f in survey(log, dt=0.1).found if f.check == "usable: astride"] == []


@pytest.fixture
def sick(tmp_path):
    data = drive(0)
    data["motor"][1][:, 1] = 3.0
    data["imu"][1][100, 0] = 500.0
    kept = [
        {
            "episode": "a",
            "check": "gps: no position",
            "stream": "gps",
            "severity": "mask",
            "text": "0, 0",
            "remedy": "r",
        }
    ]
    return Log(write(tmp_path / "sick<b>.h5", (data, "a"), about={"findings": kept}))


def test_the_terminal_says_the_verdict_first_and_what_to_do(sick):
    console = Console(file=io.StringIO(), width=150)
    print_health(sick, console=console)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "It can be trained on, with 2 things to know."
    text = "\n".join(lines)
    assert "note motor: v (3) never moves" in text
    assert "imu: x reaches 500 for 1 single readings" in text
    assert "left out gps: 0, 0" in text
    assert re.search(r"motor\s+v\s+3\s+3\s+never moves", text)


def test_what_was_said_of_a_recording_before_it_was_cut_is_still_told(tmp_path):
    time, rng = np.arange(6000) / 10, np.random.default_rng(0)
    gas = np.column_stack([500 + 0.01 * time + rng.normal(size=6000), rng.normal(size=6000)])
    gas[1500:2900, 0] = 550.0  # stuck, at what is the greatest reading of its own part
    gas[4000:, 0] += 100
    np.savetxt(tmp_path / "a.csv", np.column_stack([time, gas]), "%.4f", ",", header="t,co2,rh", comments="")
    report = ingest(tmp_path / "a.csv", tmp_path / "a.h5", cut_every_s=300, progress=False)
    log = Log(report.path)
    assert all("values: stuck" not in {f.check for f in findings(as_recording(e))} for e in log.episodes)
    health = survey(log)
    (stuck,) = [f for f in health.found if f.check == "values: stuck"]
    assert "co2 stands still at 550" in stuck.text
    assert "one thing to know" in health.verdict
    assert "co2 stands still at 550" in page(health)
    whole = Log(ingest(tmp_path / "a.csv", tmp_path / "b.h5", progress=False).path)
    assert [f.check for f in survey(whole).found] == ["values: stuck"]  # and once


def test_the_page_needs_nothing_else_and_shows_names_as_they_are(sick, tmp_path):
    path = write_page(survey(sick), tmp_path / "page.html")
    text = path.read_text()
    assert "sick<b>" not in text
    assert "sick&lt;b&gt;.h5" in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert text.count("<img") == 3  # two findings with a picture, and the commands
    with pytest.raises(WorldModelError, match="exists already"):
        write_page(survey(sick), path)


def test_a_healthy_log_is_called_that(tmp_path):
    health = survey(Log(write(tmp_path / "a.h5", (drive(0), "a"), (drive(1), "b"))))
    assert health.verdict == "Nothing wrong was found."
    assert "Nothing wrong was found." in page(health)


def test_streams_that_no_episode_has_together_are_told(tmp_path):
    imu, motor = ({name: drive(seed)[name]} for seed, name in enumerate(("imu", "motor")))
    health = survey(Log(write(tmp_path / "apart.h5", (imu, "a"), (motor, "b"))))
    (group,) = health.groups
    assert (group[0].check, group[0].severity) == ("streams: apart", "warn")
    assert "imu and of motor together" in group[0].text
    assert "--suggest" in group[0].remedy
    some = survey(Log(write(tmp_path / "some.h5", (imu, "a"), (motor, "b"), (drive(2), "c"))))
    assert some.groups == []


def test_a_log_without_commands_says_so(tmp_path):
    out = io.StringIO()
    with Log(write(tmp_path / "a.h5", ({"imu": drive(0)["imu"]}, "a"))) as log:
        print_health(log, console=Console(file=out, width=200))
    assert "The log has no commands" in out.getvalue()


def test_a_notebook_shows_the_page_in_a_frame(sick):
    health = sick.health(dt=0.2)
    assert health.verdict in repr(health)
    (framed,) = re.findall(r'^<iframe srcdoc="([^"]*)" style="[^"]*"></iframe>$', health._repr_html_(), re.DOTALL)
    assert unescape(framed) == page(health)


def test_the_command_line_checks_and_writes_the_page(sick, tmp_path):
    page_path = tmp_path / "health.html"
    ran = CliRunner().invoke(app, ["inspect", str(sick.files[0]), "--html", str(page_path), "--dt", "0.2"])
    assert ran.exit_code == 0
    assert ran.output.startswith("It can be trained on, with 2 things to know.")
    assert "Usable at a tick of 0.2 s" in ran.output
    assert page_path.exists()
    ran = CliRunner().invoke(app, ["inspect", str(sick.files[0]), "--health", "--dt", "0"])
    assert "--dt is no length of a tick" in str(ran.exception)
    ran = CliRunner().invoke(app, ["inspect", str(sick.files[0])])
    assert "findings: 1, which --health tells" in ran.output


CAR = sensor("car", ["speed", "yaw_rate"], ["", ""], 10.0)


def car(path, *episodes, spec=CAR):
    """A log of episodes of the car's readings [M, 2]."""
    with LogWriter(path, (spec,)) as log:
        for number, data in enumerate(episodes):
            log.append(record((spec, np.arange(len(data)) / 10, data)).samples, name=f"{path.stem} {number}")
    return path


def readings(seed):
    """A speed in m/s and a yaw rate in rad/s [M, 2], to three and four digits."""
    smooth = np.stack([np.convolve(axis, np.hanning(60), "valid") for axis in noise(600, 2, seed).T])
    return np.stack([np.round(12 + 0.5 * smooth[0], 3), np.round(0.1 * smooth[1], 4)], 1)


def test_a_recording_that_was_exported_once_more_in_other_units_is_a_copy(tmp_path):
    other = np.stack([np.round(readings(0)[:, 0] * 3.6, 1), np.round(np.degrees(readings(0)[:, 1]), 2)], 1)
    path = car(tmp_path / "a.h5", readings(0), readings(1), other, readings(2))
    (finding,) = compared(opened([path]))
    assert (finding.check, finding.episode) == ("copies: other units", "a 0")
    assert "the same recording as a 2" in finding.text
    assert "car.speed in km/h and m/s, car.yaw_rate in degrees and radians" in finding.text


def test_one_with_fewer_digits_is_a_copy_whatever_units_its_log_tells(tmp_path):
    told = sensor("car", ["speed", "yaw_rate"], ["m/s", "rad/s"], 10.0)
    degrees = sensor("car", ["speed", "yaw_rate"], ["km/h", "deg/s"], 10.0)
    other = np.stack([np.round(readings(0)[:, 0] * 3.6, 1), np.round(np.degrees(readings(0)[:, 1]), 2)], 1)
    paths = [car(tmp_path / "a.h5", readings(0), spec=told), car(tmp_path / "b.h5", readings(3), other, spec=degrees)]
    (finding,) = compared(opened(paths))
    assert "the same recording as b 1, with other digits" in finding.text


@pytest.mark.parametrize("case", ["again, with noise", "a larger motion", "one column of another", "a shorter one"])
def test_a_repeated_motion_is_no_copy(tmp_path, case):
    first = readings(0)
    other = {
        "again, with noise": first + 0.002 * noise(len(first), 2, seed=9),
        "a larger motion": 1.5 * first,
        "one column of another": np.stack([3.6 * first[:, 0], readings(1)[:, 1]], 1),
        "a shorter one": np.round(3.6 * first[:-1], 1),
    }[case]
    assert compared(opened([car(tmp_path / "a.h5", first, other)])) == []
