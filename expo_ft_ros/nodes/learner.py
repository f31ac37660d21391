# SPDX-License-Identifier: Apache-2.0
"""Takes every episode, imitates and updates when the session wants it, keeps checkpoints.

The executor's thread gathers episodes and answers services; one worker thread learns.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from std_srvs.srv import Trigger

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.plan import LEARNED_STAGES
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.episode_scalars import EpisodeScalars
from expo_ft_ros.experiment.joined import ONLINE, recorded_files
from expo_ft_ros.experiment.learner_report import LearnerReport
from expo_ft_ros.graph.topics import CALLBACK_TIMEOUT_LONG
from expo_ft_ros.msg import EpisodeState, LearnerStatus, SessionPlan
from expo_ft_ros.recording.episode_builder import EpisodeGatherer
from expo_ft_ros.recording.episode_store import load_episode
from expo_ft_ros.recording.lerobot import read_dataset
from expo_ft_ros.report.scalar_log import ScalarLog
from expo_ft_ros.rl.checkpoint_files import checkpoint_path, remove_older
from expo_ft_ros.rl.gradient_processes import ProcessLost
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.agent_handle import (
    CHECKPOINTS,
    LIVE_WEIGHTS,
    AgentHandle,
    LearningParameters,
)
from expo_ft_ros.ros.episode_subscriber import EpisodeFeed
from expo_ft_ros.ros.graph_node import OK, WARN, GraphNode, parameter
from expo_ft_ros.ros.joined_robots import JoinedRobots
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.session_messages import learner_to_msg, plan_from_msg
from expo_ft_ros.tasks import load_task

IDLE, READING, IMITATION, UPDATE, SAVING = "idle", "reading", "imitation", "update", "saving"
AT_REST = (EpisodeState.IDLE, EpisodeState.ENDED, EpisodeState.STOPPED)
"""States in which no episode is on."""
_STATUS_PERIOD = 0.25
_WORKER_PATIENCE = 8.0  # less than the runner has with a learner that is to end [s]


@dataclass(frozen=True)
class LearnerParameters(LearningParameters):
    """Parameters of the learner node."""

    checkpoint_every: int = parameter(
        10, "Episodes of the rl stage between two checkpoints.", low=1, high=10_000
    )
    keep_checkpoints: int = parameter(3, "Checkpoints kept, the newest.", low=1, high=1000)


@dataclass(frozen=True)
class Progress:
    """What the worker does now, for learner/status; replaced whole, so any thread may read it."""

    stage: str = IDLE
    finished: str = ""
    share: float = 0.0
    # Robot -> its newest episode that was taken; "" is the run's own.
    episodes: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, float] | None = None


class LearnerNode(GraphNode[LearnerParameters]):
    """Jobs go to the worker in the order in which they came."""

    NAME = "learner"
    CALLBACK_TIMEOUT = CALLBACK_TIMEOUT_LONG
    PARAMETERS = LearnerParameters

    def __init__(self, shared: AgentHandle | None = None) -> None:
        self._shared = shared or AgentHandle()
        super().__init__()

    def _setup(self) -> None:
        if not self.parameters.run_dir:
            raise ValueError("run_dir is empty: the learner has nowhere to keep checkpoints")
        self._folder = Path(self.parameters.run_dir)
        self._agent = self._shared.get(self.parameters, learns=True)
        self._version = self._agent.version
        self._progress = Progress()
        self._loaded = False
        self._imitating = False
        self._run_stage = ""
        self._since_checkpoint = 0
        self._dirty = False
        self._episode_is_on = False
        self._save_asked = threading.Event()
        self._not_saved = ""
        self._failure: Exception | None = None
        self._lost = False
        self._stopping = threading.Event()
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue()
        # The newest demonstration: the operator may want it again.
        self._demonstration: Episode | None = None
        self._arrived: queue.SimpleQueue[Episode] = queue.SimpleQueue()
        self._scalars = ScalarLog(self._folder)
        self._of_episodes = EpisodeScalars(load_task(self.parameters.task).control_hz)
        self._status_out = self.publisher("learner/status")
        self._view_names = load_robot(self.parameters.robot).view_names
        gatherer = EpisodeGatherer(self._view_names, self._agent.config.image_size)
        self._feed = EpisodeFeed(
            self, gatherer, self._on_episode, self._on_dropped, self._on_message
        )
        self._joined: JoinedRobots | None = None
        if self.parameters.mode == "async":
            size = self._agent.config.image_size
            self._joined = JoinedRobots(
                self, self._view_names, size, self._on_joined_episode, self._on_joined_dropped
            )
        self.subscription("session/plan", self._on_plan)
        self.service("learner/save_checkpoint", self._on_save)
        self.wall_timer(_STATUS_PERIOD, self._tell)
        self._worker = threading.Thread(target=self._work, name="learner")
        self._jobs.put(self._rebuild)
        self._worker.start()

    def _teardown(self) -> None:
        worker = getattr(self, "_worker", None)
        if worker is None:
            return
        self._stopping.set()
        self._jobs.put(None)
        if self._lost:
            # The worker's thread may wait for it.
            self._shared.end_processes(broken=True)
        # It may have ended by itself, of a failure: what was good until then is kept all the same.
        worker.join(_WORKER_PATIENCE)
        if worker.is_alive():
            # It waits for a process that hangs, or is in a long step.
            self._shared.end_processes(broken=True)
            worker.join()
        try:
            if self._dirty or self._save_asked.is_set():
                self._save()
        finally:
            self._shared.end_processes()
            self._scalars.close()

    def _is_ready(self) -> bool:
        return self._loaded

    # -- the executor's thread ------------------------------------------------------------------
    def _on_plan(self, message: SessionPlan) -> None:
        plan = plan_from_msg(message)
        self._run_stage = plan.stage
        if plan.redone:
            self._jobs.put(partial(self._forget, plan.redone))
        if plan.stage == IMITATION and not self._imitating:
            self._imitating = True
            self._jobs.put(self._imitate)

    def _on_message(self, topic: str, message: Any) -> None:
        if topic == "episode/state":
            self._episode_is_on = message.state not in AT_REST

    def _on_episode(self, episode: Episode) -> None:
        self._arrived.put(episode)
        self._jobs.put(self._take_arrived)

    def _on_joined_episode(self, episode: Episode) -> None:
        """What a robot brings after the stage is counted no more: evaluated is what is kept."""
        if self._run_stage == ONLINE:
            self._on_episode(episode)
        else:
            self._on_joined_dropped(episode.robot, episode.outcome.episode)

    def _on_dropped(self, number: int, cause: str) -> None:
        self._on_joined_dropped("", number)

    def _on_joined_dropped(self, robot: str, number: int) -> None:
        self._jobs.put(lambda: self._taken({robot: number}))

    def _on_save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Answers at once: the worker writes, where nobody waits for the agent meanwhile.

        While an episode is on, the policy that shares the agent does. Then it is written when the
        session waits for the learner anyway.
        """
        self._save_asked.set()
        response.success = True
        if self._policy_acts:
            response.message = "it will be written when this episode is over"
            return response
        learns = self._progress.stage in (IMITATION, UPDATE)
        response.message = (
            "learning: it will be written after this update"
            if learns
            else (
                f"is being written to {checkpoint_path(self._folder / CHECKPOINTS, self._version)}"
            )
        )
        self._jobs.put(self._save_if_asked)
        return response

    @property
    def _policy_acts(self) -> bool:
        """Whether a policy that shares the agent may ask it for a chunk."""
        return self.parameters.mode == "sync" and self._episode_is_on

    def _tell(self) -> None:
        if self._failure is not None:
            raise RuntimeError(f"learning failed: {self._failure}") from self._failure
        try:
            self._shared.require_processes()
        except ProcessLost:
            self._lost = True
            raise
        self._publish()

    def _publish(self) -> None:
        self._status_out.publish(self._status_for(""))
        if self._joined is not None:
            self._joined.tell(self._status_for)
        agent, stage = self._agent, self._progress.stage
        level, said = (WARN, self._not_saved) if self._not_saved else (OK, stage)
        self.report(level, said, version=agent.version, transitions=agent.replay_size)

    def _status_for(self, robot: str) -> LearnerStatus:
        """What a robot is told; "" is the run's own."""
        now, agent = self._progress, self._agent
        message = learner_to_msg(
            LearnerReport(
                stage=now.stage,
                finished=now.finished,
                progress=float(now.share),
                episode=now.episodes.get(robot, 0),
                version=self._version,
                critic_updates=agent.critic_updates,
                update_ratio=float(agent.update_ratio),
                transitions=agent.replay_size,
                human_transitions=agent.replay_human_steps,
                run_stage=self._run_stage,
                joined_steps=agent.joined_steps,
                metrics=now.metrics or {},
            )
        )
        message.header.stamp = self.get_clock().now().to_msg()
        return message

    # -- the worker's thread --------------------------------------------------------------------
    def _work(self) -> None:
        while (job := self._jobs.get()) is not None and not self._stopping.is_set():
            try:
                job()
            except Exception as error:  # noqa: BLE001 (raised again in the executor's thread)
                self._failure = error
                return

    def _show(self, progress: Progress) -> None:
        """Replaces the progress; the end of something is told at once."""
        told = self._progress
        self._progress = progress
        if (told.stage, told.finished, told.episodes) != (
            progress.stage,
            progress.finished,
            progress.episodes,
        ):
            self._publish()

    def _rebuild(self) -> None:
        """Replay from the demonstrations that were given, and from the episodes that an earlier
        start of the run recorded and counted."""
        newest: dict[str, int] = {}
        size = self._agent.config.image_size
        self._show(replace(self._progress, stage=READING))
        self._open_wandb()
        for episode in self._given(size):
            if self._stopping.is_set():
                return
            with self._shared.lock:
                self._agent.add_episode(episode)
        for path in recorded_files(self._folder):
            if self._stopping.is_set():
                return
            episode = load_episode(path, size)
            if not episode.robot:
                self._of_episodes.add(episode)
            if episode.outcome.stage in LEARNED_STAGES:
                with self._shared.lock:
                    self._agent.add_episode(episode)
                newest[episode.robot] = episode.outcome.episode
        with self._shared.lock:
            # In async mode an update is of all episodes that came meanwhile.
            self._agent.restore_caches(lost=self.parameters.mode == "sync")
        # Of an earlier start: what this one begins with is its checkpoint.
        (self._folder / LIVE_WEIGHTS).unlink(missing_ok=True)
        self._loaded = True
        self._show(replace(self._progress, stage=IDLE, episodes=newest))

    def _given(self, image_size: int) -> Iterator[Episode]:
        folder = self.parameters.demonstrations
        rate = load_task(self.parameters.task).control_hz
        if not folder:
            return iter(())
        return read_dataset(Path(folder), rate, self._view_names, image_size)

    def _take_arrived(self) -> None:
        """Takes every episode that has come meanwhile, then updates once.

        In sync mode that is one episode, since the session waits. In async mode nobody waits: a
        learner that is slower than the robot updates less often, which the update ratio shows.
        """
        newest: dict[str, int] = {}
        online = 0
        while not self._arrived.empty():
            episode = self._arrived.get_nowait()
            stage = episode.outcome.stage
            newest[episode.robot] = episode.outcome.episode
            if episode.robot and self._run_stage != ONLINE:
                continue
            self._keep_demonstration()
            if stage == "collect":
                self._demonstration = episode
            else:
                self._take(episode)
            online += stage == ONLINE
        if online:
            self._scalars.write({"replay/taken_at_once": online}, self._agent.critic_updates)
            self._update()
            if self._stopping.is_set():
                return
            self._since_checkpoint += online
            # Where nothing learns the weights are those that were loaded.
            if self._dirty and self._since_checkpoint >= self.parameters.checkpoint_every:
                with self._shared.lock:
                    self._save()
        if newest:
            self._taken(newest)

    def _taken(self, newest: Mapping[str, int]) -> None:
        """Tells that all episodes of a robot up to its newest were taken; a later one may have been
        before.

        The session begins no other one until then, so that a checkpoint keeps nobody waiting.
        """
        self._write_asked()
        told = self._progress.episodes
        newest = {robot: max(number, told.get(robot, 0)) for robot, number in newest.items()}
        # Where more has come meanwhile nothing that follows the stage may begin yet.
        stage = IDLE if self._arrived.empty() else UPDATE
        self._show(replace(self._progress, stage=stage, episodes={**told, **newest}))

    def _save_if_asked(self) -> None:
        """Between two episodes; the next one waits until it is told."""
        if self._policy_acts:
            return
        before = self._progress
        self._show(replace(before, stage=SAVING))
        self._write_asked()
        self._show(replace(before, stage=IDLE))

    def _write_asked(self) -> None:
        """The checkpoint that the operator wants. A disk that is full is told, and ends nothing."""
        if not self._save_asked.is_set():
            return
        try:
            with self._shared.lock:
                self._save()
        except OSError as error:
            self._save_asked.clear()
            self._not_saved = f"the checkpoint that was asked for was not written: {error}"
            self.get_logger().error(self._not_saved)

    def _keep_demonstration(self) -> None:
        """What comes after it has begun: it is learned from."""
        demonstration, self._demonstration = self._demonstration, None
        if demonstration is not None:
            self._take(demonstration)

    def _take(self, episode: Episode) -> None:
        if episode.outcome.stage in LEARNED_STAGES:
            with self._shared.lock:
                self._agent.add_episode(episode)
        if not episode.robot:
            self._scalars.write(self._of_episodes.add(episode), episode.outcome.episode)

    def _forget(self, number: int) -> None:
        """The operator does that demonstration again."""
        if self._demonstration is not None and self._demonstration.outcome.episode == number:
            self._demonstration = None

    def _imitate(self) -> None:
        self._keep_demonstration()
        self._learn_something(IMITATION, self._agent.imitate)
        if self._stopping.is_set():
            # Half of it counts for nothing: a restart begins it anew.
            return
        with self._shared.lock:
            self._save()
        self._show(replace(self._progress, stage=IDLE, finished=IMITATION))

    def _update(self) -> None:
        before = self._agent.version
        self._learn_something(UPDATE, self._agent.update)
        self._dirty = self._dirty or self._agent.version > before

    def _learn_something(
        self,
        stage: str,
        learn: Callable[[Callable[[float, dict[str, float]], bool]], dict[str, float]],
    ) -> None:
        self._show(replace(self._progress, stage=stage, share=0.0))

        def progress(share: float, metrics: dict[str, float]) -> bool:
            self._show(replace(self._progress, share=share, metrics=dict(metrics)))
            return not self._stopping.is_set()

        with self._shared.lock:
            metrics = learn(progress)
        if metrics:
            self._show(replace(self._progress, metrics=metrics))
            agent = self._agent
            more = {
                "replay/steps": agent.replay_size,
                "replay/human_steps": agent.replay_human_steps,
                "update_ratio": agent.update_ratio,
            }
            by_robot = agent.replay_by_robot.items()
            more |= {f"replay/steps/{robot}": steps for robot, steps in by_robot if robot}
            self._scalars.write({**metrics, **more}, agent.critic_updates)
        if self.parameters.mode == "async":
            self._agent.publish_weights(self._folder / LIVE_WEIGHTS)
        # Published only now: a subscriber that hears of a version finds its file.
        self._version = self._agent.version

    def _open_wandb(self) -> None:
        """Where it is asked for. A run whose curves can't be sent goes on all the same."""
        if not self.parameters.wandb:
            return
        try:
            self.get_logger().info(f"W&B: {self._scalars.open_wandb(self.parameters.wandb)}")
        except ConfigError as error:
            self.get_logger().error(f"{error}; the run goes on without")

    def _save(self) -> Path:
        """Writes a checkpoint and removes the oldest; the lock is held, or nobody else is left."""
        folder = self._folder / CHECKPOINTS
        path = checkpoint_path(folder, self._agent.version)
        self._agent.save(path)
        self._since_checkpoint = 0
        self._dirty = False
        if self._save_asked.is_set():
            self.get_logger().info(f"written: {path}")
        self._save_asked.clear()
        self._not_saved = ""
        remove_older(folder, self.parameters.keep_checkpoints)
        return path


def main() -> None:
    """Runs the learner node alone (async mode)."""
    run_nodes(LearnerNode)


if __name__ == "__main__":
    main()
