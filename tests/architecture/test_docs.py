"""The documents say what the code does: pages that are made from it are current, names in them exist."""

from __future__ import annotations

import importlib
import re

from archive.cli.main import VERBS
from archive.settings import settings_page, settings_table
from recorder.srs.recording_mode import page as recording_modes_page
from tests.architecture import code_map

ROOT = code_map.ROOT
NAME = re.compile(r"`((?:recorder|archive|keys|retention|playback_portal)(?:\.\w+)+)`")


def test_the_code_map_is_current() -> None:
    """`make docs` was run after the last change of a module."""
    assert (ROOT / "docs/code-map.md").read_text() == code_map.page()


def test_the_settings_page_is_current() -> None:
    """Every setting stands in it with its default."""
    page = (ROOT / "docs/settings.md").read_text()
    assert page == settings_page()
    assert all(name in page for name, _, _ in settings_table())


def test_the_page_of_the_modes_is_current() -> None:
    """The drawing comes from the table that runs."""
    assert (ROOT / "docs/recording-modes.md").read_text() == recording_modes_page()


def test_architecture_stays_short() -> None:
    """What a newcomer reads first has at most 250 lines."""
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 250


def test_names_in_the_documents_exist() -> None:
    """A page that names a module, class or function names one that is there."""
    for path in [ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        missing = [name for name in NAME.findall(path.read_text()) if not exists(name)]
        assert not missing, f"{path.name}: {missing}"


def exists(name: str) -> bool:
    """Tell whether a dotted name is a module or something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            annotated = getattr(found, "__annotations__", {})
            if not hasattr(found, part) and part not in annotated:
                return False
            found = getattr(found, part, None)
        return True
    return False


def test_every_folder_stands_in_the_code_map_of_the_architecture() -> None:
    """A folder nobody explains is a folder nobody finds."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    folders = {path.parent.relative_to(ROOT).as_posix() for path in code_map.modules()}
    assert not [folder for folder in folders if f"{folder.rsplit('/')[-1]}/" not in text]


def test_the_two_commands_stand_in_the_readme() -> None:
    """`make run` and `make test`, as the contract promises them."""
    text = (ROOT / "README.md").read_text()
    assert "make run" in text
    assert "make test" in text


def test_every_verb_stands_in_the_operators_guide() -> None:
    """An operator finds each command by its name."""
    text = (ROOT / "docs/operators.md").read_text()
    assert not [verb for verb in VERBS if f"`{verb}" not in text and f"earwitness {verb}" not in text]
