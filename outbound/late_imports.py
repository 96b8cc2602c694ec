"""Imports a library without what it names and does not need: a part of its own, until that is used, or another one."""

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any


class _Later(type):
    """The kind of a class that stands for another one, whose module is imported when the class is used."""

    origin: tuple[str, str]

    def __call__(cls, *given: Any, **named: Any) -> Any:
        """Make one of the other class."""
        return cls._meant()(*given, **named)

    def __getattr__(cls, name: str) -> Any:
        """Give the other class's attribute."""
        return getattr(cls._meant(), name)

    def _meant(cls) -> Any:
        module, name = cls.origin
        return getattr(importlib.import_module(module), name)


def load(library: str, late: Mapping[str, str]) -> None:
    """
    Import *library*.

    Args:
        late: modules that it imports, each with the one class that it takes from there.
    """
    stand_ins = {module: _stand_in(module, name) for module, name in late.items() if module not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        importlib.import_module(library)
    finally:
        for module in stand_ins:
            del sys.modules[module]


def load_without(library: str, other: str) -> None:
    """Import *library* as where *other* is not installed, which it would import for what nobody here asks of it."""
    present = sys.modules.get(other)
    sys.modules[other] = None  # type: ignore[assignment]  # Python's own mark of what cannot be imported
    try:
        importlib.import_module(library)
    finally:
        del sys.modules[other]
        if present is not None:
            sys.modules[other] = present


def _stand_in(module: str, name: str) -> ModuleType:
    found = ModuleType(module)
    setattr(found, name, _Later(name, (), {"origin": (module, name)}))
    return found
