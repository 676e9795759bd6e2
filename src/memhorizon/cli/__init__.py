"""The command line: `memhorizon --help`. The only part that prints.

Exit status: 0 fine, 1 the answer is a warning, 2 bad input, 130 interrupted.
"""

import sys
from collections.abc import Sequence

import tyro

from memhorizon.cli import records, runs, theory
from memhorizon.results import InputError, MissingExtraError

app = tyro.extras.SubcommandApp()
for command in (runs.demo, runs.train, runs.sweep, runs.measure, runs.watch, runs.report):
    app.command(command)
app.command(theory.app, name="theory", help="The random-features model in the high-dimensional limit.")
for command in (records.figure, records.reproduce):
    app.command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    try:
        return app.cli(prog="memhorizon", args=arguments) or 0
    except (InputError, MissingExtraError) as error:
        print(f"memhorizon: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"memhorizon: {error.strerror}: {error.filename}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmemhorizon: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
