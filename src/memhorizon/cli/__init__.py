"""The command line: `memhorizon --help`. The only part that prints.

Exit status: 0 fine, 1 the answer is a warning, 2 bad input, 3 a fault of this program, 130 interrupted,
141 nobody reads the output.
A command is imported when it is called: the theory and every help page do without torch.
"""

import atexit
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from memhorizon.cli.terminal import NobodyReadsError, readable

if TYPE_CHECKING:
    from tyro.extras import SubcommandApp

Called: TypeAlias = "Callable[..., int] | SubcommandApp"  # a command, or one with commands of its own


class Command(NamedTuple):
    """Where a command is defined, and what it does: the first paragraph of its docstring."""

    module: str
    description: str


COMMANDS = {
    "demo": Command(
        "runs",
        "Train on handwritten digits at several n and show both timescales, in a few minutes.",
    ),
    "train": Command("runs", "Train one network and measure its snapshots; the same command resumes."),
    "sweep": Command(
        "runs", "Train all combinations of the axes, one process per core; the same command resumes."
    ),
    "measure": Command(
        "runs", "Measure the snapshots of a run again, with other numbers of samples or solver steps."
    ),
    "watch": Command(
        "runs",
        "Show the progress of the runs in a directory, or of a monitored training.",
    ),
    "report": Command(
        "runs", "Write one page about a run, a directory of runs, a monitored training, or a record."
    ),
    "audit": Command(
        "audit",
        "Find the samples that copy training items, each with an exact p-value, and write a page about them.",
    ),
    "forecast": Command(
        "forecast",
        "Forecast when a run of n items would begin to copy, from pilots, with a prediction interval.",
    ),
    "monitor": Command(
        "monitor",
        "Watch a training from its folder of checkpoints: which of them copies, which one is to be shipped?",
    ),
    "plan": Command(
        "plan",
        "From a folder of images to the number of steps after which a training would copy them.",
    ),
    "theory": Command("theory", "The random-features model in the high-dimensional limit."),
    "figure": Command("figure", "Redraw the pictures of a record from the numbers in it."),
    "reproduce": Command(
        "reproduce", "Run a recipe, write its record and draw its figures; without a name, list the recipes."
    ),
}

DESCRIPTION = """When does a diffusion model begin to copy its training set?

memhorizon COMMAND --help explains a command, memhorizon --version prints the version.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with readable():
        try:
            return _answered(words)
        except NobodyReadsError:  # he has seen enough
            return 141
        except Exception:  # noqa: BLE001  Python would end with 1, which is an answer: "there are copies"
            _complain(traceback.format_exc())
            return 3


def _answered(words: list[str]) -> int:
    """Run a command; what the user can mend becomes one line, a fault of ours is raised."""
    try:
        status = _run(words)
        sys.stdout.flush()  # a reader that is gone is met here, not at the end of the interpreter
        return status
    except NobodyReadsError:
        raise
    except SystemExit as stop:  # of the parser: after its help, or after it has told what is wrong
        if not stop.code:
            raise
        return 2
    except (ValueError, ImportError, OSError, RuntimeError, MemoryError) as error:
        text = sentence(error)
        if text is None:
            raise
        _complain(f"memhorizon: {text}")
        return 2
    except KeyboardInterrupt:
        _complain("\nmemhorizon: interrupted; the same command resumes from here")
        return 130


def _complain(text: str) -> None:
    """Say what went wrong, if anybody can be told; the exit status says it in any case."""
    with suppress(OSError):
        print(text, file=sys.stderr)


def _run(words: list[str]) -> int:
    """Import the command that is called, and no other."""
    if words == ["--version"]:
        from memhorizon import __version__

        print(f"memhorizon {__version__}")
        return 0
    if words == ["reproduce"]:  # the list alone needs nothing of what makes the recipes
        from memhorizon.cli.claims import show_claims

        return show_claims()
    import tyro

    if not words or words[0] not in COMMANDS:
        return _overview(words).cli(prog="memhorizon", args=words, description=DESCRIPTION)
    name, *rest = words
    command = _load(name, words)
    if isinstance(command, tyro.extras.SubcommandApp):
        return command.cli(prog=f"memhorizon {name}", args=rest, description=COMMANDS[name].description)
    _find_matplotlib_a_home()
    return tyro.cli(command, prog=f"memhorizon {name}", args=rest)


def _overview(words: list[str]) -> "SubcommandApp":
    """All commands by their descriptions: enough for --help and for a name that is none.

    Shell completion (--tyro-print-completion) needs them all with their flags.
    """
    from tyro.extras import SubcommandApp

    app = SubcommandApp()
    complete = any(word.startswith("--tyro") for word in words)
    for name, command in COMMANDS.items():
        called = _load(name, words) if complete else _nothing
        if isinstance(called, SubcommandApp):
            app.command(called, name=name, help=command.description)
        else:
            app.command(name=name, help=command.description)(called)
    return app


def _nothing() -> int:
    """Stand for a command that is not loaded."""
    return 0


def _load(name: str, words: list[str]) -> "Called":
    """Import a command; every module of commands lists those in it."""
    if name == "theory":  # its matrices have a few hundred rows: threads would only wait for one another
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(variable, "1")
    module = import_module(f"memhorizon.cli.{COMMANDS[name].module}")
    return dict(module.commands(words))[name]


def sentence(error: BaseException) -> str | None:
    """Say in one line what the user can mend; None for what only we can."""
    from memhorizon.errors import InputError, MissingExtraError

    if isinstance(error, InputError | MissingExtraError):
        return str(error).replace("\n", " ")
    if isinstance(error, OSError):
        about = "" if error.filename is None else f": {error.filename}"
        return f"{error.strerror or error}{about}".replace("\n", " ")
    if isinstance(error, MemoryError) or "out of memory" in str(error) or "allocate memory" in str(error):
        return (
            "memory: not enough of it; a smaller --data.n-train, --train.batch-size, --measure.n-samples "
            "or network (of an audit: --size) needs less"
        )
    return None


def _find_matplotlib_a_home() -> None:
    """Let matplotlib keep its list of fonts in a temporary folder where the user has none to write to."""
    if "MPLCONFIGDIR" in os.environ or _has_a_home():
        return
    folder = tempfile.mkdtemp(prefix="memhorizon-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["MPLCONFIGDIR"] = folder


def _has_a_home() -> bool:
    """Whether the user has a folder to write to."""
    try:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home())
        return os.access(home, os.W_OK)
    except RuntimeError:  # no HOME, and no user of this number
        return False
