"""The errors that memhorizon raises."""


class InputError(ValueError):
    """Something that the user gave cannot be used; the message names it, what was expected and what came."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the message is the line that installs it."""
