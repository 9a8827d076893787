"""Every event is one line of JSON that says which process it came from, whatever it holds."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import pytest
import structlog

from archive import telemetry
from archive.settings import Settings
from archive.telemetry import LOG_FILE_BYTES_MAX, LOG_FILES_MAX, QUIET_LIBRARIES, configure_logging

HOSTILE = [
    "two\nlines",
    "return\r\nof the carriage",
    "\x00\x07\x08\x1b[2J\x7f",
    "right to left: \u202e\u2067 \u200f",
    "\x85 \u2028 \u2029 \ufeff",
    '{"level": "critical"}',
    "a lone surrogate: \ud800",
]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Give back the logging of the tests' own process."""
    root = logging.getLogger()
    levels = {logger: logger.level for logger in (root, *map(logging.getLogger, QUIET_LIBRARIES))}
    configuration = structlog.get_config()
    yield
    for handler in our_handlers():
        root.removeHandler(handler)
        handler.close()
    for logger, level in levels.items():
        logger.setLevel(level)
    structlog.configure(**configuration)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "not yet there" / "log"


@pytest.fixture
def log(directory: Path) -> Any:
    """A logger of a role that logs to a directory."""
    configure_logging(Settings(log_dir=directory), "recorder")
    return structlog.get_logger()


def our_handlers() -> list[logging.Handler]:
    """Return what was configured, without what pytest listens with."""
    ours = structlog.stdlib.ProcessorFormatter
    return [handler for handler in logging.getLogger().handlers if isinstance(handler.formatter, ours)]


def events(directory: Path, role: str = "recorder") -> list[dict[str, Any]]:
    """Return what was logged; every line must be an object of printable ASCII."""
    lines = (directory / f"{role}.log").read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert all(0x20 <= octet < 0x7F for line in lines for octet in line)
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_a_value_holds_an_event_is_one_line(log: Any, directory: Path, hostile: str) -> None:
    """A caller who names himself with a line break writes no line of his own, and moves no cursor."""
    log.warning("a peer said", reason=hostile, many=[hostile])
    [event] = events(directory)
    assert (event["event"], event["reason"], event["many"]) == ("a peer said", hostile, [hostile])


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_a_library_logs_is_one_line_too(
    log: Any, directory: Path, monkeypatch: pytest.MonkeyPatch, hostile: str
) -> None:
    """Its message and its arguments come from outside as well."""
    # What pytest hears goes to another process with its report, and half a character can't.
    monkeypatch.setattr(logging.getLogger(), "handlers", our_handlers())
    logging.getLogger("library").warning("refused: %s", hostile)
    [event] = events(directory)
    assert (event["event"], event["level"]) == (f"refused: {hostile}", "warning")


def test_an_error_keeps_its_traceback_in_its_line(log: Any, directory: Path) -> None:
    """Ours and that of a library."""
    for speaker in (log, logging.getLogger("library")):
        try:
            int("first\nsecond")
        except ValueError:
            speaker.exception("it broke")
    ours, theirs = events(directory)
    assert ours["exception"].endswith(r"'first\nsecond'")
    assert theirs["exception"].endswith(r"'first\nsecond'")


def test_a_value_of_any_type_is_logged(log: Any, directory: Path) -> None:
    """A log call must never be what fails."""
    log.info("odd", octets=b"\xff\x00", path=Path("/x"), error=ValueError("why"), cycle={1, 2})
    [event] = events(directory)
    assert event["octets"] == "b'\\xff\\x00'"


def test_every_event_says_when_where_and_from_which_process(log: Any, directory: Path) -> None:
    """Also one of a thread of a pool, and one of a library."""
    log.info("ours")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(log.info, "of a thread").result()
    logging.getLogger("library").warning("theirs")
    found = events(directory)
    assert [event["event"] for event in found] == ["ours", "of a thread", "theirs"]
    for event in found:
        assert (event["role"], event["pid"]) == ("recorder", os.getpid())
        assert event["timestamp"].endswith("Z")
        assert event["module"]
        assert event["level"] in {"info", "warning"}


def test_without_a_directory_events_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Where a container or systemd takes them."""
    configure_logging(Settings(), "worker")
    structlog.get_logger().info("hello")
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["role"] == "worker"


def test_with_a_directory_standard_error_stays_silent(
    log: Any, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file of the role, made with its directory, is the one place."""
    log.info("hello")
    assert capsys.readouterr() == ("", "")
    assert [path.name for path in directory.iterdir()] == ["recorder.log"]


@pytest.mark.parametrize(("level", "expected"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_the_level_of_the_settings_is_the_least_that_is_logged(
    directory: Path, level: str, expected: int
) -> None:
    """Of our own events."""
    configure_logging(Settings(log_dir=directory, log_level=level), "recorder")
    log = structlog.get_logger()
    for speak in (log.debug, log.info, log.warning, log.error):
        speak("an event")
    assert len(events(directory)) == expected


@pytest.mark.parametrize("library", QUIET_LIBRARIES)
def test_of_libraries_that_log_requests_only_warnings_are_kept(directory: Path, library: str) -> None:
    """Addresses and parameters of requests stay out of the log, at any level of ours."""
    configure_logging(Settings(log_dir=directory, log_level="DEBUG"), "recorder")
    logging.getLogger(library).info("GET /secret?key=1")
    logging.getLogger(library).warning("the server is away")
    assert [event["event"] for event in events(directory)] == ["the server is away"]


def test_configuring_twice_logs_once(log: Any, directory: Path) -> None:
    """The last one counts."""
    configure_logging(Settings(log_dir=directory), "recorder")
    structlog.get_logger().info("hello")
    assert len(events(directory)) == 1


def test_a_log_file_has_a_largest_size_and_a_largest_number(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to its limit a file grows; the event above it begins another, and the oldest goes."""
    monkeypatch.setattr(telemetry, "LOG_FILE_BYTES_MAX", 2000)
    configure_logging(Settings(log_dir=directory), "recorder")
    log, path = structlog.get_logger(), directory / "recorder.log"
    log.info("x")
    line = path.stat().st_size
    log.info("x" * (2000 - 2 * line))
    assert [item.name for item in directory.iterdir()] == ["recorder.log"]
    assert path.stat().st_size == 2000 - 1
    log.info("above")
    assert [event["event"] for event in events(directory)] == ["above"]
    for _ in range(100):
        log.info("x" * 1000)
    found = sorted(item.name for item in directory.iterdir())
    assert found == ["recorder.log", *(f"recorder.log.{number}" for number in range(1, LOG_FILES_MAX + 1))]
    assert all(item.stat().st_size <= 2000 for item in directory.iterdir())


def test_the_limits_of_the_product_bound_the_disk_a_role_takes(log: Any) -> None:
    """Some eighty megabytes."""
    [handler] = our_handlers()
    assert isinstance(handler, RotatingFileHandler)
    assert (handler.maxBytes, handler.backupCount) == (LOG_FILE_BYTES_MAX, LOG_FILES_MAX)
    assert LOG_FILE_BYTES_MAX * (LOG_FILES_MAX + 1) < 100 * 1024 * 1024
