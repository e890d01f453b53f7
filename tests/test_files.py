"""Output appears whole or not at all, and what was there before stays until then."""

import errno
from pathlib import Path

import pytest

from worldmodel.errors import WorldModelError
from worldmodel.files import check_output, whole_file, whole_folder


class Stopped(BaseException):
    """As KeyboardInterrupt is, no `Exception`."""


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def old_file(tmp_path):
    (tmp_path / "out.txt").write_text("old")
    return tmp_path / "out.txt"


@pytest.fixture
def old_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    return tmp_path / "out"


def test_a_file_takes_its_name_only_at_the_end(tmp_path):
    target = tmp_path / "deep" / "er" / "out.npz"
    with whole_file(target) as partial:
        partial.write_text("new")
        assert not target.exists()
        assert partial.suffix == ".npz"  # writers that look at the suffix see the right one
        assert partial.parent == target.parent  # the last step is a rename within one file system
    assert target.read_text() == "new"
    assert names(target.parent) == ["out.npz"]


@pytest.mark.parametrize("error", [ValueError, Stopped])
def test_a_failure_leaves_no_file(tmp_path, error):
    with pytest.raises(error), whole_file(tmp_path / "out.txt") as partial:
        partial.write_text("half")
        raise error
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError, Stopped])
def test_a_failure_keeps_the_old_file(old_file, error):
    with pytest.raises(error), whole_file(old_file, force=True) as partial:
        partial.write_text("half")
        raise error
    assert names(old_file.parent) == ["out.txt"]
    assert old_file.read_text() == "old"


def test_an_existing_file_is_refused_without_force_and_replaced_with_it(old_file):
    with pytest.raises(WorldModelError, match=r"exists already[\s\S]*--force"), whole_file(old_file):
        pytest.fail("the block must not run")
    assert old_file.read_text() == "old"
    with whole_file(old_file, force=True) as partial:
        partial.write_text("new")
    assert old_file.read_text() == "new"
    assert names(old_file.parent) == ["out.txt"]


def test_what_an_earlier_crash_left_is_no_obstacle(tmp_path):
    with whole_file(tmp_path / "out.txt") as partial:
        pass_on = partial
        partial.write_text("")
    (tmp_path / "out.txt").unlink()
    pass_on.write_text("left by a crash")
    with whole_file(tmp_path / "out.txt") as partial:
        assert not partial.exists()
        partial.write_text("new")
    assert names(tmp_path) == ["out.txt"]


def test_a_folder_appears_with_all_it_holds_only_at_the_end(tmp_path):
    target = tmp_path / "deep" / "out"
    with whole_folder(target) as partial:
        (partial / "a").write_text("a")
        (partial / "inner").mkdir()
        (partial / "inner" / "b").write_text("b")
        assert not target.exists()
    assert names(target.parent) == ["out"]
    assert names(target) == ["a", "inner"]
    assert (target / "inner" / "b").read_text() == "b"


@pytest.mark.parametrize("error", [ValueError, Stopped])
def test_a_failure_leaves_no_folder(tmp_path, error):
    with pytest.raises(error), whole_folder(tmp_path / "out") as partial:
        (partial / "a").write_text("a")
        raise error
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError, Stopped])
def test_a_failure_keeps_the_old_folder(old_folder, error):
    with pytest.raises(error), whole_folder(old_folder, force=True, replaces=("old.txt",)) as partial:
        (partial / "a").write_text("a")
        raise error
    assert names(old_folder.parent) == ["out"]
    assert names(old_folder) == ["old.txt"]


def test_an_existing_folder_is_refused_without_force_and_replaced_with_it(old_folder):
    with pytest.raises(WorldModelError, match="exists already"), whole_folder(old_folder):
        pytest.fail("the block must not run")
    with whole_folder(old_folder, force=True, replaces=("old.txt",)) as partial:
        (partial / "new.txt").write_text("new")
    assert names(old_folder) == ["new.txt"]
    assert names(old_folder.parent) == ["out"]


def test_a_folder_with_more_than_an_earlier_output_is_not_replaced(old_folder):
    (old_folder / "drive.h5").write_text("precious")
    with pytest.raises(WorldModelError, match=r"more than an earlier output[\s\S]*drive.h5"):
        check_output(old_folder, force=True, replaces=("old.txt",))
    with (
        pytest.raises(WorldModelError, match=r"drive.h5"),
        whole_folder(old_folder, force=True, replaces=("old.txt",)),
    ):
        pytest.fail("the block must not run")
    assert names(old_folder) == ["drive.h5", "old.txt"]


def test_a_folder_that_only_looks_like_an_earlier_output_is_not_replaced(tmp_path):
    """A command always writes the first of its files, so that a folder without it is not the command's."""
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(WorldModelError, match="others' files"):
        check_output(tmp_path, force=True, replaces=("run.json", "checkpoints"))
    (tmp_path / "run.json").touch()
    check_output(tmp_path, force=True, replaces=("run.json", "checkpoints"))


@pytest.mark.parametrize("name", [".", ""])
def test_what_is_no_name_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorldModelError, match="no name"):
        check_output(Path(name), force=True)


def test_an_input_is_not_replaced(old_file):
    (old_file.parent / "link").symlink_to(old_file)
    for out in (old_file, old_file.parent / "link"):
        with pytest.raises(WorldModelError, match="is or holds an input"):
            check_output(out, force=True, inputs=[old_file.parent / "gone", old_file])
    with pytest.raises(WorldModelError, match="is or holds an input"):
        check_output(old_file.parent, force=True, inputs=[old_file], replaces=("*",))
    check_output(old_file, force=True, inputs=[])


def test_a_file_is_not_replaced_by_a_folder(old_file):
    with pytest.raises(WorldModelError, match="no folder"), whole_folder(old_file, force=True, replaces=("*",)):
        pytest.fail("the block must not run")
    assert old_file.read_text() == "old"


def test_what_a_killed_command_left_is_in_nobodys_way(old_folder):
    (old_folder / ".metrics.partial.jsonl").write_text("half")
    check_output(old_folder, force=True, replaces=("old.txt",))


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_failure_takes_away_the_folders_that_were_made_for_it_and_no_others(tmp_path, whole):
    (tmp_path / "there").mkdir()
    with pytest.raises(Stopped), whole(tmp_path / "there" / "new" / "er" / "out"):
        assert (tmp_path / "there" / "new" / "er").is_dir()
        raise Stopped
    assert names(tmp_path) == ["there"]
    assert names(tmp_path / "there") == []


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_full_disk_is_an_error_that_says_so(tmp_path, whole):
    with pytest.raises(WorldModelError, match=r"disk is full[\s\S]*free some space"), whole(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == []


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_place_that_cannot_be_written_is_an_error_that_says_so(old_file, whole):
    with pytest.raises(WorldModelError, match="cannot be written"), whole(old_file / "out") as partial:
        partial.mkdir(parents=True)
    assert names(old_file.parent) == ["out.txt"]
