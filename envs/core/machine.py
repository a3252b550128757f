"""What figures were measured on, in words."""

import os
import platform
from pathlib import Path


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()


def machine() -> str:
    """Processor and cores, as a reader would want them stated."""
    return f"{processor()}, {os.cpu_count()} cores"
