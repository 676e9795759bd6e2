"""What was typed to train: the file of --load, and options in an order that the parser takes."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from memhorizon.cli.terminal import say
from memhorizon.errors import InputError
from memhorizon.experiments.config import Config, from_json, is_of_older_run
from memhorizon.files.plain import read_text

NETWORKS = ("model:u-net-config", "model:mlp-config", "model:features-config")
AFTER_NETWORK = ("--model.", "--help", "--tyro-")  # what may be typed after one of these


def file_of_load(arguments: Sequence[str]) -> Path | None:
    """The file of --load; None without one, or without its value, which is told when the command is read."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--load", type=Path, default=None)
    try:
        return parser.parse_known_args(arguments)[0].load
    except argparse.ArgumentError:
        return None


def config_in(path: Path) -> Config:
    """The configuration in a file, said to be a new one where its run cannot be continued."""
    if path.exists() and not path.is_file():  # a folder, or a pipe that would be waited for
        raise InputError(f"load: expected a file, got {str(path)!r}")
    text = read_text(path)
    config = from_json(text)
    if is_of_older_run(path.absolute().parent.name, text, config):
        say(
            f"{path} is of a run of version 0.1, which is read and measured, not continued; "
            f"this is a new run, {config.key}"
        )
    return config


def check_order(arguments: Sequence[str]) -> None:
    """Refuse options of a network that do not come after its name, and others that do, each in one line.

    Raises:
        InputError: if there are any.
    """
    command, *given = arguments
    named = next((word for word in given if word in NETWORKS), None)
    at = given.index(named) if named else len(given)
    _check_none_early(command, [word for word in given[:at] if word.startswith("--model.")], named)
    late = [word for word in given[at:] if word.startswith("--") and not word.startswith(AFTER_NETWORK)]
    if late:
        raise InputError(
            f"{late[0]}: expected before {named}, after whose name come options of the network alone, as in "
            f"memhorizon {command} {late[0]} ... {named} ..."
        )


def _check_none_early(command: str, early: Sequence[str], named: str | None) -> None:
    """Refuse options of a network that come before its name."""
    if early:
        names = ", ".join(NETWORKS)
        raise InputError(
            f"{early[0]}: expected options of a network at the end, after its name ({names}), as in "
            f"memhorizon {command} ... {named or NETWORKS[0]} {early[0]} ..."
        )
