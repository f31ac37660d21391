# SPDX-License-Identifier: Apache-2.0
"""The report of one run: <run>/report.html, and its figures as files in <run>/report/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.experiment.progress import format_duration, wilson
from expo_ft_ros.experiment.run_folder import classifier_in
from expo_ft_ros.monitor.overlay import marks_of
from expo_ft_ros.recording.recorded_episode import RecordedEpisode, read_choices
from expo_ft_ros.report import learning, page
from expo_ft_ros.report.curves import training_curves
from expo_ft_ros.report.drawing import Picture, render
from expo_ft_ros.report.latency import read_latencies
from expo_ft_ros.report.learning import Edits, edits_of
from expo_ft_ros.report.page import Html
from expo_ft_ros.report.run_data import FINISHED, RUNNING, EpisodeLine, RunData
from expo_ft_ros.report.strips import newest, q_limits, q_strip
from expo_ft_ros.report.windows import WINDOW

PAGE, FOLDER = "report.html", "report"

EVALUATION_TITLES = {"eval_before": "success after imitation", "eval_after": "success after RL"}


class _Writer:
    """Puts each picture into the run's folder and onto the page."""

    def __init__(self, run: RunData) -> None:
        self._run = run
        self.names: list[str] = []

    def show(self, picture: Picture, caption: str) -> Html:
        name = f"{picture.name}.png"
        (self._run.path / FOLDER / name).write_bytes(picture.png)
        self.names.append(name)
        return page.figure(picture, caption, f"{FOLDER}/{name}")


def write_report(run: RunData) -> Path:
    """Writes the page and the figures of a run, in place of older ones; gives the page's path.

    Raises:
        ConfigError: when the folder can't be written.
    """
    path = run.path / PAGE
    try:
        (run.path / FOLDER).mkdir(exist_ok=True)
        writer = _Writer(run)
        body = [
            *_head(run),
            page.section("Training", *_curves(run, writer)),
            page.section("Q over a success and a failure", *_strips(run, writer)),
            page.section("Edits", *_edits(run, writer)),
            page.section("Learner", *_learner(run, writer)),
            page.section("Wall clock", *_wall(run, writer)),
            page.section("Latency", *_latency(run)),
            page.section("Episodes", *_episodes(run)),
            page.section("Configuration", *_configuration(run)),
        ]
        path.write_text(page.page(f"{run.name}: report", body), encoding="utf-8")
        for old in (run.path / FOLDER).glob("*.png"):
            if old.name not in writer.names:
                old.unlink()
    except OSError as error:
        raise ConfigError(
            f"{error.filename or path}: can't be written: {error.strerror} (copy the run to a "
            "folder of yours, and report that)"
        ) from error
    return path


def _head(run: RunData) -> list[Html]:
    what = ", ".join(filter(None, (run.option("algorithm"), run.option("preset"))))
    world = "in real time" if run.option("realtime") == "True" else "in lock-step"
    task = Path(run.option("task")).stem
    lead = f"expo-ft {run.kind} · task {task} · {what or 'no learner'} · {world}"
    parts = [page.element("h1", run.name), page.element("p", lead, class_="lead")]
    if run.state != FINISHED:
        title = "Still running" if run.state == RUNNING else "Stopped before its end"
        if run.kind == "sim":
            title = "A simulation, which has no end of its own"
        words = f"{title}: {run.told}. What follows is what there is so far."
        parts.append(page.element("p", words, class_="notice"))
    if disturbed := run.option("perturb"):
        words = f"Scenes disturbed by {disturbed.replace(',', ', ')} (docs/perturbations.md)."
        parts.append(page.element("p", words, class_="notice"))
    if run.unread:
        words = f"{run.unread} lines of metrics.jsonl are broken or cut off, and left out."
        parts.append(page.element("p", words, class_="notice"))
    return [*parts, _cards(run)]


def _cards(run: RunData) -> Html:
    cards = []
    for stage, (won, trials) in run.evaluations.items():
        low, high = wilson(won, trials)
        title = "success of the policy" if run.kind == "eval" else EVALUATION_TITLES[stage]
        cards.append(
            page.card(f"{won}/{trials}", title, f"{won / trials:.0%}, 95%: {low:.0%} to {high:.0%}")
        )
    shown = sum(line.success for line in run.counted if line.stage == "collect")
    if shown:
        cards.append(page.card(str(shown), "demonstrations"))
    if run.online:
        steps = run.online[-1].online_steps
        minutes = steps / run.control_hz / 60
        helped = sum(line.human_steps for line in run.online)
        driven = sum(line.steps for line in run.online)
        cards += [
            page.card(f"{minutes:.1f} min", "robot time online", f"{steps} steps"),
            page.card(f"{helped / max(1, driven):.0%}", "online steps by a human"),
        ]
        ratio = run.online[-1].numbers.get("update_ratio")
        if ratio:
            cards.append(page.card(f"{ratio:.2f}", "critic updates an online step, realised"))
    if run.wall:
        cards.append(page.card(format_duration(sum(run.wall.values())), "wall clock"))
    return page.element("div", *cards, class_="cards")


def _curves(run: RunData, writer: _Writer) -> list[Html]:
    if not run.counted:
        return [page.absent("No episode has been counted yet: there is nothing to draw.")]
    words = "success, share of steps by a human, and episode time over robot time"
    picture = render(training_curves(run), "curves", words)
    left = len(run.episodes) - len(run.counted)
    caption = (
        f"Means of the last {WINDOW} episodes of a stage over the robot time of all stages; points "
        "are episodes. Band of success: the window's 95% Wilson interval; bands below: quartiles "
        "of its episodes. Grey: demonstrations and evaluations; a diamond is an evaluation's "
        "result with its 95% Wilson interval. A success counts with help, too, unless said."
    )
    if left:
        caption += f" {left} discarded episodes are left out."
    return [writer.show(picture, caption)]


def _strips(run: RunData, writer: _Writer) -> list[Html]:
    found = {name: newest(run, success=name == "success") for name in ("success", "failure")}
    limits = q_limits([recorded for recorded in found.values() if recorded is not None])
    classifier = classifier_in(run.config)
    parts: list[Html] = []
    for name, recorded in found.items():
        if recorded is None:
            parts.append(page.absent(f"No {name} that counts is recorded."))
            continue
        episode, outcome = recorded.episode, recorded.episode.outcome
        words = f"camera frames of episode {outcome.episode}, a {name}, and Q over its time"
        figure = q_strip(recorded, run.control_hz, limits, classifier)
        picture = render(figure, f"q_{name}", words, photographs=True)
        caption = (
            f"Episode {outcome.episode} ({outcome.stage}), a {name}: {outcome.cause}. Instruction: "
            f"“{episode.instruction}”. {episode.human_steps} of {len(episode)} steps by a human "
            "(orange)."
        )
        images = {view: images[0] for view, images in episode.views.items()}
        if classifier is not None and marks_of(images, classifier):
            caption += " Magenta: pixels that the classifier counts; boxes: where it looks."
        if not recorded.valued:
            caption += f" {_why_no_q(run, recorded)}"
        parts.append(writer.show(picture, caption))
    return parts


def _why_no_q(run: RunData, recorded: RecordedEpisode) -> str:
    if not recorded.choices:
        return "No policy acted, so that there is no Q."
    if any("critic/q" in line.numbers for line in run.counted):
        return "The critic was still untrained: no Q."
    return f"No critic valued its chunks ({run.option('algorithm') or 'this policy'}): no Q."


def _edits(run: RunData, writer: _Writer) -> list[Html]:
    lines, edits = _read_edits(run)
    if not lines:
        return [page.absent("No recorded online episode or trial holds a policy's choices.")]
    chunks, edited = sum(e.chunks for e in edits), sum(e.edited for e in edits)
    gripper = sum(e.gripper for e in edits)
    sizes = [size for e in edits for size in e.sizes]
    told = f"{edited} of {chunks} chosen chunks are edits ({edited / chunks:.0%})"
    if gripper:
        told += f", {gripper} are gripper decisions ({gripper / chunks:.0%})"
    if not edited and not gripper:
        return [page.absent(f"{told}: this run's algorithm and preset edited none that it chose.")]
    bound = run.config["task"].get("edit_scale")
    figure = learning.edit_curves(lines, edits, run.control_hz, bound)
    words = "share of chosen chunks that are edits, and mean size of these edits"
    caption = (
        f"{told}{_mean_size(sizes)}. Lines: last {WINDOW} online episodes. An axis is edited by at "
        "most beta, times the preset's scale of it, times the half range that the demonstrations "
        "use of it."
    )
    return [writer.show(render(figure, "edits", words), caption)]


def _mean_size(sizes: Sequence[float]) -> str:
    if not sizes:
        return ""
    return (
        f"; mean |chosen - its base chunk| is {sum(sizes) / len(sizes):.3f} of the robot's limits, "
        "over the chunk's steps and axes"
    )


def _read_edits(run: RunData) -> tuple[list[EpisodeLine], list[Edits]]:
    """Of each counted episode in which a policy chose, as recorded."""
    lines, edits = [], []
    for line in run.counted:
        path = run.bag(line.number) if line.stage != "collect" else None
        if path is None:
            continue
        try:
            of_episode = edits_of(read_choices(path))
        except ValueError:
            continue
        if of_episode.chunks:
            lines.append(line)
            edits.append(of_episode)
    return lines, edits


def _learner(run: RunData, writer: _Writer) -> list[Html]:
    if not learning.panels_of(run):
        return [page.absent("The run's metrics hold no number of a learner.")]
    figure = learning.learner_curves(run)
    words = "the learner's numbers over online robot time"
    caption = (
        "As the learner told them at each episode's end; docs/diagnostics.md says what each is."
    )
    return [writer.show(render(figure, "learner", words), caption)]


def _wall(run: RunData, writer: _Writer) -> list[Html]:
    if not sum(run.wall.values()):
        return [page.absent("The run has not written down what its time was spent on.")]
    words = "wall time by stage and by what it was spent on"
    caption = "Robot: an episode runs. Learning: the robot stands while the learner learns."
    return [writer.show(render(learning.wall_clock(run), "wall_clock", words), caption)]


def _latency(run: RunData) -> list[Html]:
    found = read_latencies(run.path)
    if not found:
        return [page.absent("Only a run in real time has it.")]
    rows = [
        (
            hop,
            *(f"{1e3 * v:.1f}" for v in (of.median, of.most_but_one_percent, of.greatest)),
            str(of.count),
        )
        for hop, of in found.items()
    ]
    caption = (
        "How old each input was by its stamp when a tick used it; of the tick itself, how late it "
        "began; of the operator, from the device's reading to the command that follows it; of a "
        "chunk, against the tick at which it was needed (negative: in time)."
    )
    head = ("", "median [ms]", "99% [ms]", "greatest [ms]", "ticks")
    return [page.table(head, rows), page.element("p", caption)]


def _episodes(run: RunData) -> list[Html]:
    if not run.episodes:
        return [page.absent("None yet.")]
    rows = []
    for line in run.episodes:
        path = run.bag(line.number)
        number: str = str(line.number)
        if path is not None:
            number = page.element("a", number, href=f"episodes/{path.name}")
        outcome = "discarded" if line.discarded else "success" if line.success else "failure"
        rows.append(
            (number, line.stage, outcome, str(line.steps), str(line.human_steps), line.cause)
        )
    head = ("episode", "stage", "outcome", "steps", "by a human", "cause")
    return [page.folded(f"All {len(rows)} episodes", page.table(head, rows))]


def _configuration(run: RunData) -> list[Html]:
    rows = list(run.settings.items())
    where, which = run.machine, "The machine that the run was on, as of its newest start."
    if not where:
        # How busy it is while it writes a report says nothing.
        where = {n: str(v) for n, v in machine().items() if v != "" and n != "load_before"}
        which = "The one that this report was made on; the run doesn't say which it ran on."
    return [
        page.folded(f"All {len(rows)} settings (config.yaml)", page.table(("name", "value"), rows)),
        page.element("h3", "Machine"),
        page.absent(which),
        page.table(("", ""), where.items()),
    ]
