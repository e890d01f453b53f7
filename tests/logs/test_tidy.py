"""Logs as pandas frames, and as pictures that show themselves."""

import numpy as np
import pytest

from tests.oscillator import write_log
from worldmodel.logs.reader import Log


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 3))


def test_a_log_becomes_a_row_a_reading(log):
    frame = log.to_frame()
    assert list(frame.columns) == ["episode", "stream", "column", "unit", "time_s", "value"]
    assert len(frame) == sum(
        len(s) * len(s.spec.columns) for e in log.episodes for s in e.streams.values() if s.spec.kind != "video"
    )
    wide = frame[frame.stream == "gps"].pivot(index=["episode", "time_s"], columns="column", values="value")
    stream = log.episodes[1].streams["gps"]
    np.testing.assert_array_equal(wide.loc[1][["latitude", "longitude", "altitude"]], stream.data)
    np.testing.assert_array_equal(wide.loc[1].index, stream.time)
    assert set(frame[frame.stream == "velocity"].unit) == {"m/s"}
    assert set(log.to_frame([2]).episode) == {2}


def test_a_stream_and_an_episode_become_frames(log):
    episode = log.episodes[0]
    one = episode.streams["phase"].to_frame()
    np.testing.assert_array_equal(one.value, episode.streams["phase"].data[:, 0])
    assert set(episode.to_frame().stream) == set(episode.streams) - {"camera"}
    assert episode.streams["camera"].to_frame().empty


def test_words_take_a_byte_a_row(log):
    frame = log.to_frame()
    assert all(frame[name].dtype == "category" for name in ("stream", "column", "unit"))


def test_an_episode_and_a_log_show_themselves(log, tmp_path):
    picture = log.episodes[2].plot()
    assert "oscillator 2" in repr(picture)
    assert ".save(" in repr(picture)
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert picture.save(tmp_path / "a.svg").read_text().startswith("<?xml")
    for shown in (log, log.episodes[2]):
        html = shown._repr_html_()
        assert "gps: gps" in html
        assert html.count("data:image/png;base64,") == 1
    assert "<script" not in html
