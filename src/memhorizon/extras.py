"""Optional packages, imported where they are used."""

from importlib import import_module
from types import ModuleType

from memhorizon.errors import MissingExtraError


def need(package: str, *, extra: str, what: str) -> ModuleType:
    """Import a package, or say which line installs it.

    Args:
        package: to be imported.
        extra: of memhorizon, that has it.
        what: needs it.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        root = package.split(".")[0]
        if error.name not in (root, package):  # it is there, and something that it needs is not
            raise
        raise MissingExtraError(f'{what} needs {root}: pip install "memhorizon[{extra}]"') from error
