"""Names of hyperparameters, and of places in the configuration, as figures and pages write them."""

from memhorizon.experiments.hyperparameters import HYPERPARAMETERS


def printable(text: str) -> str:
    r"""Write out every character that shows nothing, or turns the direction of writing round.

    >>> print(printable("a\x1b[31m\u202eb"))
    a\x1b[31m\u202eb
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def label_of(name: str) -> str:
    """A hyperparameter, or a place in the configuration, in words: optimizer.name is the optimizer.

    >>> label_of("lr"), label_of("optimizer.lr"), label_of("optimizer.name"), label_of("train.n_updates")
    ('learning rate', 'learning rate', 'optimizer', 'updates')
    """
    entry = name.removesuffix(".name").removesuffix(".kind").rsplit(".", 1)[-1]
    if entry in HYPERPARAMETERS:
        return HYPERPARAMETERS[entry].symbol
    return printable(entry.removeprefix("n_").replace("_", " "))


def letter_of(name: str) -> str:
    """A hyperparameter in a formula.

    >>> letter_of("n_train"), letter_of("width"), letter_of("dropout")
    ('n', 'W', 'dropout')
    """
    entry = HYPERPARAMETERS[name]
    return entry.letter or entry.symbol


def axis_label(name: str) -> str:
    """A hyperparameter on an axis, in words and with its letter.

    >>> axis_label("n_train"), axis_label("width"), axis_label("dropout")
    ('training items n', 'width W', 'dropout')
    """
    label = HYPERPARAMETERS[name].label
    letter = letter_of(name)
    return label if letter == label else f"{label} {letter}"


def phrase_of(name: str, item: str) -> str:
    """A hyperparameter within a sentence about items that are images or points.

    >>> phrase_of("n_train", "images"), phrase_of("lr", "images")
    ('the number of training images', 'the learning rate')
    """
    return f"the number of training {item}" if name == "n_train" else f"the {HYPERPARAMETERS[name].label}"
