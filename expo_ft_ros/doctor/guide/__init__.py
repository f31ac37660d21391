# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bringup`: a robot's guided checks before its first training, free of ROS.

`seen` is what is measured and what is asked of the arm, `motions` how it is moved, `checks` the
checks themselves, `judge` what is right and what is wrong, and why it may be so.
"""
