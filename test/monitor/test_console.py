# SPDX-License-Identifier: Apache-2.0
"""A real console in a real browser, fed with views that are made by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.arbiter import DEVICE_LOST
from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.data.types import Source
from expo_ft_ros.experiment.operator_word import words_of
from expo_ft_ros.monitor.console import Console
from expo_ft_ros.monitor.controls_page import BUTTONS
from expo_ft_ros.monitor.playback import Recordings
from expo_ft_ros.monitor.view import Diagnostic, LearningView, Level, SessionView, View
from expo_ft_ros.recording.episode_store import load_episode
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from support.browser import DESKTOP, PHONE, Visit, wait_until
from support.console_run import free_port
from support.episodes import VIEWS
from support.runs import make_run
from support.views import make_view

LIMITS = load_robot("sim").limits

TASK = load_task("cube_pick")
CLASSIFIER = make_classifier(TASK)
TOKEN = "sixteen-letters_0"
HOSTILE = '<img src=x onerror="window.taken=1"><script>window.taken=1</script>'


class Played:
    """A console that is shown views five times a second, and the calls of its buttons."""

    def __init__(self, **options: object) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, object] = {}
        actions = {name: self._action(name) for name in BUTTONS}
        shown = {"port": 0, "classifier": CLASSIFIER, **options}
        self.console = Console(actions, TASK, LIMITS, VIEWS, **shown)
        self.view = make_view()
        self._over, self._paused = threading.Event(), False
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def close(self, last: View | None = None) -> None:
        self._over.set()
        self._thread.join()
        self.console.close(last)

    def pause(self, paused: bool) -> None:
        """Nothing more is shown, as by a process that hangs."""
        self._paused = paused

    def _feed(self) -> None:
        while not self._over.wait(0.2):
            if self._paused:
                continue
            self.console.hear_of(self.view.episode.episode)
            self.console.show(self.view)

    def _action(self, name: str):
        def call() -> str:
            self.calls.append(name)
            answer = self.answers.get(name, f"taken: {name}")
            return answer() if callable(answer) else answer

        return call


@pytest.fixture(scope="module")
def only() -> Iterator[Played]:
    played = Played()
    yield played
    played.close()


@pytest.fixture
def played(only) -> Played:
    """The one console of this file, as it was at first: a page takes seconds to draw its first."""
    only.calls.clear()
    only.answers.clear()
    only.view = make_view()
    return only


@pytest.fixture(scope="module")
def page(browser, only) -> Iterator[Visit]:
    visit = Visit(browser, only.console.url)
    yield visit
    visit.close()


@pytest.fixture
def visit(page, played) -> Visit:
    """The one page on it, which has shown that again."""
    page.read("episode 12 · step 34/120")
    page.complaints.clear()
    return page


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_what_matters_is_on_the_first_screen(browser, played, size):
    began = time.monotonic()
    visit = Visit(browser, played.console.url, size)
    waits = presses(visit, played, seconds=3.0)
    print(
        f"{size[0]} px: the first press answered {waits[0][0] - began + waits[0][1]:.1f} s after "
        f"the page was asked for; in the three seconds after {max(w for _, w in waits):.2f} s "
        f"at most ({len(waits)} presses)"
    )
    visit.read("taken: estop")
    visit.read("episode 12 · step 34/120")
    for seen in (visit.button("E-STOP"), visit.page.get_by_text("running", exact=True).first):
        assert visit.on_screen(seen)
    assert all(visit.on_screen(visit.button(label)) for label in labels_on(size))
    if size is PHONE:
        pictures = visit.page.locator("#cameras img")
        wait_until(lambda: bool(pictures.last.get_attribute("src")), "the cameras")
        assert all(visit.on_screen(each) for each in pictures.all())
    # However far it is scrolled.
    visit.open("Cameras")
    visit.read("8 edited")
    visit.scene.locator(".xf-q").last.scroll_into_view_if_needed()
    assert visit.on_screen(visit.button("E-STOP"))
    assert visit.complaints == []
    visit.close()


def presses(visit: Visit, played: Played, seconds: float) -> list[tuple[float, float]]:
    """(when, answered after [s]) of presses of E-STOP as a mouse gives them, while the scene is
    drawn for the first time."""
    box, waits = visit.button("E-STOP").bounding_box(), []
    until = time.monotonic() + seconds
    while not waits or time.monotonic() < until:
        played.calls.clear()
        pressed = time.monotonic()
        visit.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        wait_until(lambda: "estop" in played.calls, "the answer")
        waits.append((pressed, time.monotonic() - pressed))
        visit.page.wait_for_timeout(100)
    return waits


def test_both_cameras_change(visit, played):
    wait_until(lambda: len(visit.images()) == 2, "two images")
    before = visit.images()
    played.view = make_view(35)
    wait_until(lambda: not set(before) & set(visit.images()), "other images")


def test_every_button_reaches_its_action_and_its_reply_is_shown(visit, played):
    # There is nothing to go on from, or to release, before.
    for name in ("resume", "acknowledge", "recover", "release"):
        assert visit.button(BUTTONS[name].label).is_disabled()
    running = EpisodeSnapshot(12, "running", "collect")
    stopped = EpisodeSnapshot(12, "stopped", "rl", cause="estop", paused=True)
    for episode, fault in ((running, ""), (stopped, "reflex"), (stopped, "")):
        collecting = SessionView("collect", 1, 10, 0, 0)
        played.view = make_view(
            episode=episode,
            session=collecting,
            driver=Source.HOLD,
            cause=DEVICE_LOST,
            fault=fault,
        )
        visit.read("Recover once" if fault else f"{episode.state}")
        for name, (label, *_) in BUTTONS.items():
            if name in played.calls or name not in offered(episode, fault):
                continue
            visit.button(label).click()
            visit.read(f"{label}: taken: {name}")
            assert played.calls[-1] == name
    assert sorted(played.calls) == sorted(BUTTONS)
    assert visit.complaints == []


def test_what_the_lines_on_the_pictures_are_stands_below_them(visit):
    visit.read("what will be executed")
    visit.read("the gripper opens or closes there")


def labels_on(size: tuple[int, int]) -> list[str]:
    """On a phone there is Recover only where there is something to recover from."""
    return [each.label for name, each in BUTTONS.items() if size is not PHONE or name != "recover"]


def offered(episode: EpisodeSnapshot, fault: str) -> set[str]:
    """The buttons that do something then."""
    if episode.state == "stopped":
        return {"estop", "success", "failure", "resume", "release"} | (
            {"recover"} if fault else set()
        )
    return {*BUTTONS} - {"resume", "recover", "release"}


def test_the_q_plot_is_of_the_whole_episode(visit, played):
    visit.open("Episode")
    for step in (34, 50):
        played.view = make_view(step)
        visit.read(f"step {step}/120")
        wait_until(lambda step=step: x_axis(visit)[2:] == [step // 8 * 8], "the newest point")
        assert x_axis(visit)[:2] == [0, TASK.max_steps]


def x_axis(visit: Visit) -> list[float]:
    """Its ends, and where the newest point is, of the plot that is seen."""
    (plot,) = visit.scene.evaluate(
        "Object.values(window.__viserTestpoints.uplots).map(({chart}) => "
        "[chart.scales.x.min, chart.scales.x.max, chart.data[0].at(-1)])"
    )
    return list(plot)


def test_an_action_that_hangs_or_fails_holds_up_nothing(visit, played):
    answer = threading.Event()
    played.answers["reset"] = lambda: "late" if answer.wait(60) else "never"
    visit.button("Reset").click()
    visit.read("Reset ...")
    visit.button("Reset").click()  # heard already
    visit.button("E-STOP").click()
    visit.read("E-STOP: taken: estop")
    answer.set()
    visit.read("Reset: late")
    assert played.calls == ["reset", "estop"]
    played.answers["pause"] = lambda: 1 / 0
    visit.button("Pause").click()
    visit.read("Pause: failed: division by zero")


def test_a_connection_that_is_lost_is_said_and_comes_back(browser):
    """Also one from which nothing is heard any more, though nobody has closed it: into that only a
    stop is said, which harms nobody where it comes late."""
    port = free_port()
    played = Played(port=port)
    visit = Visit(browser, played.console.url)
    lost = visit.page.get_by_text("Nothing is heard: no button but E-STOP is passed on")
    headline = visit.page.locator("#headline")
    try:
        visit.read("POLICY DRIVES")
        played.pause(True)
        lost.wait_for(state="visible")
        wait_until(lambda: headline.get_attribute("class") == "bad", "the headline's alarm")
        assert "NO CONNECTION" in headline.inner_text()
        buttons = {name: visit.button(button.label) for name, button in BUTTONS.items()}
        estop = buttons.pop("estop")
        wait_until(lambda: all(each.is_disabled() for each in buttons.values()), "their end")
        estop.click()
        wait_until(lambda: "estop" in played.calls, "the stop")
        played.pause(False)
        lost.wait_for(state="hidden")
        visit.read("POLICY DRIVES")
        played.close()
        lost.wait_for(state="visible")
        wait_until(estop.is_disabled, "the end of the stop's way")
        assert "NO CONNECTION" in headline.inner_text()
        played = Played(port=port)
        lost.wait_for(state="hidden")
        visit.button("E-STOP").click()
        wait_until(lambda: played.calls == ["estop"], "the press")
        wait_until(lambda: len(visit.images()) == 2, "the scene again")
        # A run that has ended has no connection either: its page says what came of it.
        played.close(replace(played.view, result="27 of 30 successes"))
        visit.read("FINISHED")
        visit.page.wait_for_timeout(3000)
        assert not lost.is_visible()
        assert visit.page.get_by_text("27 of 30 successes").is_visible()
        # The next run at that address has the page again.
        played = Played(port=port)
        visit.read("POLICY DRIVES")
        visit.button("E-STOP").click()
        wait_until(lambda: played.calls == ["estop"], "the press")
    finally:
        visit.close()
        played.close()


def test_what_the_operator_is_asked_and_what_is_wrong_is_said(visit, played):
    asked = EpisodeSnapshot(13, "resetting", "rl", asked="put the candies back")
    gone = Diagnostic(Level.ERROR, "camera", "side: no image for 2.1 s")
    played.view = replace(make_view(), episode=asked, diagnostics=(gone,))
    visit.read("YOUR TURN")
    visit.read("put the candies back, then press Reset")
    assert "next" in visit.button("Reset").get_attribute("class")
    visit.read("camera: side: no image for 2.1 s")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_answer_is_in_sight_however_much_else_is_said(browser, played, size):
    bad = [
        Diagnostic(Level.ERROR, f"camera {n}", "side: no image for 2.1 s " * 3) for n in range(3)
    ]
    played.view = replace(make_view(), diagnostics=tuple(bad), reward="lifted by 0.19 m " * 6)
    played.answers["pause"] = lambda: 1 / 0
    visit = Visit(browser, played.console.url, size, scene=False)
    visit.read("camera 0")
    visit.button("Pause").click()
    answer = visit.page.get_by_text("Pause: failed: division by zero")
    answer.wait_for()
    assert visit.on_screen(answer)
    told, reply = (visit.page.locator(each).bounding_box() for each in ("#told", "#reply"))
    assert reply["y"] + reply["height"] <= told["y"] + told["height"], "nor clipped"
    # Why a button is off is read without a pointer that hovers.
    assert visit.button("Resume").get_attribute("data-brief") == "nothing is paused"
    visit.close()


CALLS = """
window.called = [];
window.AudioContext = class {
  state = "suspended";
  currentTime = 0;
  destination = {};
  resume() { this.state = "running"; return Promise.resolve(); }
  createGain() { return {gain: {}, connect: (to) => to}; }
  createOscillator() {
    return {frequency: {}, connect: (to) => to, start: () => called.push("sound"), stop() {}};
  }
};
window.Notification = class {
  static permission = "default";
  static requestPermission() { Notification.permission = "granted"; return Promise.resolve(); }
  constructor(words) { called.push(words); }
};
Object.defineProperty(document, "hidden", {get: () => true});
"""


def test_the_operator_is_called_while_waited_for_unless_switched_off(browser, played):
    visit = Visit(browser, played.console.url, scene=False, before=CALLS)
    called = partial(visit.page.evaluate, "called")
    visit.read("sound, after a click here")
    visit.page.locator("#state").click()
    visit.read("call me (sound, notification)")
    assert called() == []
    asked = EpisodeSnapshot(13, "resetting", "rl", asked="put the candies back")
    played.view = replace(make_view(), episode=asked)
    wait_until(lambda: len(called()) == 2, "the call")
    assert called() == ["sound", "YOUR TURN: put the candies back, then press Reset"]
    played.view = make_view()
    visit.read("POLICY DRIVES")
    visit.page.locator("#call").uncheck()
    played.view = replace(make_view(), episode=replace(asked, episode=14))
    visit.read("YOUR TURN")
    assert len(called()) == 2
    visit.close()


def test_text_from_the_graph_runs_nothing(visit, played):
    snapshot = EpisodeSnapshot(1, "stopped", HOSTILE, cause=HOSTILE, asked=HOSTILE)
    said = (Diagnostic(Level.ERROR, HOSTILE, HOSTILE),)
    played.view = View(
        episode=snapshot,
        learning=LearningView(HOSTILE),
        cause=HOSTILE,
        reward=HOSTILE,
        status={HOSTILE: HOSTILE},
        diagnostics=said,
    )
    played.answers["save_checkpoint"] = HOSTILE
    visit.button("Save").click()
    visit.read("Save: <img src=x")
    for tab in ("Health", "Training", "Episode"):
        visit.open(tab)
    visit.read("STOPPED")
    visit.read("nothing moves until Release")
    assert all(frame.evaluate("window.taken") is None for frame in visit.page.frames)


def test_who_has_no_token_sees_nothing(browser):
    played = Played(token=TOKEN)
    try:
        page = browser.new_context().new_page()
        assert page.goto(played.console.url.partition("?")[0]).status == 403
        visit = Visit(browser, played.console.url)
        assert TOKEN not in visit.page.url
        visit.button("Pause").click()
        visit.read("taken: pause")
        visit.close()
    finally:
        played.close()


def test_recorded_episodes_are_looked_through(browser, tmp_path):
    """A stopped training: one episode is played, relabelled, discarded and brought back."""
    pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
    pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")
    from support.random_recordings import write_episode
    from support.recordings import record

    run = make_run(tmp_path / "run")
    write_episode(run / "episodes", 3, length=9)
    record(run / "episodes", 2, [Source.POLICY] * 4, success=False, cause="timeout")
    record(run / "episodes", 1, [Source.HUMAN] * 4, stage="collect")
    (run / "progress.json").write_text('{"session": {"episode": 3}}')
    played = Played(recordings=Recordings(run / "episodes", words_of(run)))
    visit = Visit(browser, played.console.url)
    try:
        visit.open("Recorded")
        page = visit.scene.frame_locator("iframe[name=episodes]")
        rows = page.locator("tbody tr")
        rows.nth(2).wait_for()
        said = [row.split() for row in rows.all_inner_texts()]
        assert [row[0] for row in said] == ["3", "2", "1"]
        assert said[1] == ["2", "rl", "failure", "0%", "0.4"]
        assert said[2] == ["1", "collect", "success", "100%", "0.4"]
        for name, value, left in (("stage", "collect", 1), ("outcome", "failure", 1)):
            page.locator(f"#{name}").select_option(value)
            wait_until(lambda left=left: rows.count() == left, "the rows of a filter")
            page.locator(f"#{name}").select_option("")
        page.locator("#help").select_option("alone")
        wait_until(lambda: rows.count() == 1, "the episode that nobody helped in")
        page.locator("#help").select_option("")

        rows.nth(0).click()
        visit.read("rl: success after 9 steps")
        slider = page.get_by_role("slider")
        before = page.locator("#images img").first.get_attribute("src")
        page.get_by_role("button", name="Play", exact=True).click()
        wait_until(lambda: slider.get_attribute("aria-valuenow") == "9", "its end")
        page.get_by_role("button", name="Play", exact=True).wait_for()  # It has stopped there.
        assert page.locator("#images img").first.get_attribute("src") != before
        slider.press("Home")
        visit.read("0.0 s · step 0/9")
        # Whatever else is looked at, it is said that the scene isn't what happens now; that stays
        # in sight, and so does the way to stop it.
        visit.open("Health")
        visit.read("The scene shows recorded episode 3")
        visit.read("episode 12 · step 34/120")
        assert visit.on_screen(visit.button("E-STOP"))
        visit.open("Recorded")
        # What the command refuses is refused in the same words.
        page.get_by_role("button", name="failure", exact=True).click()
        visit.read("the run hasn't counted it and learns nothing from it")
        page.get_by_role("button", name="older").click()
        page.get_by_role("button", name="success", exact=True).click()
        visit.read("000002.mcap is a success now. A resumed run learns from it as a success")
        assert load_episode(run / "episodes" / "000002.mcap").outcome.success
        page.get_by_role("button", name="Discard").click()
        visit.read("000002.discarded.mcap now; expo-ft episodes restore 2 brings it back")
        page.get_by_role("button", name="Restore").click()
        visit.read("000002.discarded.mcap is 000002.mcap again")
        live = visit.scene.get_by_role("button", name="live", exact=True)
        live.click()
        live.wait_for(state="hidden")
        wait_until(lambda: "relabelled" in rows.nth(1).inner_text(), "the list, with the label")
        assert visit.complaints == []
    finally:
        visit.close()
        played.close()


def test_a_view_that_is_none_does_not_reach_the_caller(visit, played, caplog):
    played.view = replace(make_view(), executed=np.zeros(3), joints=np.full(7, np.nan))
    wait_until(lambda: "can't be shown" in caplog.text, "the log")
    played.view = make_view(50)
    visit.read("step 50/120")


def test_a_port_that_is_taken_is_named(played):
    port = played.console.url.rpartition(":")[2].strip("/")
    before = threading.active_count()
    with pytest.raises(ConfigError, match=f"port: 127.0.0.1:{port} is taken"):
        Played(port=int(port))
    wait_until(lambda: threading.active_count() <= before, "no thread is left")


def test_nobody_outside_this_machine_is_let_in_unasked():
    with pytest.raises(ConfigError, match="token"):
        Played(host="0.0.0.0")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_that_motion_is_off_stands_above_everything(browser, played, size):
    words = "MOTION OFF: the arm is commanded to stand"
    played.view = replace(make_view(), motion_off=True)
    visit = Visit(browser, played.console.url, size)
    visit.read(words)
    line = visit.page.locator("#motion")
    wait_until(lambda: visit.on_screen(line), words)
    assert line.bounding_box()["y"] == 0
    assert all(visit.on_screen(visit.button(label)) for label in labels_on(size))
    played.view = make_view()
    wait_until(lambda: not line.is_visible(), "motion that is on")
    visit.close()
