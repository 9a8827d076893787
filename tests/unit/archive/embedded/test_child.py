"""A child is started, watched, bounded and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from archive.embedded import child as child_module
from archive.embedded.child import ChildProcess, ChildSpec, end_orphan
from archive.embedded.errors import EmbeddedServiceError

DEADLINE_S = 20.0


def wait_for(condition: Callable[[], bool]) -> None:
    """Poll with a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the expected state never came"
        time.sleep(0.02)


def spec(directory: Path, script: str) -> ChildSpec:
    return ChildSpec(
        name="sample",
        command=[sys.executable, "-u", "-c", script],
        log=directory / "log" / "sample.log",
        pid_file=directory / "sample.pid",
        directory=directory,
        environment={"PATH": "/usr/bin:/bin"},
    )


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[str], ChildProcess]]:
    children: list[ChildProcess] = []

    def start(script: str) -> ChildProcess:
        child = ChildProcess(spec(tmp_path, script))
        child.start()
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()


def test_a_child_runs_in_a_group_of_its_own_and_writes_its_log(
    tmp_path: Path, started: Callable[[str], ChildProcess]
) -> None:
    """A Ctrl-C for us must not reach services before we stopped the roles that need them."""
    child = started("print('hello'); import time; time.sleep(60)")
    wait_for(lambda: b"hello" in (tmp_path / "log" / "sample.log").read_bytes())
    assert os.getpgid(child.process_id) == child.process_id
    assert (tmp_path / "log" / "sample.log").stat().st_mode & 0o777 == 0o600


def test_stop_asks_first_and_returns_the_exit_code(started: Callable[[str], ChildProcess]) -> None:
    """A service that ends by itself is not killed."""
    child = started(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\nprint('up')\ntime.sleep(60)"
    )
    wait_for(lambda: b"up" in child.spec.log.read_bytes())
    assert child.stop() == 7
    assert not child.spec.pid_file.exists()


def test_stop_kills_a_child_that_does_not_listen(started: Callable[[str], ChildProcess]) -> None:
    """A hanging service may not hold up the end."""
    child = started(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up')\ntime.sleep(60)"
    )
    wait_for(lambda: b"up" in child.spec.log.read_bytes())
    assert child.stop(grace_s=0.2) == -signal.SIGKILL


def test_waiting_for_a_child_that_dies_says_its_last_words(started: Callable[[str], ChildProcess]) -> None:
    """The reason stands in the message, not only in a file."""
    child = started("print('port taken'); raise SystemExit(3)")
    with pytest.raises(EmbeddedServiceError, match=r"ended with 3.*port taken"):
        child.wait_until(lambda: False, DEADLINE_S)


def test_waiting_has_a_limit(started: Callable[[str], ChildProcess]) -> None:
    """A service that never becomes ready is reported."""
    child = started("import time; time.sleep(60)")
    with pytest.raises(EmbeddedServiceError, match="was not ready within"):
        child.wait_until(lambda: False, 0.1)


def test_a_program_that_does_not_exist_is_a_clear_error(tmp_path: Path) -> None:
    """No traceback of the operating system."""
    child = ChildProcess(
        ChildSpec("sample", ["/nonexistent/program"], tmp_path / "a.log", tmp_path / "a.pid", tmp_path)
    )
    with pytest.raises(EmbeddedServiceError, match="sample can't be started"):
        child.start()


def test_a_log_at_its_limit_stays_and_above_it_moves_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Disks do not fill up with the log of a chatty service."""
    monkeypatch.setattr(child_module, "LOG_SIZE_BYTES_MAX", 100)
    child = ChildProcess(spec(tmp_path, "pass"))
    log = child.spec.log
    log.parent.mkdir()
    log.write_bytes(b"a" * 100)
    child.bound_log()
    assert log.stat().st_size == 100
    log.write_bytes(b"b" * 101)
    child.bound_log()
    assert log.stat().st_size == 0
    assert log.with_name("sample.log.1").read_bytes() == b"b" * 101


def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    """`kill -9` of the supervisor leaves nothing running."""
    script = f"""
import sys, time
from pathlib import Path
from archive.embedded.child import ChildProcess, ChildSpec
d = Path({str(tmp_path)!r})
c = ChildProcess(ChildSpec("sample", [sys.executable, "-c", "import time; time.sleep(600)"], d / "l", d / "p", d))
c.start()
print(c.process_id, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        assert psutil.pid_exists(orphan)
    finally:
        parent.kill()
        parent.communicate()
    wait_for(lambda: not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE)


def test_a_child_that_outlived_us_is_ended_by_the_next_start(
    tmp_path: Path, started: Callable[[str], ChildProcess]
) -> None:
    """Two servers on one data directory would destroy it."""
    first = started("import time; time.sleep(600)")
    process_id = first.process_id
    end_orphan(first.spec.pid_file)
    assert first.exit_code() == -signal.SIGKILL
    assert process_id is not None
    assert not first.spec.pid_file.exists()


def test_a_stranger_with_a_reused_number_is_left_alone(
    tmp_path: Path, started: Callable[[str], ChildProcess]
) -> None:
    """After a reboot the number in the file belongs to somebody else."""
    other = started("import time; time.sleep(600)")
    pid_file = tmp_path / "old.pid"
    pid_file.write_text(f"{other.process_id} 1 00000000-0000-0000-0000-000000000000")
    end_orphan(pid_file)
    assert other.exit_code() is None
    assert not pid_file.exists()


def test_a_damaged_process_file_is_forgotten(tmp_path: Path) -> None:
    """A kill while it was written leaves it empty."""
    pid_file = tmp_path / "p"
    pid_file.write_text("")
    end_orphan(pid_file)
    assert not pid_file.exists()


def test_a_new_start_ends_the_children_of_a_dead_child(started: Callable[[str], ChildProcess]) -> None:
    """A recorder's capture processes hold its ports; the next recorder needs them."""
    child = started(
        "import os, subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(p.pid, flush=True)\nos._exit(1)"
    )
    wait_for(lambda: child.exit_code() == 1)
    grandchild = int(child.spec.log.read_bytes().split()[0])
    assert psutil.pid_exists(grandchild)
    child.start()
    wait_for(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == "zombie")


def test_the_children_of_a_dead_child_write_down_what_they_hold_before_the_next_start(
    started: Callable[[str], ChildProcess], tmp_path: Path
) -> None:
    """A capture process that a busy machine keeps waiting has audio in its sockets that nobody else has."""
    worker = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('at work', flush=True)\n"
        "sys.stdin.read()\n"
        "time.sleep(0.5)\n"
        "open('written', 'w').close()"
    )
    child = started(
        "import os, subprocess, sys\n"
        f"p = subprocess.Popen([sys.executable, '-c', {worker!r}], stdin=-1, stdout=-1)\n"
        "p.stdout.readline()\nos._exit(1)"
    )
    wait_for(lambda: child.exit_code() == 1)
    child.start()
    assert (tmp_path / "written").exists()


def test_a_child_of_a_dead_child_that_hangs_is_killed_before_the_next_start(
    started: Callable[[str], ChildProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls wait for the next recorder, so that it is not kept waiting for long."""
    monkeypatch.setattr(child_module, "LAST_WORK_S", 0.2)
    hanging = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('hangs', flush=True)\ntime.sleep(600)"
    )
    child = started(
        "import os, subprocess, sys\n"
        f"p = subprocess.Popen([sys.executable, '-c', {hanging!r}], stdout=-1)\n"
        "p.stdout.readline()\nprint(p.pid, flush=True)\nos._exit(1)"
    )
    wait_for(lambda: child.exit_code() == 1)
    grandchild = int(child.spec.log.read_bytes().split()[0])
    assert psutil.pid_exists(grandchild)
    child.start()
    wait_for(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == "zombie")
