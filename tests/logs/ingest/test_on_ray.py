"""The same ingest on a cluster of two nodes of this machine, one of which is lost in the middle."""

import threading
import time

import pytest

from tests.logs.ingest.test_ingest import RECIPE, content
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.conversion import Parts

ROWS = "t,v\n" + "".join(f"{row / 100},{row % 97}\n" for row in range(200_000))


@pytest.fixture
def cluster(monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield cluster
    cluster.shutdown()


def test_a_lost_node_costs_nothing_but_time(tmp_path, cluster):
    second = cluster.add_node(num_cpus=1)
    tables, recipe, out = tmp_path / "in", tmp_path / "recipe.toml", tmp_path / "ray.h5"
    tables.mkdir()
    recipe.write_text(RECIPE)
    for number in range(8):
        (tables / f"{number}.csv").write_text(ROWS.replace("\n0.01,", f"\n0.01,{number}"))
    lost = []

    def lose() -> None:
        while not list(Parts(out).folder.glob("*.h5")):
            time.sleep(0.01)
        lost.append(len(list(Parts(out).folder.glob("*.h5"))))
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=lose)
    killer.start()
    ingest(tables, out, recipe=recipe, ray=cluster.address, progress=False)
    killer.join()
    assert lost[0] < 8
    ingest(tables, tmp_path / "straight.h5", recipe=recipe, progress=False)
    assert content(out) == content(tmp_path / "straight.h5")
    (tables / "5.csv").write_text("t,other\n0,1\n")
    with pytest.raises(RecipeError, match=r"5\.csv lacks columns"):
        ingest(tables, tmp_path / "no.h5", recipe=recipe, ray=cluster.address, progress=False)


def test_no_cluster_is_said(tmp_path):
    (tmp_path / "a.csv").write_text("t,v\n0,1\n")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    for address in ("nonsense", "127.0.0.1:9"):
        with pytest.raises(RecipeError, match="no Ray cluster at"):
            ingest(
                tmp_path / "a.csv", tmp_path / "log.h5", recipe=tmp_path / "recipe.toml", ray=address, progress=False
            )
