"""The console: pages rendered on the server, for people who work cases in a browser.

    app.mount("/console", console(desk, accounts, timeline=of_file(events, policy), now=clock.now))

Every page works without script; `static/console.js` adds live updates and keys. Nothing is loaded from elsewhere, and
the content security policy forbids it. What is shown was written by others, so everything is escaped by the templates.
"""

from __future__ import annotations

from streams.api.console.app import console
from streams.api.console.room import ROOT

__all__ = ["ROOT", "console"]
