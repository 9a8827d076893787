"""In what order workers take the files of tests, so that few services are started and no core is idle.

A service takes ten seconds to start and goes on to cost something until its tests are
through. Files of the same service therefore stand side by side, and the first worker takes
files from the beginning while the second takes them from the end: what stands between
them is all that can be started twice. Both wait most of the time, for calls and pages.
Further workers use the time meanwhile: they begin in the middle, with the files that take
a core and need no whole service, and go on with those that start what they need themselves.

Not here: what the services are (`tests/conftest.py` and the folders' own).
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

BROWSED = "tests/browser/"
"""The folder whose tests share a furnished service, the first of all files."""

COMPUTED = ("tests/architecture/", "tests/unit/")
"""The folders whose tests take a core and need no whole service; they stand in the middle."""

LAST = ("service", "provider", "crashing")
"""The services whose tests come last, and in what order; a worker that goes backwards begins with the last."""

LONGEST = ("tests/crash/test_reports_are_mailed_once.py",)
"""Files that wait for minutes and compute little: begun first, so that no worker is alone with them at the end."""

ENDS = (0, -1)
"""Where the first two workers take their files."""

_BROWSED_RANK, _ALONE_RANK, _COMPUTED_RANK, _FIRST_OF_LAST_RANK = range(4)
_LONGEST_RANK = _FIRST_OF_LAST_RANK + len(LAST)


def arranged(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests with the files of each service side by side, else in the order they had."""
    found = list(items)
    of_file: dict[str, int] = {}
    for item in found:
        file = _file(item.nodeid)
        of_file[file] = max(_rank(item), of_file.get(file, _BROWSED_RANK))
    return sorted(found, key=lambda item: of_file[_file(item.nodeid)])


def _rank(item: pytest.Item) -> int:
    if item.nodeid.startswith(BROWSED):
        return _BROWSED_RANK
    if item.nodeid.startswith(COMPUTED):
        return _COMPUTED_RANK
    if _file(item.nodeid) in LONGEST:
        return _LONGEST_RANK
    names = getattr(item, "fixturenames", ())
    return max(
        (place for place, name in enumerate(LAST, _FIRST_OF_LAST_RANK) if name in names), default=_ALONE_RANK
    )


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class TwoEnds(LoadFileScheduling):
    """Gives whole files to workers: to two from the ends, to the others those that need no whole service."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(self._next(self.nodes.index(node)), last=False)
        super()._assign_work_unit(node)

    def _next(self, worker: int) -> str:
        """Return the file for a worker, by its number."""
        waiting: list[str] = list(self.workqueue)
        if worker < len(ENDS):
            return waiting[ENDS[worker]]
        computed = (file for file in waiting if file.startswith(COMPUTED))
        alone = (file for file in waiting if not file.startswith(BROWSED))
        return next(computed, None) or next(alone, waiting[0])
