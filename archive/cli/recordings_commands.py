"""`earwitness recordings`: list, show and fetch, through the HTTP API and its rights."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from archive.cli.api import Api, Document, add_api, segment
from archive.cli.outcome import DONE, Row, add_json, parser, print_rows
from archive.errors import Refused

FORMATS = ("flac", "wav", "opus")


def run_recordings(arguments: list[str]) -> int:
    """List recordings, show one, or fetch its audio into a file."""
    options = _parser().parse_args(arguments)
    api = Api(options)
    match options.action:
        case "list":
            page = api.get("/v1/recordings", q=options.q, limit=options.limit, cursor=options.cursor)
            if options.json:
                print(json.dumps(page, ensure_ascii=False, indent=1))
            else:
                print_rows(rows_of(page), as_json=False)
                if page.get("next"):
                    print(f"more: --cursor {page['next']}")
        case "show":
            print(json.dumps(api.get(f"/v1/recordings/{segment(options.id)}"), ensure_ascii=False, indent=1))
        case _:
            _fetch(api, options)
    return DONE


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "recordings", "Recordings, as the API key may see them.", "earwitness recordings list --q 0201234567"
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="list|show|fetch")
    listing = actions.add_parser("list", help="newest first", epilog=made.epilog)
    listing.add_argument("--q", metavar="TEXT", help="number or name")
    listing.add_argument("--limit", type=int, default=50, help="1 to 200 (default 50)")
    listing.add_argument("--cursor", help="go on where a page ended")
    show = actions.add_parser("show", help="one recording", epilog="example: earwitness recordings show ID")
    show.add_argument("id")
    fetch = actions.add_parser(
        "fetch", help="its audio", epilog="example: earwitness recordings fetch ID --out call.flac"
    )
    fetch.add_argument("id")
    fetch.add_argument("--out", type=Path, metavar="FILE", help="default: ID.FORMAT")
    fetch.add_argument("--format", choices=FORMATS, default="flac")
    fetch.add_argument("--channel", choices=("both", "a", "b"), default="both")
    for each in (listing, show, fetch):
        add_api(each)
        add_json(each)
    return made


def _fetch(api: Api, options: argparse.Namespace) -> None:
    to: Path = options.out or Path(f"{options.id}.{options.format}")
    if to.exists():
        raise Refused(f"{to} exists; name another file with --out.")
    size_bytes = api.fetch(
        f"/v1/recordings/{segment(options.id)}/audio",
        to,
        format=options.format,
        channel=options.channel,
        download=1,
    )
    told = {"file": str(to), "bytes": size_bytes}
    print(json.dumps(told) if options.json else f"{to}: {size_bytes} bytes")


def rows_of(page: Document) -> list[Row]:
    """Return the recordings of a page as the few columns a table has room for."""
    items = page.get("items")
    return [_row(item) for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def numbers_of(item: Document) -> list[str]:
    """Return the numbers of the parties of a recording or call."""
    parties = item.get("parties")
    return [str(party.get("number", "")) for party in parties] if isinstance(parties, list) else []


def _row(item: Document) -> Row:
    duration_ms = item.get("durationMs")
    return {
        "id": str(item.get("id")),
        "startedAt": str(item.get("startedAt")),
        "seconds": round(duration_ms / 1000, 1) if isinstance(duration_ms, int) else None,
        "parties": numbers_of(item),
        "mode": str(item.get("mode")),
        "state": str(item.get("state")),
        "retainUntil": str(item.get("retainUntil")),
    }
