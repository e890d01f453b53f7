"""Sources that lie elsewhere: an S3 server and a web server of this machine's own."""

import functools
import http.server
import threading

import pytest

from tests.logs.ingest.test_ingest import RECIPE, TABLES
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.remote import fetched
from worldmodel.logs.reader import Log


@pytest.fixture(scope="module")
def bucket():
    """A bucket `drives` with tables in a folder."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    place = "http://{}:{}".format(*server.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", place)
        patch.setenv("AWS_ACCESS_KEY_ID", "made-up")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket="drives")
        for name, text in TABLES.items():
            client.put_object(Bucket="drives", Key=f"june/{name[:2]}/{name}", Body=text.encode())
        yield client
    server.stop()


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path / "recipe.toml"


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("s3://drives/june", sorted(TABLES)),
        ("s3://drives/june/t1/t1.csv", ["t1.csv"]),
        ("s3://drives/june/t[12]/*.csv", ["t1.csv", "t2.csv"]),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_a_folder_a_file_and_a_pattern_of_a_bucket(tmp_path, recipe, url, names):
    ingest(url, tmp_path / "log.h5", recipe=recipe, progress=False)
    assert [episode.name for episode in Log(tmp_path / "log.h5").episodes] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.h5", "recipe.toml"]


def test_what_is_here_is_not_fetched_again_unless_it_changed(bucket, tmp_path):
    said: list[str] = []
    for _ in range(2):
        fetched(["s3://drives/june/t3/t3.csv", "here.csv"], tmp_path, said.append)
    assert said == ["drives/june/t3/t3.csv"]
    bucket.put_object(Bucket="drives", Key="june/t3/t3.csv", Body=b"t,v\n")
    (path, here) = fetched(["s3://drives/june/t3/t3.csv", "here.csv"], tmp_path)
    assert (path.read_bytes(), here) == (b"t,v\n", "here.csv")
    bucket.put_object(Bucket="drives", Key="june/t3/t3.csv", Body=TABLES["t3.csv"].encode())


@pytest.mark.parametrize("url", ["s3://drives/july", "s3://nobody/june", "nonsense://a/b"])
@pytest.mark.usefixtures("bucket")
def test_what_is_not_there_is_said(tmp_path, recipe, url):
    with pytest.raises(RecipeError, match=rf"{url} cannot be fetched"):
        ingest(url, tmp_path / "log.h5", recipe=recipe, progress=False)
    assert list(tmp_path.iterdir()) == [recipe]


def test_a_file_on_the_web(tmp_path, recipe):
    served = tmp_path / "served"
    served.mkdir()
    (served / "t0.csv").write_text(TABLES["t0.csv"])
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ingest(f"http://127.0.0.1:{server.server_port}/t0.csv", tmp_path / "log.h5", recipe=recipe, progress=False)
        server.shutdown()
    assert Log(tmp_path / "log.h5").episodes[0].name == "t0.csv"
