# SPDX-License-Identifier: GPL-2.0-or-later
"""Fills a server with nodes of every kind, by a client's means only.

Everything is drawn from a seed, so that a failure can be had again.
"""

import random

from zktest import wire
from zktest.jute import ACL, OPEN_ACL
from zktest.tree import Batch
from zktest.wire import Client

USERS = ("alice:one", "bob:two", "carol:three")
TOP = "/exchange"
QUOTA = "/zookeeper/quota"
SHORT = TOP + "/short"      # ephemerals of sessions that will time out
LONG = TOP + "/long"        # ephemerals of sessions that will come back
SHORT_TIMEOUT, LONG_TIMEOUT = 4000, 300000      # ms

NAMES = ("plain", "with space", "ünïcödé", "日本語", "Ω≈ç√", "a.b", "...",
         "x" * 200, "-", "0", "%25", "\u00a0nbsp", "cafe\u0301")


def reader(server, **kw):
    """A client that has authenticated as every user."""
    c = Client(server.host, server.port, 40000, **kw)
    for u in USERS:
        if c.call(wire.AUTH, wire.b_auth("digest", u.encode()), -4).err:
            raise AssertionError("auth failed")
    return c


def some_data(rnd):
    kind = rnd.randrange(12)
    if kind == 0:
        return None
    if kind == 1:
        return b""
    if kind == 2:
        return bytes(range(256))
    if kind == 3:
        return rnd.randbytes(rnd.randrange(1, 20000))
    if kind == 4:
        return b"\0" * rnd.randrange(1, 50)
    return b"value %d" % rnd.randrange(10 ** 6)


def some_acl(rnd):
    """Mostly the open one; else lists that the reader may read, and a few
    that nobody may."""
    kind = rnd.randrange(10)
    if kind < 6:
        return OPEN_ACL
    if kind == 6:
        return [ACL(31, "auth", "")]
    if kind == 7:
        return [ACL(1 | rnd.randrange(32), "world", "anyone"),
                ACL(rnd.randrange(32), "digest", "u%d:hash" %
                    rnd.randrange(20))]
    if kind == 8:
        return [ACL(31, "ip", "10.%d.0.0/16" % rnd.randrange(200)),
                ACL(31, "auth", "")]
    return [ACL(rnd.choice((0, 16, 30)), "world", "anyone")]


class Generator:
    """Writes through one server; keeps the paths it has made."""

    def __init__(self, seed):
        self.rnd = random.Random(seed)
        self.paths = []
        self.sessions = []      # (sid, passwd, ephemeral's path)
        self.round = 0

    def _made(self, f):
        if f.err == 0:
            self.paths.append(wire.In(f.body).string())

    def run(self, server, ops):
        """One round of writes, about ops transactions."""
        self.round += 1
        c = reader(server)
        b = Batch(c)
        if self.round == 1:
            for p in (TOP, SHORT, LONG, TOP + "/box", TOP + "/churn"):
                b.add(wire.CREATE, wire.b_create(p))
        base = "%s/round%d" % (TOP, self.round)
        b.add(wire.CREATE, wire.b_create(base))
        b.drain()
        self.paths.append(base)
        self._names(b, base)
        self._quota(b, base)
        self._containers(b, base)
        while ops > 0:
            ops -= self._step(b, base)
        b.drain()
        self._gone_sessions(server, base)
        c.close_session()
        self._sessions(server)

    def _names(self, b, base):
        for n in NAMES:
            b.add(wire.CREATE, wire.b_create("%s/%s" % (base, n),
                                             n.encode()), self._made)

    def _quota(self, b, base):
        """From here on the round's nodes and bytes are counted, which is
        nowhere in the log."""
        at = QUOTA
        for name in base.split("/")[1:]:
            at += "/" + name
            b.add(wire.CREATE, wire.b_create(at))
        for name, text in (("limits", b"count=10,bytes=10"),
                           ("stats", b"count=0,bytes=0")):
            b.add(wire.CREATE, wire.b_create("%s/zookeeper_%s" % (at, name),
                                             text))

    def _containers(self, b, base):
        """Empty ones that never had children, and full ones."""
        for i in range(5):
            p = "%s/container%d" % (base, i)
            b.add(wire.CREATE_CONTAINER, wire.b_create(
                p, b"c", flags=wire.CONTAINER))
            for k in range(i):
                b.add(wire.CREATE, wire.b_create("%s/k%d" % (p, k)))
        for i in range(5):
            p = "%s/ttl%d" % (base, i)
            b.add(wire.CREATE_TTL, wire.b_create_ttl(
                p, b"t", flags=wire.TTL + (i & 1),
                ttl=(1 << 39) + self.rnd.randrange(10 ** 9)), self._made)

    def _step(self, b, base):
        rnd = self.rnd
        kind = rnd.randrange(20)
        path = rnd.choice(self.paths)
        if kind < 8:
            parent = base if kind < 4 else path
            name = rnd.choice(NAMES) if kind == 7 else \
                "n%d" % rnd.randrange(10 ** 7)
            b.add(wire.CREATE, wire.b_create(
                parent + "/" + name, some_data(rnd), some_acl(rnd)),
                self._made)
        elif kind == 8:
            b.add(wire.CREATE2, wire.b_create(
                path + "/seq-", some_data(rnd), flags=wire.SEQ), self._made)
        elif kind < 13:
            b.add(wire.SET_DATA, wire.b_set_data(path, some_data(rnd)))
        elif kind == 13:
            # a round's own top stays open: who may read nothing (the device's
            # caller in the tests) shall still see what is below it
            if path.rpartition("/")[0] == TOP:
                return 0
            b.add(wire.SET_ACL, wire.b_set_acl(path, some_acl(rnd)))
            # Apache checks what comes right behind it by the old or the new
            # ACL, as it happens: not to be drawn from a seed
            b.drain()
        elif kind < 16:
            # fails where there are children or no permission: fine
            b.add(wire.DELETE, wire.b_path_int(path, -1))
        elif kind == 16:
            b.add(wire.SET_DATA, wire.b_set_data(path, b"", 99999))
        elif kind == 17:
            self._multi(b, base, path)
        elif kind == 18:
            p = TOP + "/churn/c%d" % rnd.randrange(30)
            b.add(wire.CREATE, wire.b_create(p))
            if rnd.randrange(2):
                b.add(wire.DELETE, wire.b_path_int(p, -1))
            return 2
        else:
            b.add(wire.CREATE, wire.b_create(
                "%s/gone-parent/x%d" % (base, rnd.randrange(99))))
        return 1

    def _multi(self, b, base, path):
        rnd = self.rnd
        p = "%s/m%d" % (base, rnd.randrange(10 ** 7))
        ops = [(wire.CREATE, wire.b_create(p, b"m")),
               (wire.CREATE, wire.b_create(p + "/a", None)),
               (wire.CREATE_CONTAINER, wire.b_create(
                   p + "/box", flags=wire.CONTAINER)),
               (wire.CREATE, wire.b_create(p + "/box/in")),
               (wire.CREATE, wire.b_create(p + "/s", flags=wire.SEQ)),
               (wire.SET_DATA, wire.b_set_data(p, b"mm", 0)),
               (wire.CHECK, wire.b_path_int(p, 1)),
               (wire.DELETE, wire.b_path_int(p + "/a", 0))]
        if rnd.randrange(3) == 0:
            ops.append((wire.CHECK, wire.b_path_int(path, 10 ** 6)))
        b.add(wire.MULTI, wire.b_multi(ops))

    def _gone_sessions(self, server, base):
        """Sessions with ephemerals that end in order, within the log."""
        c = Client(server.host, server.port, 40000)
        for i in range(10):
            c.call(wire.CREATE, wire.b_create(
                "%s/closed%d" % (base, i), flags=wire.EPHEMERAL))
        c.close_session()

    def _sessions(self, server):
        """Sessions that are still there when the server ends."""
        for i in range(3):
            self.sessions.append(self._session(
                server, LONG_TIMEOUT, "%s/r%d-%d" % (LONG, self.round, i)))
            for n in range(10):
                # where all is slow one may time out while it is set up
                if self._session(server, SHORT_TIMEOUT, "%s/r%d-%d-%d" % (
                        SHORT, self.round, i, n)):
                    break
            else:
                raise AssertionError("no session lives for as long as it takes")

    @staticmethod
    def _session(server, timeout, path):
        """One with five ephemerals: (sid, password, one of them); None: it has
        timed out."""
        try:
            c = Client(server.host, server.port, timeout)
            for k in range(4):
                f = c.call(wire.CREATE, wire.b_create(
                    "%s-%d" % (path, k), b"e", flags=wire.EPHEMERAL))
                if f.err == -112:
                    return None
                if f.err:
                    raise AssertionError("ephemeral: %d" % f.err)
            c.call(wire.CREATE, wire.b_create(path + "-s",
                                              flags=wire.EPHEMERAL_SEQ))
            c.close()
        except wire.Closed:
            if timeout != SHORT_TIMEOUT:
                raise
            return None
        return c.sid, c.passwd, path + "-0"
