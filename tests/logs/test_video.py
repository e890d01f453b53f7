"""Films: their codecs, times, colours and turns, and what is wrong with them."""

import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests.logs.films import gradients, write_film
from worldmodel.errors import WorldModelError
from worldmodel.logs import video

TURNS = {  # the matrix of an MP4 track for a turn of so many quarters
    0: (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30),
    1: (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
    2: (-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
    3: (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30),
}


def read(path, size=(16, 24), **given):
    times, frames = zip(*video.read_frames(path, size, **given), strict=True)
    return np.array(times), np.array(frames).astype(int)


@pytest.mark.parametrize(
    ("codec", "name"), [("libx264", "a.mp4"), ("libsvtav1", "a.mkv"), ("mjpeg", "a.avi"), ("libvpx-vp9", "a.webm")]
)
def test_films_are_decoded(tmp_path, codec, name):
    frames = gradients(6, 64, 64)
    if codec == "mjpeg":
        writer = cv2.VideoWriter(str(tmp_path / name), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
        for frame in frames:
            writer.write(frame[:, :, ::-1])
        writer.release()
    else:
        write_film(tmp_path / name, frames, codec=codec)
    times, read_back = read(tmp_path / name, (64, 64))
    np.testing.assert_allclose(times, np.arange(6) / 10, atol=1e-3)
    assert np.abs(read_back - frames).mean() < 4


def test_frames_have_their_own_times(tmp_path):
    times = [0, 0.04, 0.2, 0.233, 1.7]
    write_film(tmp_path / "a.mp4", gradients(5), times)
    np.testing.assert_allclose(read(tmp_path / "a.mp4")[0], times, atol=1e-3)
    write_film(tmp_path / "b.mkv", gradients(3), [5, 5.1, 5.2])
    np.testing.assert_allclose(read(tmp_path / "b.mkv")[0], [5, 5.1, 5.2], atol=1e-3)


def test_how_long_a_film_is(tmp_path):
    write_film(tmp_path / "a.mp4", gradients(20))
    assert video.count_frames(tmp_path / "a.mp4") == 20
    assert video.duration_s(tmp_path / "a.mp4") == pytest.approx(2, abs=0.11)


@pytest.mark.parametrize("span", [(0.0, 0.5), (0.75, 1.25), (1.5, 9.0)])
def test_a_span_of_a_film(tmp_path, span):
    """Whatever key frame it begins after, it holds the same frames as the whole film."""
    write_film(tmp_path / "a.mp4", gradients(20), every=6)
    times, frames = read(tmp_path / "a.mp4")
    inside = (times >= span[0]) & (times < span[1])
    part = read(tmp_path / "a.mp4", span=span)
    np.testing.assert_array_equal(part[0], times[inside])
    np.testing.assert_array_equal(part[1], frames[inside])


@pytest.mark.parametrize("turns", TURNS)
def test_films_are_turned_upright(tmp_path, turns):
    """A phone that is held upright films on its side and says so."""
    write_film(tmp_path / "a.mp4", gradients(2))
    content = (tmp_path / "a.mp4").read_bytes()
    at = content.index(b"tkhd") + 4 + 4 + 20 + 16
    assert struct.unpack(">9i", content[at : at + 36]) == TURNS[0]
    (tmp_path / "b.mp4").write_bytes(content[:at] + struct.pack(">9i", *TURNS[turns]) + content[at + 36 :])
    _, plain = read(tmp_path / "a.mp4", (48, 64))
    _, turned = read(tmp_path / "b.mp4", (64, 48) if turns % 2 else (48, 64))
    np.testing.assert_allclose(turned[0], np.rot90(plain[0], turns), atol=1)


def test_a_pixel_is_the_mean_of_what_it_covers(tmp_path):
    frames = np.repeat(np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((3, 3)))[None, :, :, None] * 200, 3, -1)
    frames = np.concatenate([frames] * 2).astype(np.uint8) + 20
    write_film(tmp_path / "a.mkv", frames, codec="ffv1")
    _, small = read(tmp_path / "a.mkv", (4, 4))
    np.testing.assert_allclose(small, 120, atol=3)


def test_a_picture_keeps_its_colours(tmp_path):
    red = np.zeros((4, 32, 32, 3), np.uint8)
    red[..., 0] = 220
    video.write_video(tmp_path / "red.webm", red, 10)
    _, frames = read(tmp_path / "red.webm", (8, 8))
    np.testing.assert_allclose(frames.mean((0, 1, 2)), [220, 0, 0], atol=4)
    _, content = cv2.imencode(".png", red[0, :, :, ::-1])
    np.testing.assert_array_equal(video.read_image(content.tobytes(), (8, 8), "a.png"), red[0, :8, :8])


def test_what_cannot_be_decoded_is_left_out_and_told(tmp_path):
    write_film(tmp_path / "a.mp4", gradients(30), codec="libvpx-vp9", every=1)
    content = bytearray((tmp_path / "a.mp4").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = bytes(300)
    (tmp_path / "a.mp4").write_bytes(content)
    notes = []
    times, _ = read(tmp_path / "a.mp4", notes=notes)
    assert 10 < len(times) < 30
    assert "cannot be decoded and are left out" in notes[0]


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0"]
)
def test_what_is_no_film_is_refused(tmp_path, content):
    """A playlist too, which would have FFmpeg read other files and addresses."""
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(WorldModelError, match="no video that can be decoded"):
        next(video.read_frames(tmp_path / "a.mp4", (8, 8)))
    assert video.count_frames(tmp_path / "a.mp4") == 0
    with pytest.raises(WorldModelError, match="no video"):
        video.duration_s(tmp_path / "a.mp4")


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused(content):
    with pytest.raises(WorldModelError, match=r"a\.png is no image"):
        video.read_image(content, (8, 8), "a.png")


def test_a_video_that_the_disk_cannot_hold_is_an_error(tmp_path):
    """OpenCV itself says nothing."""
    script = """
import resource, signal, sys
import numpy as np
from worldmodel.logs.video import write_video
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.dont_write_bytecode = True  # or a part of a module may stay
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
frames = np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), np.uint8)
try:
    write_video(sys.argv[1], frames, 10)
except OSError as error:
    print(error)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "noise.webm")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "of 40 frames could be written" in said
