"""PostgreSQL's own account reaches its programs and its data, and nothing is listed for it."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from archive.embedded.account import NAME, make_passable, make_readable, service_account


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_above_are_made_passable_and_stay_unlisted(tmp_path: Path) -> None:
    """Entering is allowed, reading names is not."""
    home = tmp_path / "home"
    data = home / "data"
    data.mkdir(parents=True)
    home.chmod(0o700)
    assert home in make_passable(data)
    assert mode(home) == 0o701
    assert home not in make_passable(data)


def test_programs_installed_under_a_strict_umask_become_readable(tmp_path: Path) -> None:
    """Otherwise a virtual environment made with umask 077 could not start the server."""
    program = tmp_path / "bin" / "postgres"
    library = tmp_path / "lib" / "libpq.so"
    for path, permissions in ((program, 0o700), (library, 0o600)):
        path.parent.mkdir()
        path.write_bytes(b"")
        path.chmod(permissions)
    tmp_path.chmod(0o700)
    make_readable(tmp_path)
    assert mode(program) == 0o705
    assert mode(library) == 0o604


def test_as_root_there_is_an_account_and_as_a_user_there_is_no_need_for_one() -> None:
    """The account has no shell and is made once."""
    account = service_account()
    if os.geteuid() == 0:
        assert account.user == pwd.getpwnam(NAME).pw_uid != 0
    else:
        assert account.user is None
    assert service_account() == account
