"""Capture: processes of their own that empty all media sockets five times a second into the journal.

`messages` is what signalling and capture say to each other, `handle` is signalling's
end, `process` the other. A pass over the sockets goes `receive` (octets) -> `intake`
(which packets count) -> `track` (under which key) -> `recorder.journal.writer`.
`control` is RTCP.
"""
