"""`DIR/service.json`: how commands on this machine find the service that `up` runs.

It holds the settings of the roles with their credentials, mode 0600, and is written
anew by every start. Whoever can read it can do what the operator can.

Not here: what the settings mean (`archive.settings`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from archive.embedded.private_file import write_private
from archive.errors import Refused

NAME = "service.json"
FORMAT = 1
SIZE_BYTES_MAX = 256 * 1024  # some forty settings; anything larger is another file
DATABASE_URL = "EARWITNESS_DATABASE_URL"


@dataclass(frozen=True)
class ServiceFile:
    """The addresses of a service, and the environment of its roles.

    `environment` is common to all roles; `database_urls` has one URL for each of
    recorder, portal, worker and operator.
    """

    sip: str
    portal_url: str
    recorder_admin: str
    environment: Mapping[str, str] = field(repr=False)
    database_urls: Mapping[str, str] = field(repr=False)

    def environment_of(self, role: str) -> dict[str, str]:
        """Return the settings of one role as environment variables."""
        return {**self.environment, DATABASE_URL: self.database_urls[role]}

    def operator_environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return `inherited` with the operator's settings put over it; no secret is given in two ways."""
        settings = self.environment_of("operator")
        environment = dict(inherited)
        for name in settings:
            environment.pop(f"{name}_FILE", None)
            environment.pop(name.removesuffix("_FILE"), None)
        return {**environment, **settings}

    def write(self, directory: Path) -> None:
        """Replace the file in `directory`."""
        write_private(directory / NAME, json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode())


def read_service(directory: Path) -> ServiceFile:
    """Return what `up` wrote into its data directory; raises Refused when there is nothing to find."""
    path = directory / NAME
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(SIZE_BYTES_MAX))
        if content.pop("format") != FORMAT:
            raise Refused(f"{path} was written by another release; start `earwitness up` again.")
        return ServiceFile(**content)
    except FileNotFoundError:
        raise Refused(
            f"No service was started on {directory}. Start it with: earwitness up --data {directory}"
        ) from None
    except PermissionError:
        raise Refused(f"{path} is not readable for you; use the account that runs the service.") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused(f"{path} is damaged; start `earwitness up` again.") from None
