# SPDX-License-Identifier: Apache-2.0
"""Control: what is executed at each tick, and why. Pure Python and NumPy, the time passed in.

chunk_executor   which slot of which chunk is due
arbiter          where a human correction is spliced in
safety_filter    what stops the arm, and after how long (config/safety.yaml)
episode_machine  the life of an episode, and what operators ask for
plan             what the session wants next
loop             one tick, made of the above
snapshot         the newest of each input, and whether together they are one moment
lockstep         when a tick happens: once everyone has done their part (simulated time)
realtime         when a tick happens: every period, waiting for nobody
actions          what those two ask of their host, arbitration or the rollout in one process
"""
