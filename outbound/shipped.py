"""Files that travel with the program and are no Python: statements, systemd's units, the demo's calls."""

from pathlib import Path


def shipped(inside: str, checkout: str) -> Path:
    """Return where they lie: under *inside* in an installed package, or else under *checkout* in the repository."""
    package = Path(__file__).parent
    installed = package / inside
    return installed if installed.exists() else package.parent / checkout
