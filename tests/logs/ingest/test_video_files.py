"""Films and folders of images as recordings, with tables of times of every kind that tools write."""

import cv2
import numpy as np
import pytest

from tests.logs.films import gradients, write_film
from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats.video import claims
from worldmodel.logs.ingest.formats.video.images import in_order
from worldmodel.logs.ingest.formats.video.times import read_times
from worldmodel.logs.reader import Log

TIMES = np.array([0.0, 0.1, 0.25, 0.3, 0.9])
EPOCH = 1_700_000_000.25


def write_images(folder, names):
    folder.mkdir()
    for name, frame in zip(names, gradients(len(names)), strict=True):
        cv2.imwrite(str(folder / name), frame[:, :, ::-1])
    return folder


def make(source, tmp_path, **given):
    report = ingest(source, tmp_path / "out" / "log.h5", size=(12, 16), progress=False, force=True, **given)
    return report, Log(tmp_path / "out" / "log.h5").episodes


@pytest.fixture(autouse=True)
def _out(tmp_path):
    (tmp_path / "out").mkdir()


def test_a_film_is_a_recording(tmp_path):
    write_film(tmp_path / "a.mp4", gradients(5), TIMES)
    report, (episode,) = make(tmp_path / "a.mp4", tmp_path)
    np.testing.assert_allclose(episode.streams["camera"].time, TIMES, atol=1e-3)
    assert (report.episodes, report.streams, report.notes) == (("a.mp4",), ("camera",), ())
    brightness = episode.streams["camera"].data.mean((1, 2, 3))
    assert (np.diff(brightness) > 5).all()


@pytest.mark.parametrize(
    ("name", "text", "utc"),
    [
        ("a.csv", "\n".join(f"{t}" for t in TIMES), np.nan),
        ("times.csv", "frame,time\n" + "\n".join(f"{i},{t}" for i, t in enumerate(TIMES)), np.nan),
        ("timestamps.txt", "\n".join(f"{t * 1000:.0f}" for t in TIMES), np.nan),
        ("a_times.csv", "time_ns;index\n" + "\n".join(f"{t * 1e9:.0f};{i}" for i, t in enumerate(TIMES)), np.nan),
        ("times.txt", "\n".join(f"{EPOCH + t:.3f}" for t in TIMES), EPOCH),
        ("timestamps.csv", "#timestamp [ns]\n" + "\n".join(f"{(EPOCH + t) * 1e9:.0f}" for t in TIMES), EPOCH),
        ("a.txt", "\n".join(f"2023-11-14T22:13:{20.25 + t:012.9f}Z" for t in TIMES), EPOCH),
        ("times.csv", "\n".join(f"2023-11-14 22:13:{20.25 + t:09.6f}" for t in TIMES), np.nan),
    ],
)  # fmt: skip
def test_a_table_tells_the_times_of_a_film(tmp_path, name, text, utc):
    folder = tmp_path / "films"
    folder.mkdir()
    write_film(folder / "a.mp4", gradients(5))
    (folder / name).write_text(text)
    report, (episode,) = make(folder, tmp_path)
    np.testing.assert_allclose(episode.streams["camera"].time, TIMES, atol=1e-6)
    np.testing.assert_allclose(episode.origin_utc, utc)
    assert not any("left out" in note for note in report.notes)


@pytest.mark.parametrize(
    "text",
    [
        "t,x\n" + "\n".join(f"{i / 100},{i}" for i in range(90)),
        "t,speed\n" + "\n".join(f"{i / 100},{i}" for i in range(5)),
        "t,x,y\n" + "\n".join(f"{i / 100},{i},{i}" for i in range(5)),
    ],
)
def test_a_table_of_a_sensor_is_none_of_times(tmp_path, text):
    """It has the film's name, and a row for each of its own samples."""
    write_film(tmp_path / "a.mp4", gradients(5), TIMES)
    (tmp_path / "a.csv").write_text(text)
    _, (episode,) = make(tmp_path / "a.mp4", tmp_path)
    np.testing.assert_allclose(episode.streams["camera"].time, TIMES, atol=1e-3)


@pytest.mark.parametrize("count", [2, 9])
def test_a_table_that_does_not_fit_is_refused(tmp_path, count):
    write_film(tmp_path / "a.mp4", gradients(5))
    (tmp_path / "times.csv").write_text("\n".join(map(str, range(count))))
    with pytest.raises(RecipeError, match=r"times\.csv does not tell the times[\s\S]*take it away"):
        make(tmp_path / "a.mp4", tmp_path)


def test_one_time_too_few_costs_one_frame(tmp_path):
    write_film(tmp_path / "a.mp4", gradients(5))
    (tmp_path / "times.csv").write_text("\n".join(map(str, TIMES[:4])))
    report, (episode,) = make(tmp_path / "a.mp4", tmp_path)
    np.testing.assert_allclose(episode.streams["camera"].time, TIMES[:4])
    assert any("1 left out" in note for note in report.notes)


def test_images_follow_the_numbers_in_their_names(tmp_path):
    folder = write_images(tmp_path / "images", [f"frame_{i}.jpg" for i in (8, 9, 10, 11)])
    report, (episode,) = make(folder, tmp_path)
    assert (np.diff(episode.streams["camera"].data.mean((1, 2, 3))) > 5).all()
    assert "30 a second are assumed" in report.notes[0]
    assert [path.name for path in in_order(list(folder.iterdir()))][2] == "frame_10.jpg"


@pytest.mark.parametrize(("numbers", "lacking"), [((1, 2, 5, 6, 7), 2), ((0, 10, 20, 40), 1), ((8, 9, 10, 11), 0)])
def test_numbers_that_are_missing_among_images_are_said(tmp_path, numbers, lacking):
    write_images(tmp_path / "walk", [f"frame_{number}.png" for number in numbers])
    report, _ = make(tmp_path / "walk", tmp_path)
    assert any(f"camera: {lacking} numbers are missing" in line for line in report.lines) == bool(lacking)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("rgb.txt", "# color images\n# timestamp filename\n{unix:.6f} rgb/{name}\n"),  # TUM RGB-D
        ("rgb.csv", "#timestamp [ns],filename\n{ns},{name}\n"),  # EuRoC
        ("rgb/times.csv", "name,time\n{name},{unix}\n"),
        ("timestamps.txt", "2023-11-14T22:13:{second:09.6f}Z\n"),  # as KITTI
    ],
)
def test_images_have_the_times_of_their_table(tmp_path, table, text):
    source = tmp_path / "sequence"
    source.mkdir()
    names = [f"{i:04d}.png" for i in range(5)]
    write_images(source / "rgb", names)
    *head, line = text.splitlines(keepends=True)
    rows = [
        line.format(name=name, unix=EPOCH + t, ns=round((EPOCH + t) * 1e9), second=20.25 + t)
        for name, t in zip(names, TIMES, strict=True)
    ]
    (source / table).write_text("".join([*head, *rows]))
    report, (episode,) = make(source, tmp_path)
    np.testing.assert_allclose(episode.streams["camera"].time, TIMES, atol=1e-6)
    assert episode.origin_utc == pytest.approx(EPOCH)
    assert report.episodes == ("rgb",)
    assert not report.notes


def test_stamps_in_names_are_times(tmp_path):
    names = [f"{round((EPOCH + t) * 1e9)}.png" for t in TIMES]
    _, (episode,) = make(write_images(tmp_path / "images", names), tmp_path)
    np.testing.assert_allclose(episode.streams["camera"].time, TIMES, atol=1e-6)
    assert episode.origin_utc == pytest.approx(EPOCH)


def test_images_of_several_cameras_in_a_folder_are_a_stream_each(tmp_path):
    """As Udacity's simulator saves them, with dates in their names."""
    names = [f"{side}_2016_12_01_13_30_48_{i * 100 + 87:03d}.jpg" for side in ("center", "left") for i in range(4)]
    report, (episode,) = make(write_images(tmp_path / "IMG", names), tmp_path)
    assert set(episode.streams) == {"center", "left"}
    for stream in episode.streams.values():
        np.testing.assert_allclose(stream.time, np.arange(4) / 10, atol=1e-6)
    assert episode.origin_utc == pytest.approx(1480599048.087)
    assert any("2 cameras by their names: center, left" in note for note in report.notes)


def test_images_whose_numbers_go_on_under_another_name_are_one_camera(tmp_path):
    names = [f"day_{i:02d}.png" for i in range(3)] + [f"night_{i:02d}.png" for i in range(3, 6)]
    _, (episode,) = make(write_images(tmp_path / "images", names), tmp_path)
    assert {name: len(stream.time) for name, stream in episode.streams.items()} == {"camera": 6}


@pytest.mark.parametrize(
    ("names", "times"),
    [
        (["20230405-091233.500.png", "20230405-091234.png", "20230405-091240.png"], [0, 0.5, 6.5]),
        (["a_2023-04-05T09-12-33.png", "a_2023-04-05T09-12-34.png"], [0, 1]),
        (["20230405_091233_001.png", "20230405_091233_002.png", "20230405_091233_003.png"], None),  # a burst
        (["20230405_091233.png", "20230405_996633.png"], None),
    ],
)
def test_dates_in_names_are_times(tmp_path, names, times):
    report, (episode,) = make(write_images(tmp_path / "images", names), tmp_path)
    assert any("a second are assumed" in note for note in report.notes) == (times is None)
    if times is not None:
        np.testing.assert_allclose(episode.streams["camera"].time, times, atol=1e-6)


def test_folders_that_hold_more_than_images_are_not_claimed(tmp_path):
    folder = write_images(tmp_path / "images", ["1.png", "2.png"])
    assert claims(folder)
    (folder / "a.bag").write_bytes(b"")
    assert not claims(folder)
    assert not claims(tmp_path)


def test_a_damaged_image_is_named(tmp_path):
    folder = write_images(tmp_path / "images", ["1.png", "2.png", "3.png"])
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:40])
    with pytest.raises(WorldModelError, match=r"2\.png is no image"):
        make(folder, tmp_path)


@pytest.mark.parametrize("text", ["", "a,b,c\n1,2,3\n", "one\ntwo\n", "1\n2,3\n", "nan\nnan\n", "\0\0\0"])
def test_what_is_no_table_of_times_is_refused(tmp_path, text):
    (tmp_path / "times.csv").write_text(text)
    with pytest.raises(RecipeError, match="no table of times"):
        read_times(tmp_path / "times.csv")
