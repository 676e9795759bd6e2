"""Files as strangers send them, and a clock for what must not wait for ever."""

import contextlib
import signal
import tracemalloc


@contextlib.contextmanager
def deadline(seconds=10):
    """Raise where the block still runs then, as one that waits for a named pipe does."""

    def late(*_):
        raise TimeoutError(f"still waiting after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def memory_below(most):
    """Fail where Python and NumPy take more bytes than this at any moment of the block."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak:,} bytes"
