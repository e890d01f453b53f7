"""The page of a fitted scene: what it predicts, what was found, what the recordings could not tell."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.draw import INK, MUTED, WIDTH, Picture, header_of, image_of, new_figure, page_of, style, table_of

if TYPE_CHECKING:
    from worldmodel.simulate.identification.identify import Found, Identified

WHO = {"hold": "hold-last", "before": "your scene", "after": "the fitted scene"}
_COLOURS = {"hold": "#E69F00", "before": MUTED, "after": "#0072B2"}
_MOTIONS = {
    "mass": "the same motion with and without a known load, or pushes of a known force",
    "com": "slow motion through all poses, so that gravity acts at every angle",
    "inertia": "fast reversals, so that angular acceleration is large beside gravity",
    "damping": "fast motion without commands, left to slow down",
    "friction": "slow reversals, and starts from rest under a command that rises slowly",
    "armature": "fast reversals in poses where gravity turns nothing",
    "stiffness": "holding far from the spring's rest",
    "gain": "steps of command with the masses known (--fit default,gain --fix '*.mass')",
    "lag": "steps of command, sampled fast",
    "contact": "sliding: hard braking, hard cornering, pushes that slip",
    "delay": "steps of command, sampled fast",
    "bias": "rest in several known poses",
    "offset": "the same motion both ways under the same commands",
}


def page(made: "Identified") -> str:
    """The whole page as HTML."""
    name = made.folder.name
    facts = {
        "recordings fitted": f"{len(made.fitted)}",
        "that only measure": f"{len(made.measured)}",
        "windows": f"{made.windows}",
        "numbers": f"{len(made.found)}",
        "took": f"{made.seconds:.0f} s",
    }
    before, after = made.overall("before")[-1], made.overall("after")[-1]
    verdict = f"{made.horizons_s[-1]:g} s ahead its error is {after:.2g}, your scene's {before:.2g} (NRMSE)"
    parts = [
        ("predicts", "What it predicts", _predicts(made)),
        ("found", "What was found", _found(made.found)),
        ("untold", "What the recordings do not tell", _untold(made.found)),
        ("how", "How it was fitted", _how(made)),
    ]
    return page_of(f"{name} · identified", header_of("A scene fitted to recordings", name, verdict, facts), parts)


def error_rows(made: "Identified") -> list[list[str]]:
    """Errors by horizon, all streams together and each, for the page and the terminal."""
    rows = [["error (NRMSE)", *(f"{h:.3g} s" for h in made.horizons_s)]]
    for who, word in WHO.items():
        rows.append([f"all: {word}", *(f"{e:.3g}" for e in made.overall(who))])
    for stream in made.errors["after"]:
        rows += [[f"{stream}: {word}", *(f"{e:.3g}" for e in made.errors[who][stream])] for who, word in WHO.items()]
    return rows


def number_rows(found: Sequence["Found"]) -> list[list[str]]:
    """What was found, for the page and the terminal."""
    rows = [["number", "yours", "fitted", "±", "unit", "told by the log"]]
    for f in found:
        told = f.told + ("; at a bound or far from yours" if f.at_bound else "")
        rows.append([f.name, f"{f.before:.4g}", f"{f.after:.4g}", f"{f.std:.2g}", f.unit, told])
    return rows


def _predicts(made: "Identified") -> str:
    measured = "recordings that were not fitted" if made.measured else "the very recordings that were fitted"
    return (
        f'<p class="lead">It promises predictions, not the true masses: several sets of numbers predict alike, and '
        f"where the recordings cannot choose, your value decides. Errors are those on {measured}, in deviations of the "
        f'readings.</p><div class="card">{table_of(error_rows(made))}</div>'
        f'<div class="card">{image_of(draw_errors(made))}</div>'
    )


def _found(found: Sequence["Found"]) -> str:
    return (
        "<p>±: one standard deviation, from fits that each leave one recording out, with the prior's where these tell "
        "nothing. Factors (gains, inertias) are of your value.</p>"
        f'<div class="card">{table_of(number_rows(found))}</div>'
    )


def _untold(found: Sequence["Found"]) -> str:
    untold: dict[str, list[str]] = {}
    for each in found:
        if each.told != "clearly":
            untold.setdefault(each.group, []).append(each.name)
    items = [
        f"<li><strong>{escape(', '.join(names))}</strong><br>Would be told by {escape(_MOTIONS[group])}.</li>"
        for group, names in untold.items()
    ]
    return f'<ul class="notes">{"".join(items)}</ul>' if items else "<p>All numbers are clearly told.</p>"


def _how(made: "Identified") -> str:
    left_out = f" {made.unstable} windows were left out, for simulations of them became unstable." * (made.unstable > 0)
    windows = f"{made.windows} of {made.possible}" if made.windows < made.possible else f"all {made.windows}"
    cut = " The search had not settled when the time was up that it was given (<code>--minutes</code>)." * made.cut
    return (
        f"<p>By shooting through {windows} windows of at most {made.horizons_s[-1]:g} s, whose starts were free "
        "within what the readings about them say, over three horizons in turn; each reading weighed by the error made "
        f"at its moment and column; each number held to yours by a prior of a plausible error.{left_out}{cut}</p>"
        f"<p>What is left out of the fit is predicted with an error {np.sqrt(made.optimism):.3g} times as large as the "
        "fit's own, by a step of the search each.</p>"
        f"<p>Fitted: {escape(', '.join(made.fitted))}. Only measured: {escape(', '.join(made.measured) or 'none')}.</p>"
    )


def draw_errors(made: "Identified") -> Picture:
    """Errors over the horizon, a panel a stream."""
    streams = list(made.errors["after"])
    with style():
        figure = new_figure(WIDTH, 2.6)
        panels = figure.subplots(1, len(streams), squeeze=False)[0]
        for axes, stream in zip(panels, streams, strict=True):
            for who, word in WHO.items():
                errors = np.where(made.errors[who][stream] > 0, made.errors[who][stream], np.nan)  # for the axis
                axes.plot(made.horizons_s, errors, "o-", color=_COLOURS[who], label=word, ms=3)
            axes.set_yscale("log")
            axes.set_title(stream, color=INK)
            axes.set_xlabel("s ahead")
        panels[0].set_ylabel("NRMSE")
        panels[-1].legend(frameon=False)
        return Picture(figure, "errors over the horizon")
