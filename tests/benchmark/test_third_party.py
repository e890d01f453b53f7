"""Forecasters of other libraries enter the benchmark as predictors: scikit-learn's, and a torch module."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from tests.benchmark.made_up import lag_problem, quick_validate, write_recordings
from worldmodel.benchmark import PROBLEMS, benchmark, run
from worldmodel.validate import Forecast


class Regression:
    """A regression of everything ahead on everything seen and commanded, of the stream `level`."""

    def fit(self, windows, *, minutes: float, seed: int) -> None:
        seen = windows.arrays(range(len(windows)))
        commands = np.concatenate([seen.actions_past, seen.actions], 1)
        self.learn(_flat(seen.past["level"], commands), _flat(seen.future["level"]), seed)

    def predict(self, problem) -> Forecast:
        ahead = self.answer(_flat(problem.past["level"], problem.actions["valve"]))
        return Forecast({"level": ahead.reshape(len(ahead), problem.horizon, 1)})


class SklearnRidge(Regression):
    name = "sklearn_ridge"

    def learn(self, inputs, targets, seed):
        self.answer = Ridge(alpha=1e-6).fit(inputs, targets).predict


class TorchLinear(Regression):
    name = "torch_linear"

    def learn(self, inputs, targets, seed):
        import torch

        torch.manual_seed(seed)
        inputs, targets = (torch.as_tensor(x, dtype=torch.float32) for x in (inputs, targets))
        net = torch.nn.Linear(inputs.shape[1], targets.shape[1])
        optimiser = torch.optim.LBFGS(net.parameters(), max_iter=200, line_search_fn="strong_wolfe")

        def closure():
            optimiser.zero_grad()
            loss = (net(inputs) - targets).square().mean()
            loss.backward()
            return loss

        optimiser.step(closure)
        self.answer = lambda x: net(torch.as_tensor(x, dtype=torch.float32)).detach().numpy()


def _flat(*parts):
    return np.concatenate([part.reshape(len(part), -1) for part in parts], 1)


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """What one seed of the benchmark says of a predictor, by its class: NRMSE at half a second, and hold's."""
    data = write_recordings(tmp_path / "data")
    monkeypatch.setitem(PROBLEMS, "lag", lag_problem(data))
    monkeypatch.setattr(run, "train", lambda *_, **__: SimpleNamespace(notes=()))
    monkeypatch.setattr(run, "validate", quick_validate)

    def measure(predictor):
        files = benchmark(tmp_path / "out", problems=["lag"], models=[predictor], seeds=1, data=data, progress=False)
        rows = json.loads(files[0].read_text())["rows"]
        wanted = {"stream": "level", "figure": "nrmse", "horizon_s": 0.5}
        there = {row["model"]: row["value"] for row in rows if wanted.items() <= row.items()}
        return there[predictor.name], there["hold"]

    return measure


def test_a_regression_of_scikit_learn_learns_the_lag(measured):
    ridge, hold = measured(SklearnRidge)
    assert ridge < 0.01 < hold


def test_a_torch_module_learns_the_lag(measured):
    pytest.importorskip("torch", reason="torch is not installed: the torch forecaster is not tried")
    net, hold = measured(TorchLinear)
    assert net < 0.05 < hold
