"""The pages of the portal, a module for each part: handlers that fetch, and templates that show.

How to write one stands in `playback_portal.page`.
"""
