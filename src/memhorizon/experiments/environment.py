"""Where and when something was made, as records say it."""

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import version

import torch

from memhorizon.devices import default_device
from memhorizon.files.plain import Row


def environment(device: torch.device | None = None) -> Row:
    """What a record must say about where it was made; None for the default device."""
    return {
        **{name: version(name) for name in ("memhorizon", "torch", "numpy", "scipy")},
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device or default_device()),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def timestamp() -> str:
    """This moment to the second, with its zone: 2026-01-31T12:00:00+00:00."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
