# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scenes of this suite share: an ensemble, and ways to look at it."""

from zktest import proc, wire
from zktest.cond import check
from zktest.jute import In

NOT_READ_ONLY = -119
EPHEMERAL_ON_LOCAL = -120
KEYS = {
    "readonlymode.enabled": "true",
    # without it 3.8.0 lets no readers in
    "localSessionsEnabled": "true",
    "4lw.commands.whitelist": "mntr,conf,stat,dump",
    "admin.enableServer": "true",
    "admin.serverAddress": "127.0.0.1",
}
UPGRADES = "localSessionsUpgradingEnabled"


class Scene:
    """An ensemble of three voters and an observer, and what tests leave for each other."""

    def __init__(self, ens):
        self.ens = ens
        self.alone = []     # those that serve readers
        self.kept = None    # a session that the ensemble knows
        self.zxid = 0       # of the last write
        self.kazoo = None
        for s in ens:
            s.extra.update(KEYS)
            s.extra["admin.serverPort"] = str(proc.free_port())
            s.extra[UPGRADES] = "true" if s.number % 2 else "false"
            if s.kind == "apache":
                # it takes this as a system property alone
                s.environment = lambda: {
                    "JAVA_TOOL_OPTIONS": "-Dreadonlymode.enabled=true"}

    def voters(self):
        return list(self.ens)[:3]


def upgrades(server):
    """Do sessions of this server become the ensemble's when they need to?"""
    return server.extra[UPGRADES] == "true"


def data(c, path):
    """What a read on a connection gives, or None."""
    f = c.call(wire.GET_DATA, wire.b_path_watch(path))
    if f.err == wire.NO_NODE:
        return None
    check(f.err == 0, "getData", path, f.err)
    return In(f.body).buffer()
