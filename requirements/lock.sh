#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes the lock files anew from the .in files; versions already locked stay (`--upgrade` renews them).
# Needs uv: pip install uv
set -eu
cd "$(dirname "$0")"
lock() { uv pip compile --quiet --universal --python-version 3.11 --no-annotate "$@"; }

# torch comes for CPU or CUDA, as the index has it, and pins its own CUDA libraries: not our choice.
lock base.in -o base.lock "$@"
sed -i -E '/^(cuda|nvidia|triton)-?[a-z0-9-]*==/d' base.lock

lock dev.in -c base.lock -o dev.lock "$@"
lock ros-wheels.in -c base.lock --generate-hashes -o ros-wheels.lock "$@"
