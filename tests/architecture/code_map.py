"""Makes `docs/code-map.md`: the first sentence of every module, so that the page can't go stale.

python tests/architecture/code_map.py > docs/code-map.md
"""

from __future__ import annotations

import ast
import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("keys", "archive", "retention", "recorder", "playback_portal")


def modules() -> list[Path]:
    """Return every module of the product, migrations aside, in the order of the page."""
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if "migrations" not in path.parts and path.name != "__init__.py"]


def purpose(path: Path) -> str:
    """Return the first line of a module's docstring."""
    document = ast.get_docstring(ast.parse(path.read_text())) or ""
    return document.partition("\n")[0]


def page() -> str:
    """Return the whole page."""
    lines = [
        "# Code map",
        "",
        "What each module is, in its own words. Made by `make docs`; a test compares.",
        "",
    ]
    folders = groupby(sorted(modules(), key=lambda path: path.parent), key=lambda path: path.parent)
    for folder, paths in folders:
        lines += [f"## `{folder.relative_to(ROOT)}/`", "", "| module | what it is |", "|---|---|"]
        lines += [f"| `{path.stem}` | {purpose(path).replace('|', chr(92) + '|')} |" for path in paths]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
