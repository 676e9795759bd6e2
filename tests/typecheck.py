"""The run-time checker of annotations that the tests put on every function and dataclass of the package.

jaxtyping's import hook decorates each of them by `jaxtyping.jaxtyped`, which binds the arguments anew at each
call: 10 to 40 microseconds, most of the time of a test that reads records. The decorator below checks the
same annotations by beartype alone, and opens a scope for the names of axes only where there are any. In each
test it checks the first calls of a function, and of the others one in so many.
"""

import dataclasses
import functools
import inspect
import types
import typing

import jaxtyping
from beartype import BeartypeConf, beartype

# an int is a fine float
CONFIGURATION = BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError)
check = beartype(conf=CONFIGURATION)
by_jaxtyping = jaxtyping.jaxtyped

FIRST = 8  # calls of a function in a test, all of which are checked
ONE_IN = 10  # of the others

_tests = 0  # that have begun


def begin_test():
    """Check the first calls of every function again."""
    global _tests
    _tests += 1


def install():
    """Check the package from now on: the hook looks its decorator up in jaxtyping."""
    jaxtyping.jaxtyped = jaxtyped
    jaxtyping.install_import_hook("memhorizon", "typecheck.check")


def jaxtyped(item=None, *, typechecker=None):
    """As `jaxtyping.jaxtyped`, of which it does what the hook and this package need."""
    if item is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    if item == "context":
        return by_jaxtyping("context")
    if inspect.isclass(item):
        if dataclasses.is_dataclass(item) and not hasattr(item.__init__, "__wrapped__"):
            item.__init__ = checked(item.__init__)
        return item
    if isinstance(item, property):
        return property(*(part and checked(part) for part in (item.fget, item.fset, item.fdel)))
    if isinstance(item, classmethod | staticmethod):
        return type(item)(checked(item.__func__))
    return checked(item)


def checked(function):
    """The function with its annotations checked, unless jaxtyping's configuration says otherwise."""
    named = has_axes(function)
    if named and inspect.isgeneratorfunction(function):
        return by_jaxtyping(typechecker=check)(function)
    inner = check(without_quotes(function))
    test = calls = 0

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        nonlocal test, calls
        if test != _tests:
            test = _tests
            calls = 0
        calls += 1
        if calls > FIRST and calls % ONE_IN or jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        if not named:
            return inner(*args, **kwargs)
        with by_jaxtyping("context"):
            return inner(*args, **kwargs)

    return wrapped


def without_quotes(function):
    """The function, or one with the same code and annotations that name what there is.

    An annotation in quotes may name the class that is being made, or what only type checkers import:
    it becomes `object` if there is nothing of its name yet.
    """
    annotations = function.__annotations__
    if not any(has_quotes(annotation) for annotation in annotations.values()):
        return function
    made = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    functools.update_wrapper(made, function)
    del made.__wrapped__
    made.__kwdefaults__ = function.__kwdefaults__
    made.__annotations__ = {name: found(one, function.__globals__) for name, one in annotations.items()}
    return made


def has_quotes(annotation):
    """Whether an annotation is in quotes, or a part of it."""
    if isinstance(annotation, str | typing.ForwardRef):
        return True
    parts = typing.get_args(annotation)
    return any(has_quotes(part) for part in parts) and typing.get_origin(annotation) is not typing.Literal


def found(annotation, names):
    """What an annotation names, quotes within it looked up."""
    if not has_quotes(annotation):
        return annotation
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        hint = typing.get_type_hints(holder, globalns=names)["it"]
        return object if has_quotes(hint) else hint  # Python 3.10 leaves quotes within `Sequence["Name"]`
    except (
        NameError,
        TypeError,
    ):  # TypeError: `"Name" | None`, on classes that are known to type checkers only
        return object


def has_axes(function):
    """Whether an annotation of the function names axes, as `Float[Tensor, "n d"]` does."""
    return any(names_axes(annotation) for annotation in function.__annotations__.values())


def names_axes(annotation):
    """Whether this annotation, or one within it, names axes; one in quotes may."""
    if isinstance(annotation, str):
        return "[" in annotation
    if typing.get_origin(annotation) is None and inspect.isclass(annotation):
        return issubclass(annotation, jaxtyping.AbstractArray)
    return any(names_axes(part) for part in typing.get_args(annotation) if not isinstance(part, str | int))


def unchecked(kind, /, **values):
    """Make a dataclass as users do, without the checker of annotations that the tests put before it."""
    made = object.__new__(kind)
    for name, value in (vars(kind()) | values).items():
        object.__setattr__(made, name, value)
    made.__post_init__()
    return made
