"""`earwitness calls`: what is being recorded now, and commands to it, through the HTTP API.

A command is done (exit 0) only when the recorder confirmed it; what the mode forbids,
and a recorder that does not answer, end with exit 1 and the reason.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser

from archive.cli.api import Api, Document, add_api, segment
from archive.cli.outcome import DONE, Row, add_json, parser, print_rows
from archive.cli.recordings_commands import numbers_of

VERBS = {
    "pause": ("pauses", "store nothing until it is resumed"),
    "resume": ("resumes", "go on after a pause"),
    "keep": ("keeps", "keep an on-demand call"),
    "start": ("starts", "begin, or begin again, to record"),
    "stop": ("stops", "stop recording; what was recorded stays"),
}
"""Each verb with its resource below a call, and what it does."""


def run_calls(arguments: list[str]) -> int:
    """List calls under way, show one, or command it."""
    options = _parser().parse_args(arguments)
    api = Api(options)
    match options.action:
        case "list":
            page = api.get("/v1/calls", limit=options.limit, cursor=options.cursor)
            if options.json:
                print(json.dumps(page, ensure_ascii=False, indent=1))
            else:
                print_rows(_rows(page), as_json=False)
                if page.get("next"):
                    print(f"more: --cursor {page['next']}")
        case "show":
            print(json.dumps(api.get(f"/v1/calls/{segment(options.id)}"), ensure_ascii=False, indent=1))
        case verb:
            resource, _ = VERBS[verb]
            owner = "recordings" if options.after else "calls"
            answer = api.post(f"/v1/{owner}/{segment(options.id)}/{resource}")
            told = f"{verb}: confirmed, in force from {answer.get('effectiveAt') or 'now'}"
            print(json.dumps(answer, ensure_ascii=False) if options.json else told)
    return DONE


def _parser() -> ArgumentParser:
    made = parser("calls", "Calls under way, as the API key may see them.", "earwitness calls pause ID")
    actions = made.add_subparsers(
        dest="action", required=True, metavar="list|show|pause|resume|keep|start|stop"
    )
    listing = actions.add_parser("list", help="newest first", epilog="example: earwitness calls list --json")
    listing.add_argument("--limit", type=int, default=50, help="1 to 200 (default 50)")
    listing.add_argument("--cursor", help="go on where a page ended")
    show = actions.add_parser(
        "show", help="one call, with what it obeys now", epilog="example: earwitness calls show ID"
    )
    show.add_argument("id", metavar="ID", help="the id of its recording")
    for verb, (_, help_text) in VERBS.items():
        each = actions.add_parser(verb, help=help_text, epilog=f"example: earwitness calls {verb} ID")
        each.add_argument("id", metavar="ID", help="the id of its recording")
        each.set_defaults(after=False)
        if verb == "keep":
            each.add_argument(
                "--after", action="store_true", help="the call is over; keep it within the tenant's grace"
            )
    for each in actions.choices.values():
        add_api(each)
        add_json(each)
    return made


def _rows(page: Document) -> list[Row]:
    items = page.get("items")
    return [_row(item) for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _row(item: Document) -> Row:
    return {
        "id": str(item.get("id")),
        "startedAt": str(item.get("startedAt")),
        "state": str(item.get("state")),
        "capture": str(item.get("capture")),
        "mode": str(item.get("mode")),
        "parties": numbers_of(item),
    }
