# SPDX-License-Identifier: Apache-2.0
"""The pages of comparisons: what to compare, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expo_ft_ros.dashboard.checkpoint_comparison import MOST, Comparison
from expo_ft_ros.dashboard.pages import address, button, document, link, notice, table
from expo_ft_ros.experiment.progress import wilson
from expo_ft_ros.report import page
from expo_ft_ros.report.page import Html, element

_SHARED = 0.05  # p below which a difference is told to be one


def choice_page(
    runs: Sequence[str],
    chosen: Sequence[str],
    checkpoints: Sequence[Path],
    earlier: Sequence[tuple[str, Comparison]],
    refused: str = "",
) -> str:
    """What may be compared. runs: that have checkpoints; chosen: one or two of them, whose
    checkpoints are shown; earlier: name -> comparisons, the newest first."""
    selects = [
        element("label", title, element("select", *_options(runs, chosen, place), name="run"))
        for place, title in enumerate(("Run", "Another run"))
    ]
    of_runs = element(
        "form", *selects, element("button", "Show checkpoints"), method="get", class_="whole"
    )
    told = notice(refused) if refused else Html("")
    parts = [element("p", "On the same scenes, with the same noise.", class_="lead"), told, of_runs]
    if checkpoints:
        parts.append(_form(checkpoints))
    elif chosen:
        parts.append(page.absent("No checkpoint there yet."))
    rows = [
        (link(name, "comparisons", name), str(len(each.checkpoints)), str(each.scenes), each.state)
        for name, each in earlier
    ]
    if rows:
        names = ("comparison", "checkpoints", "scenes", "state")
        parts.append(page.section("Earlier comparisons", table(names, rows)))
    return document("Compare checkpoints", *parts)


def _options(runs: Sequence[str], chosen: Sequence[str], place: int) -> list[Html]:
    wanted = chosen[place] if place < len(chosen) else ""
    options = [element("option", "none", value="")]
    for name in runs:
        selected = {"selected": "selected"} if name == wanted else {}
        options.append(element("option", name, value=name, **selected))
    return options


def _form(checkpoints: Sequence[Path]) -> Html:
    boxes = [
        element(
            "label",
            element("span", told(path), class_="name"),
            element("input", type="checkbox", name="checkpoint", value=str(path)),
        )
        for path in checkpoints
    ]
    rules = [
        element("option", "as it was trained", value="agent"),
        element("option", "the VLA's first chunk", value="vla"),
    ]
    return element(
        "form",
        page.section(f"Checkpoints (two to {MOST})", *boxes),
        element(
            "label",
            "Scenes",
            element("input", type="text", name="scenes", value="20"),
            element("small", "Trials of each checkpoint; of some seconds each."),
        ),
        element("label", "Acts by", element("select", *rules, name="rule")),
        element("div", element("button", "Compare", class_="main"), class_="row"),
        method="post",
        action=address("comparisons"),
        class_="whole",
    )


def comparison_page(name: str, compared: Comparison, *, playing: bool, said: str = "") -> str:
    """What came of a comparison by now. playing: whether it is being played; said: by what played
    it, before it ended otherwise than well."""
    parts: list[Html] = []
    state = compared.state if playing or compared.state != "playing" else "stopped"
    lead = (
        f"{state}; {compared.scenes} scenes from seed {compared.first_scene} on, by {compared.rule}"
    )
    parts.append(element("p", lead, class_="lead"))
    if compared.why or said:
        parts.append(notice(compared.why or said))
    if playing:
        parts.append(button("Stop", "comparisons", name, "stop", kind="stop"))
    elif state == "stopped":
        parts.append(button("Go on", "comparisons", name, "resume", kind="main"))
    names = ("checkpoint", "played", "successes", "rate", "95% interval", "mean steps")
    parts.append(table(names, [_row(compared, each) for each in compared.checkpoints]))
    pairs = [
        (
            f"{told(one)} against {told(other)}",
            str(both),
            str(pair.better),
            str(pair.worse),
            f"{pair.p:.3g}",
            "a difference" if pair.p < _SHARED else "none is shown",
        )
        for one, other, both, pair in compared.pairs()
    ]
    if pairs:
        names = ("pair", "scenes", "only the first", "only the second", "p", "says")
        words = (
            "Scenes that only one of two succeeded on; p of McNemar's exact test, two-sided: how "
            "often two equal policies would differ so much. It isn't corrected for many pairs."
        )
        parts.append(page.section("Pair by pair", table(names, pairs), element("p", words)))
    return document(f"Comparison {name}", *parts, refresh=3 if playing else None)


def _row(compared: Comparison, checkpoint: Path) -> list[str]:
    trials = compared.trials(checkpoint)
    played, good = len(trials.success), sum(trials.success)
    if not played:
        return [told(checkpoint), f"0/{compared.scenes}", "", "", "", ""]
    low, high = wilson(good, played)
    return [
        told(checkpoint),
        f"{played}/{compared.scenes}",
        str(good),
        f"{good / played:.0%}",
        f"{low:.0%} to {high:.0%}",
        f"{sum(trials.steps) / played:.0f}",
    ]


def told(checkpoint: Path) -> str:
    """A checkpoint in words: its run, and its name there."""
    return f"{checkpoint.parent.parent.name} / {checkpoint.stem}"
