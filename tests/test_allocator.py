"""Commands, and processes of ours, keep the memory that they free; a user's process does as it did."""

import os
import platform
import resource
import subprocess
import sys

import pytest

from worldmodel.allocator import available_bytes, keep_freed
from worldmodel.logs.ingest.apart import Apart

COMMAND = "import sys; sys.argv = ['worldmodel', '--version']; from worldmodel import cli; cli.main()"
PAGES = 4 * (16 << 20) // resource.getpagesize()  # of what is taken and freed each time

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")


def faults() -> int:
    """How many pages are faulted in when blocks are taken for the fourth time that were freed three times."""
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [b"x" * (16 << 20) for _ in range(4)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def after(program: str) -> int:
    """The same in a process of its own that has run a program, which may end with an exit code."""
    told = f"try:\n    {program}\nexcept SystemExit:\n    pass\nfrom {__name__} import faults\nprint(faults())"
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return int(ran.stdout.split()[-1])


def test_a_command_keeps_what_it_frees_and_the_library_changes_nothing():
    assert after("import worldmodel; worldmodel.ingest") > PAGES / 2
    assert after(COMMAND) < PAGES / 20


def test_a_process_that_reads_apart_keeps_what_it_frees():
    apart = Apart()
    try:
        assert apart(faults, limit_s=60) < PAGES / 20
    finally:
        apart.stop()


def test_another_c_library_is_left_as_it_is(monkeypatch):
    asked = []
    monkeypatch.setattr("ctypes.CDLL", asked.append)
    for name in ("musl", ""):
        monkeypatch.setattr("platform.libc_ver", lambda name=name: (name, ""))
        keep_freed()
    assert asked == []


def test_what_is_available_is_less_than_there_is():
    assert 0 < available_bytes() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_what_is_available_is_no_more_than_a_container_may_still_take(tmp_path, monkeypatch):
    monkeypatch.setattr("worldmodel.allocator._CONTAINER", tmp_path)
    whole = available_bytes()
    for name, content in (("memory.max", "3000\n"), ("memory.current", "1000\n"), ("memory.stat", "anon 7\nfile 9\n")):
        (tmp_path / name).write_text(content)
    assert available_bytes() == 2000
    (tmp_path / "memory.stat").write_text("file 9\ninactive_file 400\nactive_file 100\n")
    assert available_bytes() == 2500
    (tmp_path / "memory.max").write_text("0\n")
    assert available_bytes() == 0
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes() == pytest.approx(whole, rel=0.2)
