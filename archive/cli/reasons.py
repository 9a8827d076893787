"""`earwitness why` and `what-if`: why a call was recorded or not, or would be."""

from __future__ import annotations

import json
from argparse import Namespace

from archive.catalogue.directory import tenant_by_domain
from archive.cli.api import Api, Document, add_api, segment
from archive.cli.operator import operator
from archive.cli.outcome import DONE, add_json, parser
from archive.errors import NotFound, Refused


def run_why(arguments: list[str]) -> int:
    """Tell why a recording is there and what it is, or how an offered session ended."""
    made = parser(
        "why",
        "Why a call was recorded or not: its decision from peer to mode, step by step.",
        "earwitness why ID",
    )
    made.add_argument("id", metavar="ID", help="of a recording, or of a session (`GET /v1/sessions`)")
    add_api(made)
    add_json(made)
    options = made.parse_args(arguments)
    api, asked = Api(options), segment(options.id)
    try:
        document = api.get(f"/v1/recordings/{asked}/why")
    except NotFound:
        document = api.get(f"/v1/sessions/{asked}")
    _print(document, as_json=options.json)
    return DONE


def run_what_if(arguments: list[str]) -> int:
    """Tell what would be decided of a call somebody makes now."""
    made = parser(
        "what-if",
        "What would be recorded if one number called another now, in the tenant of the API key.",
        "earwitness what-if --caller +31612345678 --callee +31201234567",
    )
    made.add_argument("--caller", required=True, metavar="A", help="number or address of record")
    made.add_argument("--callee", required=True, metavar="B", help="number or address of record")
    made.add_argument("--peer", metavar="NAME", help="the session recording client that would offer it")
    made.add_argument("--broadworks-user", metavar="ID", help="the user the exchange would name")
    made.add_argument(
        "--service-provider", metavar="ID", help="the BroadWorks service provider it would name"
    )
    made.add_argument("--group", metavar="ID", help="the BroadWorks group it would name")
    made.add_argument("--tenant", metavar="DOMAIN", help="refuse unless the API key is of this customer")
    add_api(made)
    add_json(made)
    options = made.parse_args(arguments)
    api = Api(options)
    if options.tenant is not None:
        _require_tenant(api, options)
    given = {
        "caller": options.caller,
        "callee": options.callee,
        "peer": options.peer,
        "broadworksUserId": options.broadworks_user,
        "serviceProviderId": options.service_provider,
        "groupId": options.group,
    }
    asked: Document = {name: value for name, value in given.items() if value is not None}
    _print(api.post("/v1/what-if", asked), as_json=options.json)
    return DONE


def _require_tenant(api: Api, options: Namespace) -> None:
    """Raise Refused when the API key is of another tenant than --tenant, as the operator knows it."""
    with operator(options) as acting:
        tenant = tenant_by_domain(acting.catalogue, options.tenant)
    if not api.is_of(tenant.id):
        raise Refused(f"The API key is not of {options.tenant}; a key asks about its own tenant alone.")


def _print(document: Document, *, as_json: bool) -> None:
    """Print a document of reasons: JSON, or what stands first in a line each and then the trace."""
    if as_json:
        print(json.dumps(document, ensure_ascii=False, indent=1))
        return
    plain = {name: value for name, value in document.items() if not isinstance(value, list | dict)}
    width = max(map(len, plain), default=0)
    for name, value in plain.items():
        print(f"{name:{width}}  {'-' if value is None else value}")
    for name, value in document.items():
        if isinstance(value, list) and value:
            print(f"{name}:")
            for each in value:
                print(f"  {_line(each)}")


def _line(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    return ", ".join(f"{name} {value}" for name, value in item.items() if value is not None)
