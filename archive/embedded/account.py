"""The operating-system account of the embedded PostgreSQL, which refuses to run as root.

As an ordinary user there is nothing to do: the service runs as that user. As root an
account without password or shell is made once, and the folders above its data and
its programs are made passable (execute for others, which shows no names and no
content), because the account must reach both.

Not here: the rights inside the data directory, which belongs to the account alone.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from archive.embedded.errors import EmbeddedServiceError

NAME = "embedded_postgres"
COMMAND_TIMEOUT_S = 30.0  # useradd edits four small files


@dataclass(frozen=True)
class Account:
    """User and group to run as; both None when we need not change."""

    user: int | None
    group: int | None

    def own(self, path: Path) -> None:
        """Give `path` to the account."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)


def service_account() -> Account:
    """Return the account to run PostgreSQL as, making it if need be.

    Raises EmbeddedServiceError when it is missing and can't be made.
    """
    if os.geteuid() != 0:
        return Account(None, None)
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        _make()
        entry = pwd.getpwnam(NAME)
    return Account(entry.pw_uid, entry.pw_gid)


def _make() -> None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        raise EmbeddedServiceError(
            f"PostgreSQL does not run as root and there is no useradd here. Make a user {NAME}, "
            "run as an ordinary user, or set EARWITNESS_DATABASE_URL."
        )
    command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
    made = subprocess.run(  # noqa: S603 - a fixed command
        command, check=False, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
    )
    if made.returncode != 0:
        raise EmbeddedServiceError(f"The user {NAME} can't be made: {made.stderr.strip()}.")


def make_passable(path: Path) -> tuple[Path, ...]:
    """Let others pass through (not list) the folders above `path`; returns those that were changed.

    Raises EmbeddedServiceError naming the folder that can't be changed.
    """
    changed = []
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if mode & stat.S_IXOTH:
            continue
        try:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
        except OSError as error:
            raise EmbeddedServiceError(
                f"The user {NAME} can't pass through {folder}: "
                "make it passable (chmod o+x) or use another --data."
            ) from error
        changed.append(folder)
    return tuple(changed)


def make_readable(tree: Path) -> None:
    """Let others read the programs below `tree`, which a strict umask at installation may forbid."""
    if tree.stat().st_mode & stat.S_IROTH and _all_open(tree / "bin"):
        return
    for path in (tree, *tree.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if wanted != mode:
            path.chmod(wanted)


def _all_open(folder: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in folder.iterdir())
