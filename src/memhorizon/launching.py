"""How an update reaches an accelerator: kernel by kernel, as one CUDA graph, or compiled and then as one.

The update of a small network on a GPU waits for its several hundred kernels to be launched, not for their
arithmetic. A CUDA graph records them once and launches them together ever after; `torch.compile` makes fewer
of them. They compute the same thing but for the order of sums, so the last bits may differ.

Kernel by kernel is the default, for a network that waits for the device cannot be recorded. On an H200 a
recorded training had the losses and weights of one kernel by kernel but for rounding, and one that was
stopped and loaded again ended with the same bytes (tests/test_launching.py, for who has a GPU). That of
compiled trainings has not been tested. Both were timed: benchmarks/gpu_step.py.
"""

import threading
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from memhorizon.checks import check_choice

Launch = Literal["eager", "graph", "compiled"]
Update = Callable[..., Tensor]  # tensors -> the loss

AHEAD = 16  # updates that may wait for the device; beyond, the process sleeps and leaves its core to others
EAGER_CALLS = 3  # before a graph is recorded: libraries make their workspaces, optimizers their moments
_recording = threading.Lock()  # a process records one graph at a time


def check_launch(launch: object, device: torch.device) -> Launch:
    """Return a known way of launching; where there are no graphs, kernel by kernel.

    Raises:
        InputError: if it is none.
    """
    known = check_choice("launch", launch, get_args(Launch))
    return known if device.type == "cuda" else "eager"


class RecordedUpdate:
    """An update that is recorded as a CUDA graph after its first calls and replayed from then on.

    The update reads tensors of one shape and nothing else that changes between calls but in place (weights,
    moments). It must not wait for the device.
    """

    def __init__(self, update: Update, device: torch.device, before: Callable[[], None]):
        """Take an update, which is not called yet, and what is to be called before it is recorded."""
        self._update = update
        self._before = before
        self._stream = torch.cuda.Stream(device)
        self._inputs: list[Tensor] = []
        self._graph: torch.cuda.CUDAGraph | None = None
        self._loss: Tensor | None = None
        self._calls = 0
        self._reached = torch.cuda.Event(blocking=True)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Do the update on these tensors and give its loss."""
        self._calls += 1
        if self._calls <= EAGER_CALLS:
            return self._beside(inputs)
        if self._graph is None:
            self._record(inputs)
        for held, given in zip(self._inputs, inputs, strict=True):
            held.copy_(given, non_blocking=True)
        assert self._graph is not None
        assert self._loss is not None
        self._graph.replay()
        self._pace()
        return self._loss.clone()

    def _pace(self) -> None:
        """Wait for the update before the last few, asleep."""
        if self._calls % AHEAD == 0:
            self._reached.synchronize()
            self._reached.record()

    def _beside(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Do it kernel by kernel, on the stream that records later."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            loss = self._update(*inputs)
        current.wait_stream(self._stream)
        return loss

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        """Record the update on copies of these tensors, without doing it."""
        with _recording:
            self._before()
            self._inputs = [given.clone() for given in inputs]
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                self._loss = self._update(*self._inputs)
            self._graph = graph
