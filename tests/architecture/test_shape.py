"""The shape of the code: sizes, imports in one direction, no unfinished marks, words for everything."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from tests.architecture.code_map import PACKAGES, ROOT

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b|NotImplemented" r"Error")
BANNED_NAMES = re.compile(r"(?:^|_)(?:utils?|helpers?|managers?|common|misc)(?:_|$)")
SKIPS = re.compile(r"pytest\.(?:mark\.)?(?:ski" r"p|xfai" r"l)|importor" r"skip")


def sources() -> list[Path]:
    """Return every Python file of the product."""
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def tracked(pattern: str) -> list[Path]:
    """Return the files of the checkout that match a glob."""
    return [path for path in ROOT.rglob(pattern) if not {".venv", "node_modules", ".git"} & set(path.parts)]


def functions(path: Path) -> list[tuple[str, int]]:
    """Return each function with its length in lines, docstring not counted."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            document = ast.get_docstring(node, clean=False)
            words = 0 if document is None else node.body[0].end_lineno - node.body[0].lineno + 1
            found.append((node.name, node.end_lineno - node.lineno + 1 - words))
    return found


def test_no_file_and_no_function_is_too_long_to_read() -> None:
    """500 lines a file and 60 a function are the most a reader is asked for."""
    long = [path for path in sources() if len(path.read_text().splitlines()) > FILE_LINES_MAX]
    longer = [
        (path, name) for path in sources() for name, lines in functions(path) if lines > FUNCTION_LINES_MAX
    ]
    assert not long
    assert not longer


def test_every_module_says_what_it_is() -> None:
    """A newcomer finds the room of every line by the first sentence of its module."""
    silent = [path for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not [path for path in silent if path.read_text().strip()]


def test_modules_are_named_by_a_noun_of_the_field() -> None:
    """A module for everything is a module for nothing."""
    assert not [path for path in sources() if BANNED_NAMES.search(path.stem)]


def test_nothing_is_left_for_later_without_a_word() -> None:
    """Unfinished work is said in the changelog, not hidden in a mark."""
    assert not [path for path in tracked("*.py") if UNFINISHED.search(path.read_text())]


def test_no_test_is_left_out_in_silence() -> None:
    """A tool that is missing fails a test; it never makes it vanish."""
    assert not [path for path in (ROOT / "tests").rglob("*.py") if SKIPS.search(path.read_text())]


def test_imports_go_one_way() -> None:
    """The contracts of pyproject.toml hold: layers, cores without I/O, one importer of S3 and of SQL."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_lock_files_carry_versions_and_no_addresses() -> None:
    """Where packages come from is the installer's matter."""
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert all("==" in line for line in text.splitlines() if line and not line.startswith("#"))
