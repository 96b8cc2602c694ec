"""Imports a library without what it names and does not need: a part of its own, until that is used, or another one."""

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any


class _Later(type):
    """The kind of a class that stands for a class or function, whose module is imported when it is used."""

    origin: tuple[str, str]

    def __call__(cls, *given: Any, **named: Any) -> Any:
        """Make one of the other class, or call the function."""
        return cls._meant()(*given, **named)

    def __getattr__(cls, name: str) -> Any:
        """Give the other's attribute."""
        return getattr(cls._meant(), name)

    def _meant(cls) -> Any:
        module, name = cls.origin
        return getattr(importlib.import_module(module), name)


def load(library: str, late: Mapping[str, tuple[str, ...]]) -> None:
    """
    Import *library*.

    Args:
        late: modules that it imports, each with the classes and functions that it takes from there.
    """
    stand_ins = {module: _stand_in(module, names) for module, names in late.items() if module not in sys.modules}
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


def leave_out(module: str) -> None:
    """Have a module count as not installed in this process, unless it is imported already."""
    sys.modules.setdefault(module, None)  # type: ignore[arg-type]  # as above


def _stand_in(module: str, names: tuple[str, ...]) -> ModuleType:
    found = ModuleType(module)
    for name in names:
        setattr(found, name, _Later(name, (), {"origin": (module, name)}))
    return found
