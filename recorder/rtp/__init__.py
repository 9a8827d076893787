"""RTP and RTCP (RFC 3550) without a socket: headers, sources, reports, and what audio is made of.

Rules: pure; `now` and datagrams are arguments. `packet` and `batch` read the same
header, one by one and by the thousand.
"""
