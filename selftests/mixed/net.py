# SPDX-License-Identifier: GPL-2.0-or-later
"""A network of the test's own: a namespace for each server, all on one bridge
in a namespace "hub", where the test's clients are; or on several bridges, each
a network that the others know nothing of.

Links are cut by direction: a server that is not to reach another gets a
blackhole route to it.  Nothing of the host's network is touched.  Root only.
"""

import ctypes
import itertools
import os
import subprocess
import sys

from zktest import proc

HERE = os.path.dirname(os.path.abspath(__file__))
SUBNET = "10.99.%d."
HUB = 254

_tags = itertools.count()


def ip(*args, ns=None):
    cmd = ["ip"] + (["-n", ns] if ns else []) + list(args)
    p = subprocess.run(cmd, capture_output=True, text=True)
    if p.returncode:
        raise OSError("%s: %s" % (" ".join(cmd), p.stderr.strip()))


def address(n, plane=0):
    return SUBNET % plane + str(n)


class Net:
    """The namespaces of servers 1..n, and the hub's.  Bridge brP and each
    server's ethP are plane P."""

    def __init__(self, n, planes=1):
        self.tag = "zkt%d-%d" % (os.getpid(), next(_tags))
        self.made = []
        self.cuts = set()
        proc.at_end(self.close)
        self.hub = self._ns("hub")
        for i in range(1, n + 1):
            self._ns(str(i))
        for plane in range(planes):
            br = "br%d" % plane
            ip("link", "add", br, "type", "bridge", ns=self.hub)
            ip("addr", "add", address(HUB, plane) + "/24", "dev", br,
               ns=self.hub)
            ip("link", "set", br, "up", ns=self.hub)
            for i in range(1, n + 1):
                self._plug(i, plane)

    def _ns(self, name):
        ns = "%s-%s" % (self.tag, name)
        ip("netns", "add", ns)
        self.made.append(ns)
        ip("link", "set", "lo", "up", ns=ns)
        return ns

    @staticmethod
    def _socket(i, plane):
        """The bridge's end of a server's cable."""
        return "v%d-%d" % (i, plane)

    def _plug(self, i, plane):
        ns, eth = self.ns(i), "eth%d" % plane
        ip("link", "add", self._socket(i, plane), "type", "veth", "peer",
           "name", eth, "netns", ns, ns=self.hub)
        ip("link", "set", self._socket(i, plane), "master", "br%d" % plane,
           "up", ns=self.hub)
        ip("addr", "add", address(i, plane) + "/24", "dev", eth, ns=ns)
        ip("link", "set", eth, "up", ns=ns)

    def cable(self, i, plane, state):
        """A server's cable is pulled ("down") and put in again ("up")."""
        ip("link", "set", self._socket(i, plane), state, ns=self.hub)

    def readdress(self, i, old, new):
        """A server's address on plane 0 becomes another."""
        ip("addr", "del", old + "/24", "dev", "eth0", ns=self.ns(i))
        ip("addr", "add", new + "/24", "dev", "eth0", ns=self.ns(i))

    def ns(self, i):
        return "%s-%d" % (self.tag, i)

    def inside(self, i, cmd):
        """The command line that runs cmd where server i lives."""
        return ["ip", "netns", "exec", self.ns(i)] + cmd

    def witness(self, path):
        """A process that writes what servers say to each other (witness.py)."""
        p = proc.spawn(["ip", "netns", "exec", self.hub, sys.executable,
                        os.path.join(HERE, "witness.py"), path])
        proc.wait_for(lambda: p.poll() is not None or os.path.exists(path) and
                      os.path.getsize(path), 60, "the witness to watch")
        return p

    def cut(self, a, b):
        """What a sends to b is lost."""
        if (a, b) not in self.cuts:
            ip("route", "add", "blackhole", address(b) + "/32", ns=self.ns(a))
            self.cuts.add((a, b))

    def mend(self):
        """All links whole again."""
        for a, b in list(self.cuts):
            ip("route", "del", "blackhole", address(b) + "/32",
               ns=self.ns(a))
            self.cuts.discard((a, b))

    def close(self):
        for ns in self.made:
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)
        self.made = []


CLONE_NEWNET = 0x40000000


def enter(net):
    """This thread, and those and the processes that it starts, live at the
    hub from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open("/run/netns/" + net.hub, os.O_RDONLY)
    try:
        if libc.setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(fd)
