"""What Lighthouse says of the pages, as people see them who signed in; by `make bench`.

    python tests/benchmarks/bench_lighthouse.py [--page PATH ...] [--fetched]

A whole earwitness with recorded calls runs on this machine. Lighthouse opens each page in
Debian's Chromium as a desktop does, with the session of somebody who may see it. Its scores
are 0 to 100; ends with 1 where accessibility is below 100 or performance below 95. The
pages it measures are the real ones; the sign-in page, which is public, is the baseline.

npm fetches Lighthouse once, by the lock file beside this (`--fetched` takes what is there).
Performance is measured on a machine that is shared: one below the aim is asked again, at
most ATTEMPTS_MAX times in all, and the best counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import hatch_build  # noqa: E402
from tests.browser.desk import CHROMIUM, Desk, chromium  # noqa: E402
from tests.browser.house import BEHEER, ILSE, House, Person, furnished  # noqa: E402

HERE = ROOT / "tests/benchmarks/lighthouse"
ACCESSIBILITY_MIN, PERFORMANCE_MIN = 100, 95
ATTEMPTS_MAX = 3
PAGE_S_MAX = 180
INSTALL_S_MAX = 300
PAGES: tuple[tuple[str, Person | None], ...] = (
    ("/sign-in", None),
    ("/recordings", ILSE),
    ("/recordings/{id}", ILSE),
    ("/help", ILSE),
    ("/me", ILSE),
    ("/admin/users", BEHEER),
    ("/admin/teams", BEHEER),
    ("/admin/rights", BEHEER),
    ("/reports/usage", BEHEER),
    ("/s/{link}", None),
)


@dataclass(frozen=True)
class Scores:
    """What Lighthouse gives, 0 to 100, and the audits of accessibility that failed."""

    performance: int
    accessibility: int
    largest_paint_ms: float
    blocking_ms: float
    failed: tuple[str, ...]


def fetch_lighthouse() -> None:
    """Install Lighthouse beside this program."""
    node = hatch_build.find_node()
    command = [*node.npm, "ci", "--ignore-scripts", "--no-progress"]
    hatch_build.run(command, HERE, "npm could not fetch Lighthouse.", INSTALL_S_MAX)


def scores_of(url: str, cookie: str) -> Scores:
    """Let Lighthouse open an address once."""
    node = hatch_build.find_node()
    program = HERE / "node_modules/lighthouse/cli/index.js"
    command = [
        *node.node,
        str(program),
        url,
        "--preset=desktop",
        "--only-categories=accessibility,performance",
        "--output=json",
        "--quiet",
        "--chrome-flags=--headless=new --no-sandbox",
        f"--extra-headers={json.dumps({'Cookie': cookie} if cookie else {})}",
    ]
    told = subprocess.run(
        command,
        env={**os.environ, "CHROME_PATH": str(CHROMIUM)},
        capture_output=True,
        text=True,
        timeout=PAGE_S_MAX,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-2000:]
    report = json.loads(told.stdout)
    audits, categories = report["audits"], report["categories"]
    failed = [
        item["id"] for item in categories["accessibility"]["auditRefs"] if audits[item["id"]]["score"] == 0
    ]
    return Scores(
        round(categories["performance"]["score"] * 100),
        round(categories["accessibility"]["score"] * 100),
        audits["largest-contentful-paint"]["numericValue"],
        audits["total-blocking-time"]["numericValue"],
        tuple(failed),
    )


def best_of(url: str, cookie: str) -> Scores:
    """Return the best of some attempts; the first that is good enough ends them."""
    found: list[Scores] = []
    for _ in range(ATTEMPTS_MAX):
        found.append(scores_of(url, cookie))
        if found[-1].performance >= PERFORMANCE_MIN:
            break
    return max(found, key=lambda scores: scores.performance)


def cookies(house: House) -> dict[str, str]:
    """Sign everybody in by the pages and return their cookies by login."""
    found = {}
    with chromium() as browser:
        desk = Desk(browser, house)
        for person in {person.login: person for _, person in PAGES if person}.values():
            context = desk.page(person).context
            found[person.login] = "; ".join(f"{each['name']}={each['value']}" for each in context.cookies())
        desk.close()
    return found


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--page", nargs="*", help="only these of the pages")
    parser.add_argument("--fetched", action="store_true", help="Lighthouse is there already")
    options = parser.parse_args()
    if not options.fetched:
        fetch_lighthouse()
    with (
        tempfile.TemporaryDirectory(prefix="earwitness-lighthouse-") as directory,
        furnished(Path(directory)) as house,
    ):
        return _measure(house, options.page)


def _measure(house: House, wanted: list[str] | None) -> int:
    signed_in, heard = cookies(house), house.recordings[0]["id"]
    good, baseline_ms = True, None
    print(f"{'page':<22}{'performance':>12}{'accessibility':>15}{'LCP ms':>9}{'ratio':>8}{'TBT ms':>8}")
    for path, person in PAGES:
        if wanted and path not in wanted:
            continue
        cookie = signed_in[person.login] if person else ""
        link = urlsplit(house.links["open"]).path
        place = path.replace("{id}", heard).replace("/s/{link}", link)
        scores = best_of(house.url + place, cookie)
        baseline_ms = baseline_ms or scores.largest_paint_ms
        print(
            f"{path:<22}{scores.performance:>12}{scores.accessibility:>15}{scores.largest_paint_ms:>9.0f}"
            f"{scores.largest_paint_ms / baseline_ms:>8.2f}{scores.blocking_ms:>8.0f}  {' '.join(scores.failed)}",
            flush=True,
        )
        good &= scores.accessibility >= ACCESSIBILITY_MIN and scores.performance >= PERFORMANCE_MIN
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
