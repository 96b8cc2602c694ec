"""What typer draws help with, imported without the parts of rich that it needs for other things."""

import importlib
import sys
from types import ModuleType
from typing import Any

# typer.rich_utils imports these two names.  The first is for another kind of markup than ours, the second for an error
# that nobody expected.  What they import in turn takes a third of the time of `outbound --help`.
UNUSED = {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}


class _Later(type):
    """The kind of a class that stands for another one, whose module is imported when the class is used."""

    origin: tuple[str, str]

    def __call__(cls, *given: Any, **named: Any) -> Any:
        """Make one of the other class."""
        return cls._meant()(*given, **named)

    def __getattr__(cls, name: str) -> Any:
        """Say what the other class says."""
        return getattr(cls._meant(), name)

    def _meant(cls) -> Any:
        module, name = cls.origin
        return getattr(importlib.import_module(module), name)


def load() -> None:
    """Import typer.rich_utils; UNUSED are imported when they are used."""
    stand_ins = {module: _stand_in(module, name) for module, name in UNUSED.items() if module not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        importlib.import_module("typer.rich_utils")
    finally:
        for module in stand_ins:
            del sys.modules[module]


def _stand_in(module: str, name: str) -> ModuleType:
    found = ModuleType(module)
    setattr(found, name, _Later(name, (), {"origin": (module, name)}))
    return found
