# SPDX-License-Identifier: Apache-2.0
"""Topics between a test and the peer of an adapter, which isn't a part of any robot."""

DO, HEARD, TOOL = "/peer/do", "/peer/heard", "/peer/tool"
"""Words that tell a peer what to do, what it has heard (JSON), and where its tool really is."""
