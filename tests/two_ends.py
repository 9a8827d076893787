"""In what order two workers take the files of tests that need whole services.

A service takes ten seconds to start and goes on to cost something until its tests are
through. Files of the same service therefore stand side by side, and one worker takes
files from the beginning while the other takes them from the end: what stands between
them is all that can be started twice. Files that start what they need themselves stand
in the middle, where the two meet.

Not here: what the services are (`tests/conftest.py` and the folders' own).
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

BROWSED = "browser"
"""The folder whose tests share a furnished service, the first of all files."""

LAST = ("service", "provider", "crashing")
"""The services whose tests come last, and in what order; a worker that goes backwards begins with the last."""


def arranged(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests with the files of each service side by side, else in the order they had."""
    found = list(items)
    ranks = [_rank(item) for item in found]
    of_file: dict[str, int] = {}
    for item, rank in zip(found, ranks, strict=True):
        of_file[_file(item.nodeid)] = max(rank, of_file.get(_file(item.nodeid), rank))
    return sorted(found, key=lambda item: of_file[_file(item.nodeid)])


def _rank(item: pytest.Item) -> int:
    if BROWSED in item.path.parts:
        return -1
    fixtures = getattr(item, "fixturenames", ())
    return max((place for place, name in enumerate(LAST, 1) if name in fixtures), default=0)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class TwoEnds(LoadFileScheduling):
    """Gives whole files to workers: to the first, third and so on from the beginning, to others from the end."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        if self.nodes.index(node) % 2:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)
