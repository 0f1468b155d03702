# SPDX-License-Identifier: GPL-2.0-or-later
"""A network of the test's own: a namespace for each server, all on one bridge
in a namespace "hub", where the test's clients are.

Links are cut by direction: a server that is not to reach another gets a
blackhole route to it.  Nothing of the host's network is touched.  Root only.
"""

import ctypes
import os
import subprocess

from zktest import proc

SUBNET = "10.99.0."
HUB = 254


def ip(*args, ns=None):
    cmd = ["ip"] + (["-n", ns] if ns else []) + list(args)
    p = subprocess.run(cmd, capture_output=True, text=True)
    if p.returncode:
        raise OSError("%s: %s" % (" ".join(cmd), p.stderr.strip()))


def address(n):
    return SUBNET + str(n)


class Net:
    """The namespaces of servers 1..n, and the hub's."""

    def __init__(self, n):
        self.tag = "zkt%d" % os.getpid()
        self.made = []
        self.cuts = set()
        proc.at_end(self.close)
        self.hub = self._ns("hub")
        ip("link", "add", "br0", "type", "bridge", ns=self.hub)
        ip("addr", "add", address(HUB) + "/24", "dev", "br0", ns=self.hub)
        ip("link", "set", "br0", "up", ns=self.hub)
        for i in range(1, n + 1):
            self._member(i)

    def _ns(self, name):
        ns = "%s-%s" % (self.tag, name)
        ip("netns", "add", ns)
        self.made.append(ns)
        ip("link", "set", "lo", "up", ns=ns)
        return ns

    def _member(self, i):
        ns = self._ns(str(i))
        ip("link", "add", "v%d" % i, "type", "veth", "peer", "name", "eth0",
           "netns", ns, ns=self.hub)
        ip("link", "set", "v%d" % i, "master", "br0", "up", ns=self.hub)
        ip("addr", "add", address(i) + "/24", "dev", "eth0", ns=ns)
        ip("link", "set", "eth0", "up", ns=ns)

    def ns(self, i):
        return "%s-%d" % (self.tag, i)

    def inside(self, i, cmd):
        """The command line that runs cmd where server i lives."""
        return ["ip", "netns", "exec", self.ns(i)] + cmd

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
