"""accelerate: one process looks, all stop together, and the state is in its checkpoints."""

from memhorizon.errors import InputError
from memhorizon.extras import need
from memhorizon.integrations.shared import SYNC_EVERY, SharedMonitor, Watching

SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM")  # no process of these has all weights


def accelerated(monitor: Watching, accelerator: object, *, sync_every: int = SYNC_EVERY) -> SharedMonitor:
    """Use a monitor in a training with accelerate, on one process or several.

    It is registered for checkpointing: `accelerator.save_state` and `load_state` keep what it has seen.
    `log=accelerator.log` of the monitor sends its numbers to the trackers.

    Args:
        monitor: a `Monitor`; each process makes one.
        accelerator: of the training.
        sync_every: updates after which the processes agree on whether to stop; the same in each.

    Returns:
        What is used in place of the monitor, in every process: `update(step, model)`, `should_stop` and
        `finish(model)`. In the main process its `monitor` has `verdict`, `best`, `record()` and
        `report(path)`.

    Raises:
        InputError: if one of them is of another kind, or the weights are spread over the processes.
        MissingExtraError: if accelerate is not installed.
    """
    accelerate = need("accelerate", extra="diffusers", what="accelerated")
    if not isinstance(accelerator, accelerate.Accelerator):
        raise InputError(f"accelerator: expected an Accelerator, got {type(accelerator).__name__}")
    _check_whole_weights(accelerator.distributed_type.value)  # pyright: ignore[reportAttributeAccessIssue]
    shared = SharedMonitor(monitor, sync_every=sync_every)
    accelerator.register_for_checkpointing(shared)  # pyright: ignore[reportAttributeAccessIssue]
    return shared


def _check_whole_weights(kind: str) -> None:
    if kind in SHARDED:
        raise InputError(f"accelerator: expected whole weights in each process, got those of {kind}")
