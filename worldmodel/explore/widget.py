"""The page as a widget: JupyterLab, VS Code and marimo show it (anywidget)."""

from typing import Any

from worldmodel.errors import WorldModelError
from worldmodel.explore.answers import Answers
from worldmodel.explore.assets import ASSETS, one_module
from worldmodel.explore.wire import packed

_RENDER = """
export default { render({ model, el }) {
  const waiting = new Map(); let last = 0;
  const own = ({ buffer, byteOffset, byteLength }) => buffer.slice(byteOffset, byteOffset + byteLength);
  const receive = (head, [floats, pixels]) => {
    const answer = unpacked(head, new Float32Array(own(floats)), new Uint8Array(own(pixels)));
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  };
  model.on("msg:custom", receive);
  const ask = (request) => new Promise((resolve) => {
    waiting.set(++last, resolve); model.send({ ...request, id: last });
  });
  const close = mount(el, ask);
  return () => { model.off("msg:custom", receive); close(); };
} };
"""


def widget_of(explorer: Answers) -> Any:
    """A widget that asks the explorer.

    Raises:
        WorldModelError: if anywidget is missing.
    """
    try:
        import anywidget
    except ImportError as error:
        remedy = "pip install 'worldmodel-toolkit[explore]'"
        raise WorldModelError("The widget needs another package.", found=str(error), remedy=remedy) from error

    class Explore(anywidget.AnyWidget):
        _esm = one_module() + _RENDER
        _css = (ASSETS / "explore.css").read_text(encoding="utf-8")

    def answer(widget: Any, request: dict[str, Any], _: Any) -> None:
        head, *arrays = packed({"id": request.get("id"), **explorer.handle(request)})
        widget.send(head, arrays)

    widget = Explore()
    widget.on_msg(answer)
    return widget
