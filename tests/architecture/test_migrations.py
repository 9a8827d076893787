"""The migrations are one line: a database has one way to the newest form."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from archive.catalogue import migrate

MIGRATIONS = Path(migrate.__file__).parent / "migrations"


def test_the_migrations_end_in_one_newest_form() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1
