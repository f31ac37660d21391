# SPDX-License-Identifier: Apache-2.0
"""Chunks over a websocket, by openpi's protocol: a policy server's client, and a server of ours."""
