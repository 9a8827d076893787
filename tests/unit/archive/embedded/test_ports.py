"""Ports are free, distinct, and the same after a restart while that is possible."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from archive.embedded import ports as ports_module
from archive.embedded.errors import EmbeddedServiceError
from archive.embedded.ports import FIRST, LAST, keep_ports


def test_each_name_gets_a_free_port_of_its_own_in_the_range(tmp_path: Path) -> None:
    """Below the kernel's range for outgoing connections."""
    found = keep_ports(tmp_path / "ports.json", ["a", "b", "c"])
    assert len(set(found.values())) == 3
    assert all(FIRST <= port <= LAST for port in found.values())


def test_a_restart_uses_the_same_ports(tmp_path: Path) -> None:
    """Addresses in configurations of others stay true."""
    first = keep_ports(tmp_path / "ports.json", ["a", "b"])
    assert keep_ports(tmp_path / "ports.json", ["a", "b"]) == first


def test_a_port_that_was_taken_meanwhile_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    """Somebody else's server is no reason not to start."""
    first = keep_ports(tmp_path / "ports.json", ["a", "b"])
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", first["a"]))
        stranger.listen()
        second = keep_ports(tmp_path / "ports.json", ["a", "b"])
    assert second["b"] == first["b"]
    assert second["a"] != first["a"]


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_note_is_written_anew(tmp_path: Path, content: str) -> None:
    """A broken file never stops a start."""
    (tmp_path / "ports.json").write_text(content)
    assert set(keep_ports(tmp_path / "ports.json", ["a"])) == {"a"}


def test_no_free_port_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search has a limit."""
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        monkeypatch.setattr(ports_module, "FIRST", port)
        monkeypatch.setattr(ports_module, "LAST", port)
        with pytest.raises(EmbeddedServiceError, match="No free port"):
            keep_ports(tmp_path / "ports.json", ["a"])
