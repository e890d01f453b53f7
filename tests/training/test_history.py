"""A run's figures over its steps."""

import json

from worldmodel.training.history import METRICS, History


def test_what_is_not_finite_is_null_and_no_warning(tmp_path, caplog):
    with History(tmp_path, 0) as history:
        history.add(1, loss=2.0, least=float("nan"))
    assert json.loads((tmp_path / METRICS).read_text()) == {"step": 1, "loss": 2.0, "least": None}
    assert caplog.text == ""
