# SPDX-License-Identifier: Apache-2.0
"""Whom one arbitration node meets: sensors, operator, classifier, policy and session."""

import time

import numpy as np
from expo_ft_ros.msg import Proprio, Reward, SessionPlan, TeleopCommand
from sensor_msgs.msg import Image

from expo_ft_ros.data.types import ActionChunk
from expo_ft_ros.recording.messages import nanoseconds
from expo_ft_ros.ros.messages import array_to_image, chunk_to_msg, header_of, stamp_of

PERIOD = 100_000_000
LIMITS = np.array([0.25] * 3 + [1.0] * 3 + [0.12])


class World:
    """Sensors, operator, classifier, policy, session and sim/reset of one arbitration node."""

    def __init__(
        self,
        graph,
        *,
        lockstep,
        answer=True,
        watched=(),
        module="",
        scene_reset="automatic",
        policy=True,
        **more,
    ):
        """policy: whether it is the policy as well; else a node of the test's is."""
        probe = self.probe = graph.probe
        self.lockstep = lockstep
        self.time = 10 * PERIOD if lockstep else 0
        self.image = array_to_image(np.zeros((224, 224, 3), np.uint8), header_of(0))
        self.out = {
            name: probe.publisher(name)
            for name in (
                "camera/side/image_raw",
                "camera/wrist/image_raw",
                "proprio",
                "teleop/command",
                "reward",
                *(["policy/chunk"] if policy else []),
                "session/plan",
            )
        }
        self.is_policy = policy
        self.observations, self.chunks, self.success = [], [], False
        self.human_reset, self.resets = "", 0
        self._scenes, self._answers = {}, {}
        self._shown = [time.time_ns()]
        self.answer = answer
        self.human, self.connected = None, True
        self.ticked, self.just_reset = 0, False
        self.steps = probe.gather("step")
        self.twists = probe.gather("robot/twist_cmd")
        self.grippers = probe.gather("robot/gripper_cmd")
        self.episodes = probe.gather("episode/state")
        self.health = probe.gather("/diagnostics")
        probe.on("observation", self.on_observation)
        probe.serve("sim/reset", self.on_reset)
        self.node = graph.start(
            "arbitration",
            module=module,
            lockstep=lockstep,
            use_sim_time=False,
            scene_reset=scene_reset,
            **({"watched": watched} if watched else {}),
            **more,
        )
        probe.ready("arbitration")
        probe.matched()

    @property
    def state(self):
        return self.episodes[-1] if self.episodes else None

    @property
    def observed(self):
        """Each observation once: one that isn't answered in time comes again."""
        return list({message.number: message for message in self.observations}.values())

    def on_reset(self, request, response):
        """As the simulation's: who heard no answer asks again, and nothing happens anew."""
        known = request.episode in self._scenes
        self.show(again=known)
        if not known:
            self.just_reset = True
            self.resets += 1
            self._scenes[request.episode] = self.time
        response.success = True
        response.valid_from = stamp_of(self._scenes[request.episode])
        return response

    def show(self, again=False):
        """Everything of the next time, as drivers and the operator give it; again: of this one."""
        self.time = self.time + PERIOD * (not again) if self.lockstep else time.time_ns()
        self._shown.append(time.time_ns())
        header = header_of(self.time, "base")
        image = Image(
            header=header, height=224, width=224, step=672, encoding="rgb8", data=self.image.data
        )
        self.out["camera/side/image_raw"].publish(image)
        self.out["camera/wrist/image_raw"].publish(image)
        command = TeleopCommand(header=header)
        if self.human is not None:
            command.connected, command.engaged = self.connected, True
            command.action = np.asarray(self.human, np.float32)
            command.reading = stamp_of(time.time_ns())
        self.out["teleop/command"].publish(command)
        state = Proprio(header=header, gripper_width=0.04, joint_positions=[0.0] * 7)
        state.pose.position.x, state.pose.position.z = 0.45, 0.2
        state.pose.orientation.x, state.pose.orientation.w = 1.0, 0.0
        self.out["proprio"].publish(state)

    @property
    def is_punctual(self):
        """Whether neither this process nor arbitration, by its commands, was halted so far."""
        sent = [nanoseconds(twist.header.stamp) for twist in self.twists]
        gaps = (np.diff(times).max(initial=0) for times in (self._shown[1:], sent))
        return max(gaps) < 1.3 * PERIOD

    def on_observation(self, message):
        self.observations.append(message)
        if not self.answer:
            return
        number = message.number
        self.out["reward"].publish(
            Reward(
                observation=number,
                episode=message.episode,
                success=self.success,
                human_reset=self.human_reset,
            )
        )
        if message.chunk_wanted and self.is_policy:
            if number not in self._answers:
                self.chunks.append(chunk(len(self.chunks) + 1, number))
                self._answers[number] = self.chunks[-1]
            self.out["policy/chunk"].publish(chunk_to_msg(self._answers[number], message.header))

    def plan(self, episode, max_steps=100):
        self.out["session/plan"].publish(
            SessionPlan(
                stage="rl",
                episode=episode,
                seed=1,
                max_steps=max_steps,
                policy="sample",
                operator_mode="correct",
                learn=True,
            )
        )

    @property
    def executed(self):
        """Each step once: in lock-step one comes again where the next time isn't shown soon."""
        return list({step.observation: step for step in self.steps}.values())

    @property
    def steps_now(self):
        """Steps of the present episode, each once."""
        return [step for step in self.executed if step.episode == self.state.episode]

    def begin(self, episode=1, **more):
        self.ticked = 0
        self.plan(episode, **more)
        self.probe.until(lambda: self.state and self.state.state == "running", "the episode")

    def tick(self):
        """One lock-step tick; gives its step. The first of an episode is shown by the reset."""
        if not self.just_reset:
            self.show()
        self.just_reset = False
        self.ticked += 1
        self.probe.until(lambda: len(self.steps_now) >= self.ticked, "the step")
        step = self.steps_now[self.ticked - 1]
        self.probe.until(
            lambda: self.twists and self.twists[-1].header.stamp == step.header.stamp, "its twist"
        )
        return step


def chunk(number, observation):
    """Slot i of chunk k is recognised by its numbers; small enough for every limit."""
    actions = np.zeros((16, 7), np.float32)
    actions[:, 0] = 0.01 * number
    actions[:, 1] = 0.01 * np.arange(16)
    return ActionChunk(number, observation, actions)
