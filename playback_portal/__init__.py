"""The way to the archive for people and programs: the HTTP API, and later the pages.

One application: a table of routes (`routes`), each with its permission and its audit
event; handlers (`recordings`, `audio`, `health`, `openapi`); what holds for every
response (`app`, `problems`); and the process (`cli`).

Rules: the portal decides nothing about who may hear what: it finds out who asks, and
the archive decides. It never imports the recorder. No audio leaves before its audit
entry is durable.
"""
