"""The type of what JSON holds."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

# typed down to one level: type checkers at run time know no recursive types
Plain: TypeAlias = None | bool | int | float | str | Sequence[object] | Mapping[str, object]
