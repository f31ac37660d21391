# SPDX-License-Identifier: Apache-2.0
"""`expo-ft doctor`: what a machine, and a robot's drivers, have and lack, and how to mend it."""
