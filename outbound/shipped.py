"""Files that travel with the program: statements, units of systemd, the demo's calls, the document of the API."""

from pathlib import Path


def shipped(inside: str, checkout: str) -> Path:
    """Return where they lie: under *inside* in an installed package, or else under *checkout* in the repository."""
    package = Path(__file__).parent
    installed = package / inside
    return installed if installed.exists() else package.parent / checkout
