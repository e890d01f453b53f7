import base64
import dataclasses
import io
import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from tests.report.made_up import COLUMNS, HORIZONS, PREDICTORS, by_hand, figures, plausible
from tests.report.made_up import score as made_score
from worldmodel.draw import Picture, new_figure, style
from worldmodel.errors import WorldModelError
from worldmodel.report import summary_table, write_report
from worldmodel.report.futures import draw_film
from worldmodel.report.measured import how_measured
from worldmodel.report.outages import outage_costs
from worldmodel.report.page import page
from worldmodel.report.svg import data_address
from worldmodel.report.tables import key_figures
from worldmodel.types import StreamSpec
from worldmodel.validate.labels import LOOKS, number
from worldmodel.validate.outages import Cost, Outage
from worldmodel.validate.result import Film

_VOID = {"meta", "img", "br"}


class Parsed(HTMLParser):
    """Tags with their attributes, the page's text, and whether every tag is closed."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(html)
        self.text = " ".join(self.words)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)


@pytest.fixture(scope="module")
def whole():
    return page(plausible())


@pytest.fixture(scope="module")
def parsed(whole):
    return Parsed(whole)


def test_the_page_needs_nothing_from_elsewhere(whole, parsed):
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in parsed.tags}
    addresses = [attrs[key] for _, attrs in parsed.tags for key in ("src", "href") if key in attrs]
    assert addresses
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    assert not re.search(r"url\(|@import|https?://", whole)
    assert len(whole) < 6e6


def test_every_tag_is_closed_and_every_link_leads_somewhere(parsed):
    assert parsed.open == []
    targets = {attrs.get("id") for _, attrs in parsed.tags}
    assert {attrs["href"][1:] for tag, attrs in parsed.tags if tag == "a"} <= targets


def test_every_stream_predictor_and_horizon_is_shown(parsed):
    wanted = [*COLUMNS, "camera", *(LOOKS[p].label for p in PREDICTORS), *(f"{h:g} s" for h in HORIZONS)]
    assert [name for name in wanted if name not in parsed.text] == []


def test_every_column_is_drawn_with_its_unit(parsed):
    plots = [attrs["src"] for tag, attrs in parsed.tags if tag == "img" and "svg" in attrs["src"][:20]]
    drawn = "".join(base64.b64decode(plot.split(",")[1]).decode() for plot in plots)
    missing = [c for s, columns in COLUMNS.items() for c in columns if f"{s} · {c[0]} ({c[1]})" not in drawn]
    assert missing == []
    assert "east of the first fix (m)" in drawn
    assert "seconds ahead" in drawn


def test_the_first_page_says_which_roles_are_shared_and_what_is_commanded():
    result = plausible(streams=("gyro",), video=False)
    result.shared_roles = "Those that measure also chose the checkpoint."
    result.setting = result.setting._replace(kind="counterfactual", actions="sinusoids and bang-bang")
    text = Parsed(page(result)).text
    first = text[: text.index("Key figures", text.index("beside"))]
    assert "Those that measure also chose the checkpoint." in first
    assert "sinusoids and bang-bang" in first


def test_an_angle_is_cut_where_it_wraps_because_its_stream_says_so():
    """And a level that jumps by as much between plus and minus 3 is not."""
    step = np.where(np.arange(300) % 2, 3.0, -3.0)[:, None]
    drawn = []
    for name in ("heading", "level"):
        result = plausible(streams=("heading",), video=False)
        spec = StreamSpec("heading", "sensor", ("angle",), ("rad",), 100.0, circular=(name == "heading",))
        result.streams["heading"] = spec
        for example in result.examples:
            example.truth["heading"] = step
        drawn.append(page(result))
    assert len(drawn[0]) != len(drawn[1])


def test_another_predictor_than_a_run_can_be_the_subject():
    result = plausible()
    result.subject = "hold"
    text = Parsed(page(result)).text
    assert "hold last is clearly better" in text
    assert "the error of hold-last" in text


def test_a_position_in_a_local_frame_has_tracks_of_its_own_axes():
    result = plausible(streams=("gps",), video=False)
    result.streams["gps"] = StreamSpec("gps", "position", ("x", "y", "z"), ("m",) * 3, 5.0, frame="map")
    seen = Parsed(page(result))
    plots = [attrs["src"] for tag, attrs in seen.tags if tag == "img" and "plot" in attrs.get("class", "")]
    drawn = "".join(base64.b64decode(plot.split(",")[1]).decode() for plot in plots)
    assert "Tracks" in seen.text
    assert "x (m)" in drawn
    assert "first fix" not in drawn


def test_a_second_page_of_the_same_result_is_the_same():
    one, two = (page(plausible(streams=("gyro", "gps"))) for _ in range(2))
    assert one == two


def test_nothing_but_figures_still_makes_a_page():
    result = by_hand({"imu": figures([None, 0.2], {"hold": [None, None]})}, [0.5, 1.0])
    text = Parsed(page(result)).text
    assert "Imagined video" not in text
    assert "Tracks" not in text
    assert "None" not in text
    assert "nan" not in text.lower()


@pytest.mark.parametrize(
    ("streams", "video", "there", "missing"),
    [
        ((), True, "Imagined video", "Sampled futures"),
        (("gyro",), False, "Sampled futures", "Tracks"),
        (("gps",), False, "Tracks", "Imagined video"),
    ],
)
def test_any_choice_of_streams(streams, video, there, missing):
    text = Parsed(page(plausible(streams=streams, video=video))).text
    assert there in text
    assert missing not in text


def test_many_columns_are_cut_and_said_to_be():
    result = plausible(streams=("gyro",), video=False)
    names = tuple(f"c{i}" for i in range(40))
    result.streams["gyro"] = StreamSpec("gyro", "sensor", names, ("V",) * 40, 100.0)
    for predictor, score in result.scores["gyro"].items():
        wide = {f: np.tile(getattr(score, f)[:, :1], 40) for f in ("column_rmse", "column_crps", "column_nrmse")}
        result.scores["gyro"][predictor] = score._replace(**wide)
    for example in result.examples:
        for part in (example.context, example.truth, *(b for b in example.baselines.values() if b)):
            part["gyro"] = np.tile(part["gyro"][:, :1], 40)
        example.members["gyro"] = np.tile(example.members["gyro"][..., :1], 40)
    text = Parsed(page(result)).text
    assert "The first 6 of 40 columns." in text
    assert "At most 6 columns of each stream." in text


def test_a_start_with_nothing_known_does_not_stop_the_page():
    result = plausible(streams=("gps", "gyro"), video=False)
    for name in ("gps", "gyro"):
        result.examples[0].context[name][:] = np.nan
        result.examples[0].truth[name][:] = np.nan
    page(result)


def test_names_cannot_write_html():
    bad = "<b onload='x'>&\"$"
    result = plausible(streams=("gyro",), video=False)
    result.streams[bad] = dataclasses.replace(result.streams.pop("gyro"), name=bad)
    for part in (result.scores, result.calibration):
        part[bad] = part.pop("gyro")
    result.scores[bad][bad] = result.scores[bad].pop("hold")
    for example in result.examples:
        example.episode = bad
        for part in (example.context, example.truth, example.members, *(b for b in example.baselines.values() if b)):
            part[bad] = part.pop("gyro")
    result.setting = result.setting._replace(name=bad, actions=bad)
    result.notes, result.shared_roles = [bad], bad
    result.provenance = result.provenance._replace(data_sha256=bad, code_version=bad)
    seen = Parsed(page(result))
    assert not any("onload" in attrs for _, attrs in seen.tags)
    assert seen.text.count(bad) > 8


def test_the_best_of_each_column_is_highlighted():
    result = by_hand({"imu": figures([0.3, 0.2], {"hold": [0.1, 0.4]})}, [0.5, 1.0])
    assert re.findall(r"<td class=best>([\d.]+)", key_figures(result)) == ["0.20", "0.10"]
    camera = by_hand({"camera": figures([30.0, 20.0], {"hold": [25.0, 21.0]}, key="psnr")}, [0.5, 1.0])
    assert re.findall(r"<td class=best>([\d.]+)", key_figures(camera)) == ["30.0", "21.0"]


def test_the_film_shows_where_truth_and_imagination_part():
    truth = np.zeros((1, 8, 8, 3), np.uint8)
    truth[0, 2, 5] = 60
    shown = Film(np.array([0.25]), np.zeros((2, 8, 8, 3), np.uint8), truth, np.zeros_like(truth))
    (axes,) = draw_film(shown, "camera").figure.axes
    drawn = axes.images[0].get_array()[..., 0]
    _, _, difference = np.split(drawn, 3)  # recorded, imagined, difference, each with three frames and gaps
    frame = difference[:8, 2 * drawn.shape[1] // 3 :][:, :8]
    assert np.argwhere(frame).tolist() == [[2, 5]]
    assert frame[2, 5] == 120
    assert [label.get_text() for label in axes.get_xticklabels()] == ["seen", "seen", "+0.25 s"]


def test_metrics_come_back_as_they_were(tmp_path):
    result = plausible(streams=("gps",))
    files = write_report(result, tmp_path / "report")
    assert files == [tmp_path / "report" / "report.html", tmp_path / "report" / "metrics.json"]
    assert sorted(files) == sorted((tmp_path / "report").iterdir())
    text = files[1].read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == result.metrics


def test_an_existing_report_is_kept_unless_forced(tmp_path):
    result = by_hand({}, [1.0])
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("mine")
    with pytest.raises(WorldModelError, match="exists already"):
        write_report(result, tmp_path / "report")
    assert [p.name for p in (tmp_path / "report").iterdir()] == ["report.html"]
    write_report(result, tmp_path / "report", force=True)
    assert {p.name for p in (tmp_path / "report").iterdir()} == {"report.html", "metrics.json"}


def test_figures_in_the_page_are_rounded_in_where_they_stand_and_not_in_what_they_say():
    with style():
        figure = new_figure(3, 2)
        axes = figure.subplots()
        axes.plot([0, 1 / 3], [0, 0.0077])
        axes.set_yticks([0, 0.0025, 0.0125])
    text = base64.b64decode(data_address(Picture(figure, "small")).partition(",")[2]).decode()
    assert {"0.0025", "0.0125"} <= set(re.findall(r">([\d.]+)</text>", text))
    assert not re.search(r"\d\.\d{3}", re.sub(r">[^<]*<", "><", text))


def test_a_failure_leaves_nothing(tmp_path):
    result = by_hand({}, [1.0], action_sensitivity=math.nan)  # which JSON cannot hold
    with pytest.raises(ValueError, match="JSON"):
        write_report(result, tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_the_terminal_table_shows_three_horizons_of_each_stream():
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(summary_table(plausible()))
    lines = console.export_text().splitlines()
    gps = next(i for i, line in enumerate(lines) if line.strip().startswith("gps"))
    assert [re.search(r"[\d.]+ s", line).group() for line in lines[gps : gps + 3]] == ["0.5 s", "1 s", "3 s"]
    assert all(" m " in line for line in lines[gps : gps + 3])
    camera = next(line for line in lines if line.strip().startswith("camera"))
    assert camera.split()[-4:] == ["–"] * 4  # noqa: RUF001
    assert "dB" in camera


def test_a_narrow_terminal_keeps_the_subject_the_floor_and_what_users_bring():
    names = [*LOOKS, "a_predictor_of_mine"]
    names.remove("scene")
    entry = figures([0.1], {name: [0.1 * (i + 1)] for i, name in enumerate(names) if name != "model"})
    result = by_hand({f"a_long_name_of_stream_{i}": entry for i in (1, 2)}, [1.0])
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary_table(result))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    (gone,) = re.findall(r"no room for (.*?): report.html has all", text.replace("\n", " "))
    (head,) = [line.split() for line in text.splitlines() if "ahead" in line]
    assert {"model", "floor", "estimated", "a_predictor_of_mine"} <= {*head}
    assert {*head} & {*gone.split(", ")} == set()
    assert len(head) - 2 + len(gone.split(", ")) == len(names)
    assert {"network", "physics", "ridge"} <= {*gone.split(", ")}
    assert all(name[-2:] in text for name in ("_1", "_2"))


def test_terminal_names_are_no_markup():
    result = by_hand({"[red]imu": figures([0.1], {"hold": [0.2]})}, [1.0])
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(summary_table(result))
    assert "[red]imu" in console.export_text()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),  # noqa: RUF001
        (0.0, "0"),
        (0.04567, "0.046"),
        (0.004567, "0.0046"),
        (-3.64e-10, "-3.6e-10"),
        (0.31, "0.31"),
        (9.999, "10.0"),
        (123.4, "123"),
        (12345.6, "12,346"),
    ],
)
def test_numbers_have_the_digits_that_matter(value, text):
    assert number(value) == text


def test_what_outages_cost_is_said_in_metres_and_in_shares():
    result = plausible(streams=("gyro", "gps"), video=False)
    assert outage_costs(result) == ""
    count = len(result.times)

    def cost(without, faulty):
        scores = (made_score(count, 3, rmse=np.full(count, x), nrmse=np.full(count, x)) for x in (without, faulty))
        ratio = np.full(count, faulty / without)
        return Cost(*scores, ratio, 0.9 * ratio, 1.1 * ratio)

    costs = {"gps": {"model": cost(0.8, 4.0), "dead_reckoning": cost(0.9, 8.0)}, "gyro": {"model": cost(1.0, 1.01)}}
    trust = {"gps": {"hold": (np.full(count, 0.1), np.full(count, 0.4)), "network": (np.ones(count), np.ones(count))}}
    result.outages = [
        Outage("gps out", "No reading for the last 10 s.", ("gps",), 5, 60, costs, {}, trust, np.full(count, 1.2))
    ]
    whole = outage_costs(result)
    text = Parsed(whole).text
    assert Parsed(whole).open == []
    assert "dead reckoning 8.00 m: 0.50 of it. With fixes it would be 0.80 m off" in text
    assert "where a raw fix at that very moment is 1.20 m off" in text
    assert "<b>10 → 40</b>" in whole
    assert whole.count('class="dear"') == 3 * len(HORIZONS)  # of gps; a change of one per cent is none
    assert "--outages" in how_measured(result)
