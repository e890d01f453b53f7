"""What the page is made of: plain files, served as they are, or put together for a notebook."""

import re
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
# In an order in which each imports only those before it.
MODULES = (
    "wire.js", "pixels.js", "chart.js", "map.js", "panels.js", "ground.js", "camera.js", "timeline.js", "commands.js",
    "driving.js", "controls.js", "readout.js", "watching.js", "asking.js", "theme.js", "view.js", "replay.js",
    "drive.js", "explore.js",
)  # fmt: skip
_IMPORT = re.compile(r"^import .*? from \"\./\w+\.js\";\n", re.MULTILINE | re.DOTALL)


def one_module() -> str:
    """All modules as one, which is what a widget wants: their names differ, so they can stand in one scope."""
    parts = [_IMPORT.sub("", (ASSETS / name).read_text(encoding="utf-8")) for name in MODULES]
    return re.sub(r"^export (?=(async )?(function|class|const))", "", "\n".join(parts), flags=re.MULTILINE)
