"""Thin adapters: a monitor inside of the trainers that people have.

Each imports the package that it is for when it is called, and says how to install it where it is missing. A
plain loop needs none of them: `monitor.update(step, model)`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memhorizon.integrations.accelerate import accelerated as accelerated
    from memhorizon.integrations.checkpoints import find_checkpoints as find_checkpoints
    from memhorizon.integrations.diffusers import diffusers_denoiser as diffusers_denoiser
    from memhorizon.integrations.hook import on_step as on_step
    from memhorizon.integrations.lightning import lightning_callback as lightning_callback
    from memhorizon.integrations.transformers import trainer_callback as trainer_callback

# Each public name, and the module that defines it.
_HOME = {
    "accelerated": "accelerate",
    "diffusers_denoiser": "diffusers",
    "find_checkpoints": "checkpoints",
    "lightning_callback": "lightning",
    "on_step": "hook",
    "trainer_callback": "transformers",
}

__all__ = list(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module 'memhorizon.integrations' has no attribute {name!r}")
