"""Free TCP ports on 127.0.0.1, the same ones again after a restart while they are free.

They lie below the range the kernel hands to outgoing connections, so that a stranger's
connection does not take one between a stop and a start, and beside the default range
of RTP.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

from archive.embedded.errors import EmbeddedServiceError
from archive.embedded.private_file import write_private

FIRST, LAST = 10240, 19999
ATTEMPTS_MAX = 1000  # a tenth of the range; when so many are taken, something else is wrong


def keep_ports(path: Path, names: Sequence[str]) -> dict[str, int]:
    """Return a free port for each name: those noted in `path` where they are still free.

    Raises EmbeddedServiceError when there are too few.
    """
    noted = _read(path)
    with contextlib.ExitStack() as held:
        ports = {name: _hold(noted.get(name), held) for name in names}
    if ports != noted:
        write_private(path, json.dumps(ports).encode())
    return ports


def _read(path: Path) -> dict[str, int]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): int(port) for name, port in found.items()} if isinstance(found, dict) else {}


def _hold(wanted: int | None, held: contextlib.ExitStack) -> int:
    """Bind a port for as long as the others are chosen, and return it."""
    candidate = wanted
    for _ in range(ATTEMPTS_MAX):
        port = candidate if candidate is not None else FIRST + secrets.randbelow(LAST - FIRST + 1)
        candidate = None
        listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # past connections in TIME_WAIT do not count
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
    raise EmbeddedServiceError(f"No free port between {FIRST} and {LAST} on 127.0.0.1; free some.")
