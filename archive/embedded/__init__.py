"""PostgreSQL and SeaweedFS from their wheels, as children that `earwitness up` owns.

Rules: everything a service needs lies in its own directory, secrets in files of
mode 0600; nothing listens beyond 127.0.0.1; killing our process takes every child
down with it, and a start on the same directory goes on where it stopped.

Not here: what is stored in them (`archive.catalogue`, `archive.store`).
"""
