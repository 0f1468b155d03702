# SPDX-License-Identifier: GPL-2.0-or-later
"""Ensembles of servers on loopback ports, of any kinds mixed.

    with Ensemble(["memory", "memory", "apache"]) as ens:
        ens.start()                     # returns when all serve
        ens.leader(), ens.followers()
        ens[1].kill(); ens.wait_leader()

Servers are numbered from 1, or as ids says; "!" before a kind is an observer. With a
"kernel" the others are a "guest" each: all are in one VM, which this starts.
"""

import os
import time

from . import proc, vm
from .server import make_server

TICK = 500


class Ensemble:
    """Servers that know of each other; each with a directory of its own. hosts: the
    addresses that they have for each other, 127.0.0.1 if there are none."""

    def __init__(self, kinds, config=None, hosts=None, ids=None):
        self.extra = dict(config or {})
        self.ids = ids or range(1, len(kinds) + 1)
        self.servers = []
        ports = [(proc.free_port(), proc.free_port()) for _ in kinds]
        self.lines = {}
        for n, kind, (quorum, election) in zip(self.ids, kinds, ports):
            role = ":observer" if kind.startswith("!") else ""
            host = hosts[len(self.lines)] if hosts else "127.0.0.1"
            self.lines["server.%d" % n] = "%s:%d:%d%s" % (host, quorum, election, role)
        forwards = [None] * len(kinds)
        if "kernel" in kinds:
            forwards = [(proc.free_port(), vm.GUEST_PORT + n) for n in self.ids]
            for f in forwards:
                vm.Vm.options = vm.Vm.options + ["--forward", "%d:%d" % f]
        for n, kind, forward in zip(self.ids, kinds, forwards):
            self.servers.append(self._make(n, kind, forward))

    def _make(self, n, kind, forward):
        keys = {"tickTime": str(TICK), "initLimit": "20", "syncLimit": "8",
                "standaloneEnabled": "false"}
        if kind.startswith("!"):
            keys["peerType"] = "observer"
        keys.update(self.lines)
        keys.update(self.extra)
        s = make_server(kind.lstrip("!"), config=keys,
                        **({"forward": forward} if forward else {}))
        s.number = n
        with open(os.path.join(s.data_dir, "myid"), "w") as f:
            f.write("%d\n" % n)
        return s

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()

    def __getitem__(self, n):
        return self.servers[self.ids.index(n)]

    def __iter__(self):
        return iter(self.servers)

    def start(self):
        """Start all, and wait until all serve."""
        for s in self.servers:
            s.spawn()
        for s in self.servers:
            s.wait_ready()
        return self

    def wait_leader(self, timeout=60):
        """The server that leads, as soon as one says so."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for s in self.servers:
                if s.alive() and s.mode() == "leader":
                    return s
            time.sleep(0.05)
        raise AssertionError("no leader after %d s\n%s" % (
            timeout, self.log_text()))

    def leader(self):
        """The server that leads."""
        return self.wait_leader()

    def others(self):
        """Those that are alive and do not lead."""
        lead = self.leader()
        return [s for s in self.servers if s is not lead and s.alive()]

    def wait_equal(self, timeout=60):
        """Wait until all that are alive have come to the same zxid; gives it."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            zxids = set()
            for s in self.servers:
                if not s.alive():
                    continue
                try:
                    text = s.four_letter("srvr", timeout=5)
                except OSError:
                    text = ""
                zxids.update(line for line in text.splitlines()
                             if line.startswith("Zxid:"))
                if "Zxid:" not in text:
                    zxids.add("none: %d" % s.number)
            if len(zxids) == 1 and not zxids.copy().pop().startswith("none"):
                return zxids.pop()[6:]
            time.sleep(0.05)
        raise AssertionError("zxids differ: %s\n%s" % (zxids, self.log_text()))

    def log_text(self, tail=4000):
        """The ends of all logs."""
        return "\n".join("--- server %d (%s)\n%s" % (
            s.number, s.kind, s.log_text(tail)) for s in self.servers)

    def remove(self):
        """Kill all and remove what they left."""
        for s in self.servers:
            s.remove()
