# SPDX-License-Identifier: Apache-2.0
"""The console of a real run in a real browser: it shows what happens, and is obeyed."""

from __future__ import annotations

import time

import pytest

from expo_ft_ros.monitor.controls_page import BUTTONS
from support.browser import Visit
from support.console_run import graph_with_console, is_served

pytestmark = [pytest.mark.realtime, pytest.mark.slow]


@pytest.mark.timeout(1500)
def test_the_operator_watches_and_the_graph_obeys(graph, browser):
    probe = graph.probe
    states, status = probe.gather("episode/state"), probe.gather("session/status")
    words = ["collect", "demos:=100", "seed:=3", "realtime:=true"]
    with graph_with_console(graph.folder, words, ROS_DOMAIN_ID=str(graph.domain)) as url:
        probe.until(lambda: states and states[-1].state == "running", "an episode", timeout=240)
        probe.until(lambda: is_served(url), "the console", timeout=120)
        began = time.monotonic()
        visit = Visit(browser, url)
        print(f"the first button is there after {time.monotonic() - began:.1f} s")

        lost = visit.button(BUTTONS["acknowledge"].label)

        def until(holds, what: str) -> None:
            """Both are served: the page's events and the graph's."""
            probe.until(lambda: visit.page.wait_for_timeout(20) or holds(), what, timeout=120)

        def running() -> int:
            """Number of the episode that runs now."""

            def under_way() -> bool:
                # Of the scripted operator, whom a busy machine kept from speaking in time.
                if lost.is_enabled():
                    lost.click()
                return states[-1].state == "running" and states[-1].steps > 2

            until(under_way, "an episode")
            return int(states[-1].episode)

        def ended(number: int):
            return next((s for s in states if s.episode == number and s.state == "ended"), None)

        until(lambda: len(visit.images()) >= 2, "the cameras' images")
        first = visit.images()
        until(lambda: len(set(first) - set(visit.images())) >= 2, "both cameras' next images")

        def pause() -> int:
            """Number of an episode that is now paused; another where it ended before."""
            for _ in range(10):
                number = running()
                visit.button("Pause").click()
                until(lambda: states[-1].paused or states[-1].state == "paused", "the pause")
                if (states[-1].state, states[-1].episode) == ("paused", number):
                    return number
                resume()
            raise AssertionError("no episode could be paused before it ended")

        def resume() -> None:
            visit.button("Resume").click()
            until(lambda: not states[-1].paused and states[-1].state != "paused", "going on")

        marked = pause()
        visit.button("Success").click()
        until(lambda: ended(marked) is not None, "the end")
        assert (ended(marked).success, ended(marked).cause) == (True, "marked as success")
        resume()
        reset = pause()
        visit.button("Reset").click()
        until(lambda: ended(reset) is not None, "the reset")
        assert (ended(reset).success, ended(reset).cause) == (False, "reset requested")
        resume()

        stopped = running()
        visit.button("E-STOP").click()
        until(lambda: states[-1].state == "stopped", "the stop")
        if states[-1].episode == stopped:
            assert states[-1].discarded
        visit.read("stopped")
        visit.button("Release").click()
        until(lambda: states[-1].state != "stopped", "the release")
        assert status
        assert visit.complaints == []
        visit.close()
