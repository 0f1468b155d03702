# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be so, at once or in the end; clients that wait until they are let in."""

import time

from . import wire

LONG = 60           # seconds that a condition may take to come about


class Wrong(Exception):
    """Something is not as it must be."""


def check(ok, *what):
    if not ok:
        raise Wrong(" ".join(str(w) for w in what))


def until(what, cond):
    """Wait until cond() is true; gives its value."""
    end = time.monotonic() + LONG
    while True:
        got = cond()
        if got:
            return got
        check(time.monotonic() < end, "waited for", what)
        time.sleep(0.02)


def client(server, **kwargs):
    """A client with a session; tried again while the server serves nobody."""
    end = time.monotonic() + LONG
    while True:
        try:
            return wire.Client(server.host, server.port, **kwargs)
        except (wire.Closed, OSError) as e:
            check(time.monotonic() < end, "no session on", server.number, e)
            time.sleep(0.05)
