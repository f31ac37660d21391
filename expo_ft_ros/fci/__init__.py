# SPDX-License-Identifier: Apache-2.0
"""A Franka arm through libfranka, free of ROS: the arm's loop and the hand, each in a process of
its own, and what the adapter (nodes/franka_fci.py) shares with them."""
