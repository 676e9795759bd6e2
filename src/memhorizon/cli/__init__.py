"""The command line: `memhorizon --help`. The only part that prints.

Exit status: 0 fine, 1 the answer is a warning, 2 bad input, 130 interrupted, 141 nobody reads the output.
"""

import os
import sys
from collections.abc import Sequence

import tyro

from memhorizon.cli import records, runs, theory
from memhorizon.results import InputError, MissingExtraError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _app(words).cli(prog="memhorizon", args=words) or 0
        sys.stdout.flush()  # a reader that is gone is met here, not at the end of the interpreter
        return status
    except (InputError, MissingExtraError) as error:
        print(f"memhorizon: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # as in `memhorizon ... | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        about = "" if error.filename is None else f": {error.filename}"
        print(f"memhorizon: {error.strerror or error}{about}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmemhorizon: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _app(words: Sequence[str]) -> tyro.extras.SubcommandApp:
    app = tyro.extras.SubcommandApp()
    for name, command in (*runs.commands(words), *records.commands(words)):
        app.command(command, name=name)
    app.command(theory.app, name="theory", help="The random-features model in the high-dimensional limit.")
    return app
