"""MATLAB files of both kinds: structs, matrices, vectors of several lengths, and the real ones of a benchmark."""

import contextlib
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from worldmodel.logs.ingest.formats.tables.matlab import load_vectors

REAL = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[4] / "shared" / "data")) / "emps"
T, GPS = np.arange(40) / 10, np.arange(12) / 3
LOG = {"imu": {"acc": np.stack([T, 2 * T, 3 * T], 1), "t": T}, "gps": {"t": GPS, "speed": GPS**2}, "name": "drive"}


def write_version_5(path, variables):
    savemat(path, variables)


def write_version_73(path, variables):
    """As MATLAB: 512 bytes of its own, then HDF5 with the axes of every array in the other order."""
    with h5py.File(path, "w", userblock_size=512) as file:
        _write(file, variables)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")


def _write(group, variables):
    for name, value in variables.items():
        if isinstance(value, dict):
            below = group.create_group(name)
            below.attrs["MATLAB_class"] = np.bytes_("struct")
            _write(below, value)
        elif isinstance(value, str):
            group[name] = np.array([list(map(ord, value))], np.uint16).T
            group[name].attrs["MATLAB_class"] = np.bytes_("char")
        else:
            group[name] = np.atleast_2d(value) if np.ndim(value) < 2 else np.asarray(value).T
            group[name].attrs["MATLAB_class"] = np.bytes_("double")


@pytest.mark.parametrize("write", [write_version_5, write_version_73])
def test_structs_matrices_and_vectors_are_columns(tmp_path, write):
    variables = {
        "log": LOG,
        "t": T,
        "wide": np.stack([T, -T]),
        "gain": 2.0,
        "gains": np.arange(3.0),
        "text": "hello " * 20,
    }
    write(tmp_path / "a.mat", variables)
    table, _ = load_vectors(tmp_path / "a.mat")
    columns = {name: np.asarray(table[name], float) for name in table.column_names}
    np.testing.assert_array_equal(columns["log.imu.acc[2]"], 3 * T)
    np.testing.assert_array_equal(columns["wide[1]"], -T)
    np.testing.assert_array_equal(columns["t"], T)
    np.testing.assert_array_equal(columns["log.gps.speed"][:12], GPS**2)
    assert table["log.gps.speed"].null_count == 28
    assert not {"gain", "gains", "text", "log.name"} & set(columns)


def test_an_array_of_structs_is_a_table(tmp_path):
    rows = np.array([(i / 10, 2.0 * i) for i in range(20)], [("t", float), ("x", float)])
    savemat(tmp_path / "a.mat", {"log": rows})
    table, _ = load_vectors(tmp_path / "a.mat")
    np.testing.assert_allclose(np.asarray(table["log.x"]), 2.0 * np.arange(20))


def test_signals_of_a_scope_are_numbered(tmp_path):
    """As Simulink saves them with their times: an array of structs that have a vector each, beside numbers."""
    names = [("values", object), ("dimensions", object), ("label", object)]
    signals = np.array([(np.sin(T)[:, None], 1, "a"), (np.cos(T)[:, None], 1, "b")], names)
    savemat(tmp_path / "a.mat", {"scope": {"time": T[:, None], "signals": signals}, "many": np.zeros((3, 3, len(T)))})
    table, notes = load_vectors(tmp_path / "a.mat")
    np.testing.assert_array_equal(np.asarray(table["scope.signals[1].values"]), np.cos(T))
    assert any("three axes or more, and left out: many" in note for note in notes)


def test_vectors_in_rows_of_structs_are_columns(tmp_path):
    rows = np.array([(i / 10, np.array([1.0, 2.0 * i])) for i in range(80)], [("t", float), ("x", object)])
    savemat(tmp_path / "a.mat", {"log": rows})
    table, _ = load_vectors(tmp_path / "a.mat")
    np.testing.assert_array_equal(np.asarray(table["log.x[1]"]), 2.0 * np.arange(80))


def test_structs_in_cells_are_numbered(tmp_path):
    savemat(tmp_path / "a.mat", {"runs": np.array([{"t": T}, {"t": 2 * T}], object)})
    np.testing.assert_array_equal(np.asarray(load_vectors(tmp_path / "a.mat")[0]["runs[1].t"]), 2 * T)


@pytest.mark.parametrize("write", [write_version_5, write_version_73])
def test_a_file_without_vectors_is_refused(tmp_path, write):
    write(tmp_path / "a.mat", {"gain": 1.0, "name": "x"})
    with pytest.raises(ValueError, match="no vectors"):
        load_vectors(tmp_path / "a.mat")


@pytest.mark.parametrize(("write", "examples"), [(write_version_5, 3), (write_version_73, 40)])
def test_damage_is_an_error_of_one_kind(tmp_path, write, examples):
    write(tmp_path / "whole.mat", {"log": LOG, "t": T})
    whole = (tmp_path / "whole.mat").read_bytes()

    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(at=st.integers(0, len(whole) - 1), value=st.integers(0, 255), cut=st.booleans())
    def damage(at, value, cut):
        (tmp_path / "a.mat").write_bytes(whole[:at] if cut else whole[:at] + bytes([value]) + whole[at + 1 :])
        with contextlib.suppress(ValueError):
            assert load_vectors(tmp_path / "a.mat")[0].num_rows > 1

    damage()


def test_a_reader_that_crashes_is_an_error(tmp_path):
    """A class that is damaged: what scipy takes for a sparse matrix crashes it."""
    write_version_5(tmp_path / "a.mat", {"log": LOG, "t": T})
    whole = bytearray((tmp_path / "a.mat").read_bytes())
    assert whole[144] == 2  # the class of the first variable: a struct
    whole[144] = 5
    (tmp_path / "a.mat").write_bytes(whole)
    with pytest.raises(ValueError, match=r"its reader ended with -|array"):
        load_vectors(tmp_path / "a.mat")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real MATLAB files are not at {REAL}")
def test_real_files(tmp_path):
    (table, _), told = load_vectors(REAL / "DATA_EMPS.mat"), loadmat(REAL / "DATA_EMPS.mat")
    assert table.column_names == ["qg", "qm", "t", "vir"]
    np.testing.assert_array_equal(np.asarray(table["qm"]), told["qm"].ravel())


def test_complex_numbers_are_two_columns_and_what_fits_nothing_is_told(tmp_path):
    savemat(tmp_path / "a.mat", {"t": T, "z": np.exp(1j * T), "lone": np.arange(7.0), "gain": 2.0})
    table, notes = load_vectors(tmp_path / "a.mat")
    assert table.column_names == ["t", "z.real", "z.imag"]
    np.testing.assert_allclose(np.asarray(table["z.imag"]), np.sin(T))
    assert notes == ["vectors of a length that no other has are left out: lone (7)"]


def test_what_is_too_large_or_lies_in_another_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("worldmodel.logs.ingest.formats.tables.matlab._MOST_BYTES", 1000)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["t"], file["x"], file["large"] = T, T, np.zeros(1000)
        file["imu/rows"] = np.zeros(100, [("a", float), ("b", float)])
        file.create_dataset("far", (40,), float, external=[("b.bin", 0, 320)])
    table, notes = load_vectors(tmp_path / "a.h5")
    assert table.column_names == ["t", "x"]
    assert all(any(name in note and "left out" in note for note in notes) for name in ("large", "imu.rows", "far"))


def test_rows_of_fields_in_hdf5_are_columns(tmp_path):
    rows = np.zeros(40, [("t", "f8"), ("acc", "f4", (3,)), ("name", "S4")])
    rows["t"], rows["acc"][:, 1] = T, np.sin(T)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["imu"] = rows
    table, _ = load_vectors(tmp_path / "a.h5")
    np.testing.assert_array_equal(np.asarray(table["imu.acc[1]"]), rows["acc"][:, 1])
    np.testing.assert_array_equal(np.asarray(table["imu.t"]), T)
