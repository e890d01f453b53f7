"""The page in a real browser: a moment is chosen, a command drawn, a key held; its figures are the explorer's."""

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest

from tests.explore.test_drive import Startled, drive_of
from tests.explore.test_explorer import received
from worldmodel.errors import WorldModelError
from worldmodel.explore.assets import ASSETS, MODULES, one_module
from worldmodel.explore.server import create_app, explore_page
from worldmodel.explore.widget import widget_of
from worldmodel.explore.wire import packed
from worldmodel.simulate import load_scene

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


AS_WIDGET = """async (source) => {
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    let hear;
    const model = { on: (_, heard) => { hear = heard; }, off() {} };
    model.send = async (request) => {
        const [head, ...arrays] = await answer(request);
        hear({ id: request.id, ...head }, arrays.map((bytes) => new DataView(new Uint8Array([0, ...bytes]).buffer, 1)));
    };
    (await import(address)).default.render({ model, el: document.getElementById("cell") });
}"""


HELD_BACK = """() => {
    const at_once = window.answer, released = new Promise((go) => { window.release = go; });
    window.answer = async (request) => { if (request.kind === "drive") await released; return at_once(request); };
}"""

STOPPED = """
import contextlib
from worldmodel.explore.server import explore_page
with contextlib.suppress(KeyboardInterrupt):  # as the command does
    explore_page(None, browser=False)
"""


def test_two_interrupts_end_it_without_a_traceback():
    page = subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with urllib.request.urlopen(page.stdout.readline().split()[0]) as answer:  # then it listens to signals, too
        assert answer.status == 200
    for pause_s in (0.05, 0):
        page.send_signal(signal.SIGINT)
        time.sleep(pause_s)
    assert page.communicate(timeout=30)[1] == ""


class Told:
    """An explorer that remembers what it was asked."""

    def __init__(self, explorer):
        self.explorer, self.requests, self.answer = explorer, [], None

    def handle(self, request):
        self.requests.append(request)
        self.answer = self.explorer.handle(request)
        return self.answer

    def imagined(self):
        return [r for r in self.requests if r.get("kind") == "imagine"]


@pytest.fixture
def told(explorer):
    return Told(explorer)


@pytest.fixture
def address(told):
    uvicorn = pytest.importorskip("uvicorn")
    server = uvicorn.Server(uvicorn.Config(create_app(told), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def page(address):
    if BROWSER is None:
        pytest.skip("there is no Chromium")
    playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with playwright() as driver, contextlib.closing(
        driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
    ) as browser:  # fmt: skip
        opened, failures = browser.new_page(viewport={"width": 1280, "height": 900}), []
        opened.on("pageerror", lambda error: failures.append(error))
        opened.goto(address)
        at_rest(opened)
        yield opened
        assert not failures


def as_widget(answer):
    """An answer as a notebook's host would bring it."""
    head, *arrays = packed(answer)
    return [head, *map(list, arrays)]


def at_rest(page):
    page.wait_for_selector('.wm-explore[aria-busy="false"]', timeout=120_000)


def until(page, done):
    """Waits, while the page goes on, until something is so."""
    ends_s = time.monotonic() + 60
    while not done():
        assert time.monotonic() < ends_s
        page.wait_for_timeout(20)


def shown(page, column="gps.east"):
    return page.text_content(f'[data-column="{column}"] .read')


def answered(told, stream="gps", column=0):
    """What the page should say of the last request."""
    return ends(told.explorer.handle(told.imagined()[-1])["streams"][stream]["columns"][column])


def ends(column):
    """The mean at the horizon's end, and the outer band."""
    mean, bands = column["mean"], column["bands"]
    return [float(x) for x in (mean[-1], bands[0, -1], bands[4, -1])]


def apart(told):
    """How far the mean of the last answer is from MuJoCo."""
    return told.explorer.handle(told.imagined()[-1])["streams"]["gps"]["columns"][0]["twin"]["apart"]


def short(value):
    """A figure as the page writes it."""
    if not np.isfinite(value):
        return "\u2013"
    digits = next(n for n, least in ((0, 1000), (1, 100), (2, 1), (3, 0)) if abs(value) >= least)
    return f"{value:.{digits}f}"


def figures(text):
    words = text.split(": ")[1].replace("(", "").replace(")", "").replace("to ", "").split()
    return [float(word) for word in words]


def test_a_moment_a_command_and_a_key(page, told):
    np.testing.assert_allclose(figures(shown(page)), answered(told), rtol=0.01, atol=1e-3)

    moment = told.imagined()[-1]["at_s"]
    page.focus("#moment")
    page.keyboard.press("ArrowRight")
    at_rest(page)
    assert told.imagined()[-1]["at_s"] == pytest.approx(moment + 0.1)
    np.testing.assert_allclose(figures(shown(page)), answered(told), rtol=0.01, atol=1e-3)

    before, box = shown(page), page.locator(".curve").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 10, box["y"] + 20, steps=3)
    page.mouse.up()
    at_rest(page)
    drawn = np.array(told.imagined()[-1]["actions"]["force"])
    assert np.ptp(drawn[:, 1]) < 1e-6  # a level line was drawn
    assert "recorded, under the recorded commands" in page.text_content(".wm-explore p.legend")
    assert shown(page) != before
    np.testing.assert_allclose(figures(shown(page)), answered(told), rtol=0.01, atol=1e-3)

    asked = len(told.imagined())
    page.focus(".pad")
    page.keyboard.down("ArrowLeft")
    until(page, lambda: len(told.imagined()) > asked + 2)  # the futures follow while it is held
    page.keyboard.up("ArrowLeft")
    at_rest(page)
    driven = np.array(told.imagined()[-1]["actions"]["force"])
    assert (driven[:, 1] < drawn[:, 1] - 0.01).all()
    np.testing.assert_allclose(figures(shown(page)), answered(told), rtol=0.01, atol=1e-3)

    assert page.text_content('[data-column="gps.east"] .rmse') == f"from MuJoCo {short(apart(told))}"
    page.evaluate("navigator.getGamepads = () => [{ axes: [0.575, 0] }]")  # half of what is not its rest
    page.evaluate("dispatchEvent(new Event('gamepadconnected'))")
    streams = {stream["name"]: stream for stream in told.explorer.handle({"kind": "info"})["streams"]}
    half = streams["force"]["columns"][0]["high"] / 2
    until(page, lambda: np.allclose(np.array(told.imagined()[-1]["actions"]["force"])[:, 1], half))
    page.evaluate("navigator.getGamepads = () => []")
    at_rest(page)

    page.click("text=As recorded")
    page.uncheck("#twin")
    at_rest(page)
    assert "recorded" not in page.text_content(".wm-explore p.legend")
    assert "MuJoCo" not in page.text_content('[data-column="gps.east"] .rmse')
    page.wait_for_selector(".alarms .over")
    assert "Alarm: surprise (gps)." in page.text_content(".alarms")
    errors = told.explorer.handle(told.imagined()[-1])["streams"]["gps"]["errors"][0]["rmse"]
    assert page.locator('[data-error="gps"] td').all_text_contents() == [short(error) for error in errors]

    page.uncheck('[data-stream="camera"]')
    at_rest(page)
    assert told.imagined()[-1]["silent"] == ["camera"]
    assert "Nothing was seen of camera" in page.text_content(".wm-explore")
    assert page.locator(".strip canvas").count() == 3 + 2 * 4
    page.evaluate("document.querySelector('#episode').value = 1")
    page.dispatch_event("#episode", "change")
    at_rest(page)
    assert told.imagined()[-1]["episode"] == 1
    assert "actions" not in told.imagined()[-1]

    page.set_content("<div id=cell></div>")  # the same as a widget, whose host sends and hears
    asking = [told]
    page.expose_function("answer", lambda request: as_widget(asking[0].handle(request)))
    page.evaluate(AS_WIDGET, widget_of(told)._esm)
    at_rest(page)
    np.testing.assert_allclose(figures(shown(page)), answered(told), rtol=0.01, atol=1e-3)

    live = Told(drive_of(load_scene("cartpole"), time.monotonic, watch=Startled()))
    asking[0] = live
    page.set_content("<div id=cell></div>")  # the same page, of a scene that is driven
    page.evaluate(HELD_BACK)
    page.evaluate(AS_WIDGET, widget_of(live)._esm)
    page.wait_for_selector(".busy .status:has-text('compiling')")
    page.evaluate("release()")
    page.wait_for_selector(".fan .read:not(:empty)")
    page.focus(".pad")
    page.keyboard.down("ArrowRight")
    until(page, lambda: live.requests[-1]["commands"]["push"][0] > 1)
    page.keyboard.up("ArrowRight")
    asked = len(live.requests)
    until(page, lambda: len(live.requests) > asked + 2)  # it goes on by itself
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")  # another tab
    asked = len(live.requests)
    page.wait_for_timeout(300)
    assert len(live.requests) <= asked + 1
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    until(page, lambda: len(live.requests) > asked + 2)
    page.wait_for_selector(".raised:not([hidden])")
    assert re.fullmatch(r"Last alarm, at [\d.]+ s: surprise \(cart\)", page.text_content(".raised span"))
    page.click("#seen")
    page.wait_for_selector(".raised", state="hidden")
    page.click("#pause")
    at_rest(page)
    column = live.answer["streams"]["cart"]["columns"][0]
    np.testing.assert_allclose(figures(shown(page, "cart.position")), ends(column), rtol=0.01, atol=1e-3)
    page.click("#pause")
    page.wait_for_function("document.querySelector('#pause').textContent == 'Pause'")


def test_what_is_said_and_asked_for_stays_in_view(page):
    page.set_viewport_size({"width": 1280, "height": 640})
    page.mouse.move(1000, 400)
    page.mouse.wheel(0, 500)
    page.wait_for_function("scrollY > 100")
    for part in (".status", "#moment", "aside"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= 640, part


def test_a_program_that_is_gone_is_told_with_what_to_do(page):
    page.add_init_script("WebSocket = class { constructor() { setTimeout(() => this.onerror(), 0); } }")
    page.reload()
    page.wait_for_selector(".alarm:not([hidden])")
    assert re.search(r"does not answer.\n  do: +start worldmodel explore again", page.text_content(".alarm"))
    assert page.text_content(".status") == "stopped"


def test_what_is_said_moves_nothing_on_a_narrow_screen(page):
    """A curve that is drawn on stays under the pointer."""
    page.set_viewport_size({"width": 390, "height": 844})
    told = "text => { document.querySelector('.status').textContent = text; }"
    page.evaluate(told, "computing \u2026")
    before = page.locator(".curve").bounding_box()
    for text in ("128 futures and frames in 100617 ms", "compiling: " + 8 * "the first answer takes seconds "):
        page.evaluate(told, text)
        assert page.locator(".curve").bounding_box() == before
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_of_requests_that_wait_the_newest_is_answered(told):
    from starlette.testclient import TestClient

    handled, go = told.handle, threading.Event()
    told.handle = lambda request: (go.wait(10), handled(request))[1]
    with TestClient(create_app(told)).websocket_connect("ws://127.0.0.1/socket") as talk:
        for number in range(4):
            talk.send_text(json.dumps({"kind": "info", "id": number}))
            time.sleep(0.05)
        go.set()
        answers = {answer["id"]: answer for answer in (received(talk.receive_bytes()) for _ in range(4))}
        assert [number for number, answer in answers.items() if answer.get("overtaken")] == [1, 2]
        assert "episodes" in answers[0]
        assert "episodes" in answers[3]
        talk.send_text("[1")
        assert "JSON object" in received(talk.receive_bytes())["error"]


@pytest.mark.parametrize(
    ("host", "headers"),
    [("127.0.0.1", {"origin": "http://elsewhere.example"}), ("elsewhere.example", {})],
)
def test_no_page_of_another_site_is_answered(told, host, headers):
    from starlette.testclient import TestClient
    from starlette.websockets import WebSocketDisconnect

    client = TestClient(create_app(told))
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(f"ws://{host}/socket", headers=headers),
    ):
        pass
    assert told.requests == []


def test_a_port_that_is_taken_is_told(told):
    with socket.create_server(("127.0.0.1", 0)) as bound, pytest.raises(WorldModelError, match="cannot be used"):
        explore_page(told, port=bound.getsockname()[1], browser=False)


def test_the_widget_has_the_same_page(told):
    widget, sent = widget_of(told), []
    widget.send = lambda head, arrays: sent.append(head)
    widget._handle_custom_msg({"kind": "info", "id": 7}, [])
    assert sent[0]["id"] == 7
    assert "episodes" in sent[0]
    assert "./" not in widget._esm
    assert set(MODULES) | {"transport.js"} == {path.name for path in ASSETS.glob("*.js")}
    found = re.findall(r"^(?:async )?(?:function|const|class) (\w+)", one_module(), re.MULTILINE)
    assert len(found) == len(set(found)) > 20
