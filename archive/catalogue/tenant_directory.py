"""The directory of one tenant, as one of its own may read it: for "what if" without a call.

The same types as a recorder's copy of everything, with one tenant in it. Peers that
several tenants share are not the tenant's to see, and are not in it.

Rules: reads within one tenant, under row-level security, as any role.

Not here: the copy recorders carry (`archive.catalogue.directory`).
"""

from __future__ import annotations

from archive.catalogue import directory_rows as rows
from archive.catalogue.engine import Catalogue
from archive.catalogue.snapshot import Directory
from archive.model import TenantId


def load(catalogue: Catalogue, tenant_id: TenantId) -> Directory:
    """Return what recorders know of one tenant, in one short transaction."""
    with catalogue.transaction(tenant_id) as connection:
        # Row-level security shows a transaction of a tenant nothing but that tenant's rows.
        tenants, groups = rows.tenants_and_groups(connection)
        return Directory(
            tenants=tenants,
            peers=rows.all_peers(connection),
            users=rows.users_where(connection),
            broadworks_groups=groups,
            do_not_record=rows.all_do_not_record(connection),
            exempt_numbers=rows.all_exempt_numbers(connection),
            without_grounds=rows.tenants_without_grounds(connection),
        )
