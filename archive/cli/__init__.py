"""The command `earwitness`: one verb a module or function, found in one table.

Rules: every verb takes its arguments and returns an exit code: 0 done, 1 refused or
failed with one line that says why and what to do, 2 wrong use. Printing happens here
and nowhere below.
"""
