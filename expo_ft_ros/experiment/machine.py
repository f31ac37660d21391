# SPDX-License-Identifier: Apache-2.0
"""The machine and the version that a result came from."""

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import expo_ft_ros


def machine() -> dict[str, Any]:
    """What numbers were measured on, or a run was made on; nothing that names the machine."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "version": expo_ft_ros.__version__,
        "git": git_revision(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "gpu": _gpu_model(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def git_revision() -> str:
    """The checkout's revision, "+" where files differ from it that a result depends on; "" outside
    a checkout."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        root = git("rev-parse", "--show-toplevel")
        changed = git("-C", root, "diff", "HEAD", "--name-only", "--", "expo_ft_ros", "config")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _gpu_model() -> str:
    """Of NVIDIA's driver, without the seconds that torch takes; "" where there is none."""
    models = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = path.read_text().splitlines()
        models += [x.partition(":")[2].strip() for x in lines if x.startswith("Model:")]
    return ", ".join(models)
