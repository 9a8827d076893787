"""A session recording client of our own: `earwitness call`, and a tool for tests and integrators.

It works against any session recording server over real SIP and RTP, and shares no
code with the recorder beyond reading messages. Begin with `session`.
"""
