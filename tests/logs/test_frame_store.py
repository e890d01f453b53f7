"""Frames out of every way of storing them, byte for byte as h5py reads them."""

import dataclasses
import os

import h5py
import hdf5plugin
import numpy as np
import pytest

from worldmodel.errors import LogFormatError
from worldmodel.logs import frame_store, mapped
from worldmodel.logs.frame_store import FrameStore
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

SIZE = (6, 10)
CAMERA = StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 10.0, size=SIZE)
LENGTHS = (21, 0, 5, 33)  # frames an episode; chunks of 16 lie across their borders
WHOLE = {
    "as written": None,
    "contiguous": {},
    "chunks of 7": {"chunks": (7, *SIZE, 3)},
    "one chunk": {"chunks": (64, *SIZE, 3), "maxshape": (None, *SIZE, 3)},
    "gzip": {"chunks": (5, *SIZE, 3), "compression": "gzip"},
    "lzf": {"chunks": (16, *SIZE, 3), "compression": "lzf"},
    "shuffle": {"chunks": (16, *SIZE, 3), "shuffle": True},
    "checksums": {"chunks": (16, *SIZE, 3), "fletcher32": True},
    "blosc": {"chunks": (4, *SIZE, 3), **hdf5plugin.Blosc()},
    "pieces of frames": {"chunks": (8, 3, 5, 3)},
    "wider integers": {"dtype": ">u2", "chunks": (16, *SIZE, 3)},
}
BARE = ("as written", "contiguous", "chunks of 7", "one chunk")


def write(path, seed=0):
    rng = np.random.default_rng(seed)
    speed = StreamSpec("speed", "sensor", ("v",), ("m/s",), 10.0)
    with LogWriter(path, [CAMERA, speed]) as writer:
        for count in LENGTHS:
            frames = rng.integers(0, 256, (count, *SIZE, 3), np.uint8)
            time = np.arange(60) / 10
            writer.append({"camera": Samples(time[:count], frames), "speed": Samples(time, rng.normal(size=(60, 1)))})
    return path


def stored(path, how):
    """The log with its video stored in another way, as a foreign writer might."""
    write(path)
    if how is not None:
        with h5py.File(path, "r+") as file:
            frames = file["streams/camera/data"][:]
            del file["streams/camera/data"]
            file["streams/camera"].create_dataset("data", data=frames.astype(how.get("dtype", "u1")), **how)
    return path


def check(log, episodes=(0, 1, 2, 3), seed=0):
    """Random frames in every order, with gaps and repeats, against h5py's."""
    rng = np.random.default_rng(seed)
    store = FrameStore(log, "camera", episodes)
    recorded = [log.episodes[e].streams["camera"].data for e in episodes]
    chosen = rng.integers(len(episodes), size=(40, 1))
    index = np.concatenate([rng.integers(0, 40, (40, 3)), np.arange(40)[:, None] + [0, 1, 2]], 1)
    index = np.where(index < np.array([len(r) for r in recorded])[chosen], index, -1)
    out = store.gather(chosen, index)
    assert out.dtype == np.uint8
    assert (index < 0).any()
    for (row, place), i in np.ndenumerate(index):
        np.testing.assert_array_equal(out[row, place], recorded[chosen[row, 0]][i] if i >= 0 else 0)
    return store


@pytest.mark.parametrize("name", WHOLE)
def test_frames_are_those_that_h5py_reads(tmp_path, name):
    log = Log(stored(tmp_path / "a.h5", WHOLE[name]))
    store = check(log)
    check(log, episodes=(3, 0))
    assert (store._bare[0] is not None) == (name in BARE)


def test_a_log_of_several_files_that_store_them_differently(tmp_path):
    for i, name in enumerate(("gzip", "as written", "contiguous")):
        stored(tmp_path / f"{i}.h5", WHOLE[name])
    check(Log(tmp_path), episodes=(0, 4, 5, 6, 7, 11, 3, 8))


def test_frames_that_cannot_be_mapped_are_read(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no such device")

    monkeypatch.setattr(mapped.Maps, "open", refuse)
    check(Log(write(tmp_path / "a.h5")))


def test_chunks_that_were_never_written_are_read_as_what_h5py_fills_in(tmp_path):
    path = stored(tmp_path / "a.h5", {"chunks": (7, *SIZE, 3)})
    with h5py.File(path, "r+") as file:
        camera = file["streams/camera"]
        frames = camera["data"][:]
        del camera["data"]
        sparse = camera.create_dataset("data", frames.shape, "u1", chunks=(7, *SIZE, 3), fillvalue=9)
        sparse[14:30] = frames[14:30]
    check(Log(path))


def test_a_file_with_a_user_block_before_it(tmp_path):
    write(tmp_path / "plain.h5")
    with h5py.File(tmp_path / "plain.h5") as plain, h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as other:
        for name, value in plain.attrs.items():
            other.attrs[name] = value
        for name in plain:
            plain.copy(name, other)
    check(Log(tmp_path / "a.h5"))


def test_a_read_only_file(tmp_path):
    path = write(tmp_path / "a.h5")
    os.chmod(path, 0o444)
    assert check(Log(path))._bare[0] is not None


def test_a_chunk_is_decoded_once_for_all_its_frames(tmp_path, monkeypatch):
    log = Log(stored(tmp_path / "a.h5", WHOLE["gzip"]))
    store, reads = FrameStore(log, "camera", [3]), []
    rows = store._streams[0].rows
    monkeypatch.setattr(store._streams[0], "rows", lambda *span: reads.append(span) or rows(*span))
    for _ in range(3):
        store.gather(np.zeros((50, 1), int), np.random.default_rng(0).integers(33, size=(50, 4)))
    assert len(reads) == len(set(reads)) == 7  # rows 26 to 58 lie in seven chunks of five


def test_decoded_chunks_do_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_store, "DECODED_BYTES", 2 * 5 * 6 * 10 * 3)
    store = check(Log(stored(tmp_path / "a.h5", WHOLE["gzip"])))
    assert store._chunk.cache_info().currsize == 2


def test_mapped_pages_are_let_go_and_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_store, "MAPPED_BYTES", 0)
    advice = []
    monkeypatch.setattr(mapped.mmap, "mmap", spied(mapped.mmap.mmap, advice))
    check(Log(write(tmp_path / "a.h5")))
    assert advice == [mapped.mmap.MADV_DONTNEED]


def spied(kind, advice):
    class Spied(kind):
        def madvise(self, option):
            advice.append(option)
            super().madvise(option)

    return Spied


def test_a_damaged_chunk_is_named(tmp_path):
    path = stored(tmp_path / "a.h5", WHOLE["gzip"])
    with h5py.File(path) as file:
        chunk = file["streams/camera/data"].id.get_chunk_info(0)
    with open(path, "r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(bytes(chunk.size))
    with pytest.raises(LogFormatError, match=r"a\.h5: stream 'camera' is damaged"):
        FrameStore(Log(path), "camera", [0]).gather(np.zeros((1, 1), int), np.zeros((1, 1), int))


def test_frames_begin_at_a_line_of_the_cache(tmp_path):
    size = (64, 64)
    with LogWriter(tmp_path / "a.h5", [dataclasses.replace(CAMERA, size=size)]) as writer:
        writer.append({"camera": Samples(np.arange(40) / 10, np.zeros((40, *size, 3), np.uint8))})
    with h5py.File(tmp_path / "a.h5") as file:
        frames = file["streams/camera/data"].id
        assert {frames.get_chunk_info(i).byte_offset % 64 for i in range(frames.get_num_chunks())} == {0}
