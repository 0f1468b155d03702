# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that write, read and sync registers, and note what they see.

A client keeps its session over as many connections and servers as it takes.
An answer that does not come leaves an operation of unknown outcome.
"""

import random
import socket
import struct
import threading
import time

from check import Op, Violation
from zktest import wire
from zktest.jute import In

KEYS = 8
PATIENCE = 4.0          # seconds for an answer
SESSION_MS = 8000


def key(i):
    return "/reg-%d" % i


class Guest(wire.Client):
    """A wire.Client that waits no longer than PATIENCE for its handshake."""

    def __init__(self, host, port, sid, passwd, last_zxid, session_ms):
        wire.Conn.__init__(self, host, port, PATIENCE)
        self.xid = 0
        self.events = []
        self.last_zxid = last_zxid
        try:
            self.send_frame(wire.connect_request(session_ms, sid, passwd,
                                                 last_zxid))
            self.session = wire.ConnectResponse(self.recv_frame(PATIENCE))
        except BaseException:
            self.close()
            raise
        self.sid = self.session.sid
        self.passwd = self.session.passwd

    def ask(self, op, body):
        xid = self.send(op, body)
        f = self.reply(PATIENCE)
        if f.xid != xid:
            raise AssertionError("reply to %d has xid %d" % (xid, f.xid))
        return f


GONE = (OSError, wire.Closed, socket.timeout, struct.error)


class Worker(threading.Thread):
    """One client.  ops: its history, in its order."""

    def __init__(self, number, servers, seed, until,
                 session_ms=SESSION_MS):
        super().__init__(daemon=True)
        self.number = number
        self.servers = servers
        self.rnd = random.Random(seed)
        self.until = until
        self.session_ms = session_ms
        self.ops = []
        self.session = 0
        self.sid, self.passwd, self.zxid = 0, b"\0" * 16, 0
        self.conn = None
        self.server = None
        self.fresh = False          # reads on it are linearizable
        self.values = 0
        self.broken = None          # an exception that must not be
        self.reconnects = 0
        self.refusals = []          # texts: which session was over, where, when
        self.heard = time.monotonic()

    def connect(self):
        s = self.rnd.choice(self.servers)
        try:
            c = Guest(s.host, s.port, self.sid, self.passwd, self.zxid,
                      self.session_ms)
        except GONE:
            time.sleep(0.05)
            return
        if not c.sid:               # the session is over
            c.close()
            self.refusals.append(
                "session 0x%x by %s server %s, %.1f s after its last answer" % (
                    self.sid, s.kind, s.host,
                    time.monotonic() - self.heard))
            self.sid, self.passwd = 0, b"\0" * 16
            self.session += 1
            return
        self.reconnects += 1
        self.heard = time.monotonic()
        self.sid, self.passwd, self.conn = c.sid, c.passwd, c
        self.server = getattr(s, "number", None)
        self.fresh = s.fresh

    def lose(self):
        self.conn.close()
        self.conn = None

    def note(self, kind, k, sent, done=None, value=None, version=None,
             mzxid=None):
        self.ops.append(Op(self.number, self.session, kind, k, sent, done,
                           value, version, mzxid,
                           kind == "read" and self.fresh, self.server))

    def op(self, kind, k):
        """One operation; False: the connection is gone."""
        value = None
        if kind == "write":
            self.values += 1
            value = "%d.%d" % (self.number, self.values)
        sent = time.monotonic()
        try:
            if kind == "write":
                f = self.conn.ask(wire.SET_DATA,
                                  wire.b_set_data(k, value.encode()))
            elif kind == "read":
                f = self.conn.ask(wire.GET_DATA, wire.b_path_watch(k))
            else:
                f = self.conn.ask(wire.SYNC, wire.b_path(k))
        except GONE:
            f = None
        done = time.monotonic()
        if f is None or f.err:
            self.note(kind, k, sent, value=value)
            return False
        self.heard = done
        self.zxid = max(self.zxid, f.zxid)
        r = In(f.body)
        if kind == "sync":
            self.note(kind, k, sent, done, mzxid=f.zxid)
            return True
        if kind == "read":
            value = r.buffer().decode()
        st = r.stat()
        self.note(kind, k, sent, done, value, st.version, st.mzxid)
        if kind == "write" and st.mzxid != f.zxid:
            raise AssertionError("setData answered with zxid 0x%x, the node "
                                 "has 0x%x" % (f.zxid, st.mzxid))
        return True

    def step(self):
        if self.conn is None:
            self.connect()
            return
        k = key(self.rnd.randrange(KEYS))
        kind = self.rnd.choice(("write", "write", "read", "read", "read",
                                "sync"))
        fine = self.op(kind, k)
        if fine and kind == "sync":
            fine = self.op("read", k)
        if not fine or self.rnd.random() < 0.01:
            self.lose()

    def run(self):
        try:
            while time.monotonic() < self.until():
                self.step()
        except Exception as e:      # shown by who joins
            self.broken = e
        if self.conn:
            self.conn.close()


def prepare(s):
    """The registers, made on server s."""
    c = wire.Client(s.host, s.port)
    for i in range(KEYS):
        f = c.call(wire.CREATE, wire.b_create(key(i)))
        if f.err:
            raise AssertionError("create: %d" % f.err)
    c.close_session()


def settled(s, ask, limit=120):
    """ask(client) of server s after a sync; anew when the server closes, as it
    does while there is another change of leaders."""
    end = time.monotonic() + limit
    while True:
        c = None
        try:
            c = wire.Client(s.host, s.port)
            c.call(wire.SYNC, wire.b_path("/"))
            return ask(c)
        except (OSError, wire.Closed):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
        finally:
            if c:
                c.close()


def final(s):
    """{key: (value, version, mzxid)} as server s has it after a sync."""
    return settled(s, lambda c: registers(s, c))


def registers(s, c):
    out = {}
    for i in range(KEYS):
        f = c.call(wire.GET_DATA, wire.b_path_watch(key(i)))
        if f.err:
            raise Violation("%s server %s answers getData of %s with error %d" %
                            (s.kind, s.host, key(i), f.err))
        r = In(f.body)
        value = r.buffer().decode()
        st = r.stat()
        out[key(i)] = (value, st.version, st.mzxid)
    return out
