"""`earwitness quarantine`: recordings of nobody we know, through the HTTP API and its rights.

Assigning and destroying are done by the worker: exit 0 says that the task was taken
on, and `recordings show` or `list` what became of it.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser

from archive.cli.api import Api, Document, add_api, segment
from archive.cli.outcome import DONE, add_json, parser, print_rows
from archive.cli.recordings_commands import rows_of
from archive.errors import NotFound


def run_quarantine(arguments: list[str]) -> int:
    """List what is in quarantine, assign a recording, or destroy it."""
    options = _parser().parse_args(arguments)
    api = Api(options)
    match options.action:
        case "list":
            page = api.get("/v1/quarantine", limit=options.limit, cursor=options.cursor)
            if options.json:
                print(json.dumps(page, ensure_ascii=False, indent=1))
            else:
                print_rows(rows_of(page), as_json=False)
                if page.get("next"):
                    print(f"more: --cursor {page['next']}")
            return DONE
        case "assign":
            user_id = _user_id(api, options.user)
            answer = api.post(f"/v1/recordings/{segment(options.id)}/assignments", {"userId": user_id})
            told = f"{options.id} is being assigned to {options.user}"
        case _:
            answer = api.delete(f"/v1/recordings/{segment(options.id)}")
            told = f"{options.id} is being destroyed"
    print(json.dumps(answer, ensure_ascii=False) if options.json else told)
    return DONE


def _parser() -> ArgumentParser:
    made = parser(
        "quarantine",
        "Recordings whose user the exchange named and nobody here knows; they go after 7 days.",
        "earwitness quarantine assign ID anna@jansen.example",
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="list|assign|destroy")
    listing = actions.add_parser(
        "list", help="newest first", epilog="example: earwitness quarantine list --json"
    )
    listing.add_argument("--limit", type=int, default=50, help="1 to 200 (default 50)")
    listing.add_argument("--cursor", help="go on where a page ended")
    assign = actions.add_parser("assign", help="give it to a person", epilog=made.epilog)
    assign.add_argument("id", metavar="ID", help="the recording")
    assign.add_argument("user", metavar="LOGIN@DOMAIN", help="whose call it was")
    destroy = actions.add_parser(
        "destroy", help="destroy it now", epilog="example: earwitness quarantine destroy ID"
    )
    destroy.add_argument("id", metavar="ID", help="the recording")
    for each in actions.choices.values():
        add_api(each)
        add_json(each)
    return made


def _user_id(api: Api, login: str) -> str:
    """Return the id of a person; raises NotFound."""
    wanted, cursor = login.strip().lower(), None
    while True:
        page: Document = api.get("/v1/users", q=wanted.partition("@")[0], limit=200, cursor=cursor)
        items = page.get("items")
        for item in items if isinstance(items, list) else []:
            if item.get("login") == wanted:
                return str(item["id"])
        if not isinstance(page.get("next"), str):
            raise NotFound(f"There is no user {login!r} in the tenant of this API key.")
        cursor = str(page["next"])
