# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that write until the server dies, and what must be there after.

A Writer is one session in one thread with one subtree.  Its writes are in
order and each is known by a number; as it is told of them it keeps the
highest that was acknowledged.  After a crash the tree must show exactly the
writes 1..n of each writer for some n >= the acknowledged: nothing lost,
nothing half done, no holes.
"""

import threading

from zktest import wire
from zktest.jute import In
from zktest.tree import read_tree

SESSION_MS = 300000     # beyond what a round takes; CONFIG lets it
CONFIG = {"maxSessionTimeout": str(SESSION_MS)}
FLIGHT = 32     # a writer's requests in flight

KINDS = 6       # kinds of writes, by number modulo this


def writes(top, i):
    """The request of write number i: (op, body).

    Every kind leaves a trace by which check() knows that it was done.
    """
    kind = i % KINDS
    if kind == 0:
        return wire.CREATE, wire.b_create("%s/n%06d" % (top, i), b"%d" % i)
    if kind == 1:
        return wire.SET_DATA, wire.b_set_data(top, b"%d" % i)
    if kind == 2:
        # three nodes that change together
        return wire.MULTI, wire.b_multi(
            [(wire.SET_DATA, wire.b_set_data("%s/m%d" % (top, k), b"%d" % i))
             for k in range(3)])
    if kind == 3:
        return wire.CREATE, wire.b_create("%s/s-" % top, b"%d" % i,
                                          flags=wire.SEQ)
    if kind == 4:
        # made and another deleted in one
        return wire.MULTI, wire.b_multi(
            [(wire.CREATE, wire.b_create("%s/t%06d" % (top, i), b"%d" % i)),
             (wire.DELETE, wire.b_path_int(
                 "%s/t%06d" % (top, i - KINDS), -1))])
    return wire.CREATE, wire.b_create("%s/e%06d" % (top, i), b"%d" % i,
                                      flags=wire.EPHEMERAL)


class Writer(threading.Thread):
    """Runs until the connection breaks or stop is set."""

    def __init__(self, server, name):
        super().__init__(name=name)
        self.server = server
        self.top = "/crash-" + name
        self.sent = 0
        self.acked = 0
        self.zxid = 0
        self.stop = threading.Event()
        self.error = None
        c = wire.Client(server.host, server.port, SESSION_MS)
        self.sid, self.passwd = c.sid, c.passwd
        first = [(wire.CREATE, wire.b_create(self.top, b"0"))]
        first += [(wire.CREATE, wire.b_create("%s/m%d" % (self.top, k), b"0"))
                  for k in range(3)]
        first += [(wire.CREATE, wire.b_create("%s/t%06d" % (self.top, i)))
                  for i in (4 - KINDS,)]
        for op, body in first:
            f = c.call(op, body)
            if f.err:
                raise AssertionError("setting up: %d" % f.err)
        self.client = c

    def run(self):
        try:
            self._run()
        except (wire.Closed, OSError):
            pass
        except Exception as e:
            self.error = repr(e)
        finally:
            self.client.close()

    def _run(self):
        c = self.client
        base = c.xid
        while not self.stop.is_set() or self.acked < self.sent:
            while self.sent - self.acked < FLIGHT and not self.stop.is_set():
                self.sent += 1
                c.send(*writes(self.top, self.sent))
            f = c.reply()
            if f.xid != base + self.acked + 1 or f.err:
                raise AssertionError("reply %d err %d after %d" % (
                    f.xid - base, f.err, self.acked))
            if f.zxid <= self.zxid:
                raise AssertionError("zxid %x after %x" % (f.zxid, self.zxid))
            self.zxid = f.zxid
            if writes(self.top, self.acked + 1)[0] == wire.MULTI:
                self._whole(f)
            self.acked += 1

    @staticmethod
    def _whole(f):
        r = In(f.body)
        while True:
            op, done, err = r.int(), r.bool(), r.int()
            if done:
                return
            if op == -1 or err:
                raise AssertionError("a part of a multi failed: %d" % err)
            if op == wire.SET_DATA:
                r.stat()
            elif op == wire.CREATE:
                r.string()

    def resume(self):
        """Take the session up again on the restarted server."""
        c = wire.Client(self.server.host, self.server.port, SESSION_MS,
                        sid=self.sid, passwd=self.passwd)
        if c.sid != self.sid:
            raise AssertionError("the session is gone")
        return c


def check(writer, tree):
    """Text of what is wrong with this writer's subtree, or nothing."""
    top = writer.top
    node = tree.get(top)
    if node is None:
        return "%s is gone" % top
    done = last_done(writer, tree)
    if done < writer.acked:
        return "write %d was acknowledged, %d are there" % (
            writer.acked, done)
    if done > writer.sent:
        return "write %d is there, %d were sent" % (done, writer.sent)
    want = expected(top, done)
    got = {}
    for path, n in tree.items():
        if path.startswith(top + "/"):
            name = path[len(top) + 1:]
            if name.startswith("s-"):
                name = "s-" + n.data[0].decode()
            got[name] = n.data[0]
            owner = writer.sid if name[0] == "e" else 0
            if n.stat.ephemeral_owner != owner:
                return "%s is owned by %x" % (path, n.stat.ephemeral_owner)
    if want != got:
        missing = sorted(set(want.items()) - set(got.items()))[:5]
        extra = sorted(set(got.items()) - set(want.items()))[:5]
        return "of %d writes: missing %s, extra %s" % (done, missing, extra)
    tops = [i for i in range(1, done + 1) if i % KINDS == 1]
    if node.data[0] != b"%d" % (tops[-1] if tops else 0) or \
            node.stat.version != len(tops):
        return "%s has %r, version %d" % (top, node.data, node.stat.version)
    return None


def last_done(writer, tree):
    """The highest write that left a trace."""
    best = 0
    for path, n in tree.items():
        if path == writer.top or path.startswith(writer.top + "/"):
            if n.data[0]:
                best = max(best, int(n.data[0]))
    return best


def expected(top, done):
    """{name: data} of the subtree after writes 1..done; a sequential node by
    its data, as its number depends on the order of others."""
    out = {"m0": b"0", "m1": b"0", "m2": b"0",
           "t%06d" % (4 - KINDS): b""}
    for i in range(1, done + 1):
        kind, d = i % KINDS, b"%d" % i
        if kind == 0:
            out["n%06d" % i] = d
        elif kind == 2:
            out.update({"m0": d, "m1": d, "m2": d})
        elif kind == 3:
            out["s-%d" % i] = d
        elif kind == 4:
            out["t%06d" % i] = d
            out.pop("t%06d" % (i - KINDS))
        elif kind == 5:
            out["e%06d" % i] = d
    return out


def read_all(server):
    c = wire.Client(server.host, server.port)
    try:
        return read_tree(c, "/", skip=("/zookeeper",))
    finally:
        c.close_session()
