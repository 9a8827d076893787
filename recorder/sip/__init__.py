"""SIP as a session recording server needs it: RFC 3261, 3262, 3311, 3581, 4028, 6026, 6086, 7866.

From the wire up: `grammar`, `uri`, `headers`, `message`, `parser`, `framing` and
`multipart` read and write text; `timer_queue`, `transaction` and `transaction_layer` are
section 17; `dialog`, `session_timer`, `capability`, `response` and `event` serve
`user_agent`, the only module the recorder talks to.

Rules: bytes and `now` (monotonic seconds) go in, datagrams and events come out. No
socket, clock, thread, log or file. Not here: SDP, metadata, and any decision about
who is recorded.
"""
