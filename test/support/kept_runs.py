# SPDX-License-Identifier: Apache-2.0
"""What `bench learn` keeps of a training, made within a second."""

from __future__ import annotations

from pathlib import Path

from expo_ft_ros.experiment.bench_options import LearnOptions
from expo_ft_ros.experiment.changes import split_changes
from expo_ft_ros.experiment.kept_run import KeptRun
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task
from support.agents import EPISODES, SIZE, go_on

TINY = (
    f"image_size={SIZE},imitation.steps=3,imitation.batch=8,warmup_episodes=0,warmup_updates=0,"
    "critic_steps_per_update=2,edits=true,edits_after=0,vla_encoder_every=0,candidates=2,"
    "replay_capacity=200,task.updates_per_episode=1,task.max_steps=20,batch=16,"
    "vla.width=48,vla.depth=2,vla.channels=8,vla.euler_steps=3,vla_steps_per_update=2,"
    "critic.hidden=48,critic.image_embedding=32,critic.state_embedding=16"
)


def kept_run() -> Path:
    """A run in `runs/` with two checkpoints, and the episodes that it learned from."""
    options = LearnOptions(change=TINY, checkpoints="10")
    of_agent, of_task = split_changes(TINY)
    task, robot = load_task(options.task, of_task), load_robot(options.robot)
    config = load_preset(options.preset, options.size, of_agent | {"threads": "1"})
    agent = Agent(task, config, robot.views, 0)
    kept = KeptRun.new(options, task, seed=0)
    agent.add_episode(EPISODES[0])
    kept.take(EPISODES[0], agent, 0)
    agent.imitate(go_on)
    steps = 0
    for episode in EPISODES[1:]:
        agent.add_episode(episode)
        agent.update(go_on)
        steps += len(episode)
        kept.take(episode, agent, steps)
    kept.finish(agent, steps)
    return kept.folder
