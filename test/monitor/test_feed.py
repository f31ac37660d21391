# SPDX-License-Identifier: Apache-2.0
"""What is told reaches every page, and what a page says reaches who hears it."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import connect

from expo_ft_ros.monitor.auth_proxy import AuthProxy
from expo_ft_ros.monitor.feed import Feed


def served(feed: Feed, script: Callable[[str], Awaitable[None]]) -> None:
    """Runs a script against a server of the feed, whose address it gets."""

    gate = AuthProxy({}, {"/": feed.talk})

    async def run() -> None:
        async with asyncio.timeout(120):
            await script(f"ws://127.0.0.1:{gate.port}")

    try:
        asyncio.run(run())
    finally:
        gate.close()


def test_a_page_is_told_what_was_said_before_and_what_is_said_from_now_on():
    feed = Feed(lambda said: None)
    feed.tell(rows=[1], reply="a")
    feed.tell(reply="b")

    async def script(address: str) -> None:
        async with connect(address) as one, connect(address) as other:
            for page in (one, other):
                assert json.loads(await page.recv()) == {"rows": [1], "reply": "b"}
            await asyncio.to_thread(feed.tell, reply="c")
            for page in (one, other):
                assert json.loads(await page.recv()) == {"reply": "c"}

    served(feed, script)
    feed.tell(reply="nobody is there")


def test_what_is_no_object_is_left_out():
    said: list[object] = []
    feed = Feed(said.append)

    async def script(address: str) -> None:
        async with connect(address) as page:
            for text in ("{", "3", "[" * 100_000, b"\xff", '{"open": "000003"}'):
                await page.send(text)
            feed.tell(done=True)
            while not said:
                await asyncio.sleep(0.01)

    served(feed, script)
    assert said == [{"open": "000003"}]


def test_a_slow_page_gets_the_last_word_without_all_before_it():
    feed, many, image = Feed(lambda said: None), 400, os.urandom(50_000).hex()

    async def script(address: str) -> None:
        async with connect(address, max_queue=1, compression=None) as page:
            await page.recv()
            for step in range(many):
                feed.tell(frame={"step": step, "image": image})
                await asyncio.sleep(0)
            steps = [-1]
            while steps[-1] < many - 1:
                steps.append(json.loads(await page.recv())["frame"]["step"])
            assert len(steps) < many
            assert steps == sorted(steps)

    served(feed, script)
