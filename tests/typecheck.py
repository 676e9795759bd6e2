"""The run-time checker of annotations that the tests put on every function of the package."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a fine float


def unchecked(kind, /, **values):
    """Make a dataclass as users do, without the checker of annotations that the tests put before it."""
    made = object.__new__(kind)
    for name, value in (vars(kind()) | values).items():
        object.__setattr__(made, name, value)
    made.__post_init__()
    return made
