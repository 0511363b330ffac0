"""Which backend is best for a table: a command, and the function ``suite.best(...)`` of notebooks."""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """``suite.best`` is this package to who imports from it, and the function to who calls it."""

    def __call__(self, *runs: Any, **asked: Any) -> Any:
        from suite.best.table import best

        return best(*runs, **asked)


sys.modules[__name__].__class__ = _Callable
