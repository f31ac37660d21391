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
