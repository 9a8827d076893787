"""The journal: where audio and call states are safe within a second, sealed, until they are archived.

Read `format` first (how a file looks), then `segment` (what is sealed under which
key), `writer` and `reader`; `slots` holds the call keys and `cut` takes back what
may not have been recorded.
"""
