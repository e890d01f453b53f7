"""A file that has no more room: what was written is read back, and the first error waits until it is asked for."""

import errno
import io

import hypothesis
import hypothesis.strategies as st
import pytest

from worldmodel.patient import PatientFile


class Small(io.FileIO):
    """A file that holds `room` bytes and writes those of a block that fit, as a full disk does."""

    room = 1 << 30

    def write(self, data):
        fits = self.room - self.tell()
        if fits <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(data)[:fits])

    def truncate(self, size=None):
        if size is not None and size > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().truncate(size)


class Patient(PatientFile, Small):
    """A patient file on a small disk."""


def open_small(tmp_path, room):
    file = Patient(tmp_path / "a", "w+b")
    file.room = room
    return file


def read_at(file, at, size):
    file.seek(at)
    into = bytearray(size)
    return bytes(into[: file.readinto(into)])


@hypothesis.given(
    room=st.integers(0, 60), writes=st.lists(st.tuples(st.integers(0, 50), st.binary(min_size=1, max_size=20)))
)
@hypothesis.settings(max_examples=300, deadline=None)
def test_what_was_written_reads_back_as_from_memory(tmp_path_factory, room, writes):
    """Whatever fitted and whatever did not, in whatever order blocks were written, over one another too."""
    expected = io.BytesIO()
    with open_small(tmp_path_factory.getbasetemp(), room) as file:
        for at, block in writes:
            for each in (file, expected):
                each.seek(at)
                assert each.write(block) == len(block)
                assert each.tell() == at + len(block)
        whole = expected.getvalue()
        assert read_at(file, 0, len(whole)) == whole
        assert read_at(file, 7, 5)[: len(whole[7:12])] == whole[7:12]
        assert file.seek(0, io.SEEK_END) == len(whole)
        assert (file.error is None) == all(at + len(block) <= room for at, block in writes)


def test_the_first_error_waits(tmp_path):
    with open_small(tmp_path, 4) as file:
        file.write(b"abc")
        file.check()
        file.write(b"def")
        first = file.error
        file.truncate(99)
        file.write(b"ghi")
        with pytest.raises(OSError, match="No space") as caught:
            file.check()
    assert caught.value is first
    assert (tmp_path / "a").read_bytes() == b"abcd"


def test_nothing_more_is_written_after_an_error(tmp_path):
    """Room that is freed meanwhile does not make half a file look whole."""
    with open_small(tmp_path, 2) as file:
        file.write(b"abcd")
        file.room = 99
        file.write(b"efgh")
        assert read_at(file, 0, 8) == b"abcdefgh"
    assert (tmp_path / "a").read_bytes() == b"ab"


def test_a_truncation_that_fails_waits_too(tmp_path):
    with open_small(tmp_path, 4) as file:
        assert file.truncate(99) == 99
        with pytest.raises(OSError, match="No space"):
            file.check()
