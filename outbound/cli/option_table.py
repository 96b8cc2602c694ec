"""The table of a command's options, as its help draws it: names are shown whole at 80 columns."""

import importlib
from typing import Any

from rich.table import Table
from rich.text import Text

_CELLS_MIN = 6  # of an option's row in typer.rich_utils; other tables of help have fewer


def use() -> None:
    """Have typer.rich_utils, which is imported already, draw options so."""
    importlib.import_module("typer.rich_utils").Table = OptionTable  # type: ignore[attr-defined]


class OptionTable(Table):
    """A table of rows as typer.rich_utils makes them; `--no-…` stands below what it takes back, not beside it."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add an option (a mark, long and short names, their opposites, kind, help), or what another table has."""
        if len(cells) < _CELLS_MIN:
            super().add_row(*cells, **options)
            return
        *mark, long, short, no_long, no_short, kind, text = cells
        names = [Text("\n").join(name for name in pair if name) for pair in ((long, no_long), (short, no_short))]
        super().add_row(*mark, *names, kind, text, **options)
        for column in self.columns[len(mark) :][:2]:
            column.no_wrap = True
