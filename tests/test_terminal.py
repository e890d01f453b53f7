"""Tables and sentences that fit where they are printed."""

import io
import re

import pytest
from rich.console import Console
from rich.text import Text

from worldmodel.terminal import Grid, progress_bar, say, shortened

HEAD = ("stream", "column", "samples a tick", "model", "hold", "ridge")
ROWS = [
    ("acceleration_command_front", "relative_speed_528", "12345.678", "0.123", "0.456", "0.789"),
    ("", "relative_speed_529", "1", "0.1", "0.4", "0.7"),
    ("gyro", "a name of several words", "10", "0.11", "0.44", "0.77"),
]


@pytest.mark.parametrize(("on_terminal", "show"), [(True, True), (True, False), (False, True)])
def test_a_bar_is_on_the_terminal_alone_and_never_among_what_is_printed(monkeypatch, capsys, on_terminal, show):
    monkeypatch.setattr("worldmodel.terminal.Console", lambda **given: Console(**given, force_terminal=on_terminal))
    with progress_bar(show=show) as bar:
        bar.advance(bar.add_task("reading", total=1))
    out, err = capsys.readouterr()
    assert out == ""
    assert ("reading" in err) == (on_terminal and show)


def printed(what, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    return console.file.getvalue().splitlines()


def grid(**more) -> Grid:
    return Grid(HEAD, ROWS, words=("stream", "column"), **more)


@pytest.mark.parametrize("width", range(40, 140))
def test_no_line_is_too_long_no_number_is_cut_and_no_word_is_broken(width):
    lines = printed(grid(leave=("ridge", "hold")), width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert {"12345.678", "0.123", "0.1", "0.11", "model", "gyro", "several"} <= {*words}
    whole = {word for row in (HEAD, *ROWS) for cell in row for word in cell.split()}
    for word in words:
        assert word in whole or "…" in word or set(word) == {"─"} or word in ("no", "room", "for", "ridge,", "hold,")


def test_a_table_with_room_is_whole():
    lines = printed(grid(), 100)
    assert any(re.search(r"acceleration_command_front\s+relative_speed_528\s+12345.678\s+0.123", x) for x in lines)
    assert "samples a tick" in " ".join(lines)


def test_headings_break_before_names_are_shortened():
    text = "\n".join(printed(grid(), 87))
    assert "samples a tick" not in text
    assert "acceleration_command_front" in text


def test_columns_leave_in_order_and_are_named():
    wide, narrow = (printed(grid(leave=("ridge", "hold"), where="the page has all"), w) for w in (66, 58))
    assert [x for x in wide if "no room" in x] == ["no room for ridge: the page has all"]
    assert [x for x in narrow if "no room" in x] == ["no room for hold, ridge: the page has all"]


def test_a_table_whose_columns_may_not_leave_goes_on_below():
    head = ("predictor", *(f"{i} s" for i in range(9)))
    rows = [("world model", *(f"0.{i}23 (0.1 to 0.3)" for i in range(9))), ("mean", *"123456789")]
    lines = printed(Grid(head, rows, words=("predictor",)), 80)
    assert max(map(len, lines)) <= 80
    assert sum("world model" in line for line in lines) == 3
    heads = " ".join(line for line in lines if "predictor" in line)
    assert re.findall(r"\d s\b", heads) == [f"{i} s" for i in range(9)]


def test_a_notebook_shows_a_table():
    shown = grid()._repr_mimebundle_((), ())
    assert "relative_speed_529" in shown["text/plain"]
    assert "<pre" in shown["text/html"]


def test_cells_are_no_markup_and_may_be_bold():
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system="standard")
    console.print(Grid(("name", "x"), [("[red]imu", Text("1", "bold"))], words=("name",)))
    assert "[red]imu" in console.file.getvalue()
    assert "\x1b[1m1\x1b[0m" in console.file.getvalue()


@pytest.mark.parametrize(
    ("word", "width", "short"),
    [("speed", 5, "speed"), ("relative_speed_528", 12, "relati…d_528"), ("速度センサー", 6, "速 …ー")],
)
def test_a_word_keeps_its_ends(word, width, short):
    assert shortened(word, width).strip() == short


@pytest.mark.parametrize("text", ["", "a\tname and\nlines of it " * 5, "x" * 200, " leading and trailing "])
def test_any_text_can_be_said(text):
    for terminal in (False, True):
        console = Console(file=io.StringIO(), width=40, force_terminal=terminal, no_color=True)
        say(console, text)
        assert console.file.getvalue().split() == text.split()
        assert console.file.getvalue().endswith("\n")


def test_a_sentence_breaks_between_words_on_a_terminal_alone():
    text = "imu: each reading is held for 3 rows, see /a/path/that/is/longer/than/the/width/of/it"
    for terminal, lines in ((False, 1), (True, 3)):
        console = Console(file=io.StringIO(), width=40, force_terminal=terminal, no_color=True)
        say(console, text, 4)
        said = console.file.getvalue().splitlines()
        assert len(said) == lines
        assert all(line.startswith("    ") for line in said)
        assert " ".join(line.strip() for line in said) == text
