# SPDX-License-Identifier: GPL-2.0-or-later
"""A raw ZooKeeper client: frames, handshake, requests, replies in order.

Nothing is done behind the caller's back: no pings, no reconnecting, no
re-sent watches.  A Client hands out each frame in the order it came.
"""

import os
import socket
import struct

from .jute import In, Out, OPEN_ACL

# operation codes
NOTIFICATION, CREATE, DELETE, EXISTS, GET_DATA, SET_DATA = 0, 1, 2, 3, 4, 5
GET_ACL, SET_ACL, GET_CHILDREN, SYNC, PING = 6, 7, 8, 9, 11
GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG = 12, 13, 14, 15, 16
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER = 17, 18, 19
DELETE_CONTAINER, CREATE_TTL, MULTI_READ, AUTH = 20, 21, 22, 100
SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER = 101, 102, 103, 104
SET_WATCHES2, ADD_WATCH, WHO_AM_I = 105, 106, 107
CLOSE_SESSION = -11

# create flags
PERSISTENT, EPHEMERAL, SEQ, EPHEMERAL_SEQ, CONTAINER, TTL, TTL_SEQ = range(7)

# errors
OK, SYSTEM, MARSHALLING, UNIMPLEMENTED, BAD_ARGUMENTS = 0, -1, -5, -6, -8
NO_NODE, NO_AUTH, BAD_VERSION, NO_CHILDREN_FOR_EPHEMERALS = \
    -101, -102, -103, -108
NODE_EXISTS, NOT_EMPTY, SESSION_EXPIRED, INVALID_ACL, AUTH_FAILED = \
    -110, -111, -112, -114, -115
NO_WATCHER = -121
RUNTIME_INCONSISTENCY = -2

# event types
EV_CREATED, EV_DELETED, EV_CHANGED, EV_CHILD = 1, 2, 3, 4

# watcher types for check/remove, modes for addWatch
W_CHILDREN, W_DATA, W_ANY = 1, 2, 3
MODE_PERSISTENT, MODE_RECURSIVE = 0, 1

XID_EVENT, XID_PING, XID_AUTH, XID_SET_WATCHES = -1, -2, -4, -8

# seconds; what is sanitized takes its time
DEFAULT_TIMEOUT = 600 if os.environ.get("SAN") else 60


class Closed(Exception):
    """The server closed the connection."""


class JavaRandom:
    """java.util.Random's generator, for session passwords."""

    def __init__(self, seed):
        self.seed = (seed ^ 0x5DEECE66D) & ((1 << 48) - 1)

    def next32(self):
        self.seed = (self.seed * 0x5DEECE66D + 0xB) & ((1 << 48) - 1)
        return self.seed >> 16

    def next_bytes(self, n):
        out = b""
        while len(out) < n:
            out += struct.pack("<I", self.next32() & 0xffffffff)
        return out[:n]


def session_password(sid):
    """The password that ZooKeeper gives session sid."""
    return JavaRandom((sid & ((1 << 64) - 1)) ^ 0xB3415C00).next_bytes(16)


class Frame:
    """One frame from the server after the handshake."""

    def __init__(self, data):
        self.data = data
        r = In(data)
        self.xid = r.int()
        self.zxid = r.long()
        self.err = r.int()
        self.body = r.rest()

    @property
    def is_event(self):
        return self.xid == XID_EVENT


class Conn:
    """A TCP connection that carries length-prefixed frames."""

    def __init__(self, host, port, timeout=DEFAULT_TIMEOUT):
        self.where = "%s:%s" % (host, port)
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""

    def send_raw(self, data):
        self.sock.sendall(data)

    def send_frame(self, payload):
        """A server may close in the middle of it, e.g. for its length; that
        is for who receives next to tell."""
        try:
            self.send_raw(struct.pack(">i", len(payload)) + payload)
        except (ConnectionResetError, BrokenPipeError):
            pass

    def _fill(self, n):
        while len(self.buf) < n:
            try:
                part = self.sock.recv(1 << 20)
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed("closed by %s after %r" % (
                    self.where, self.buf[:64]))
            self.buf += part

    def recv_frame(self, timeout=DEFAULT_TIMEOUT):
        """The next frame; Closed at the end, socket.timeout if none came."""
        self.sock.settimeout(timeout)
        self._fill(4)
        n = struct.unpack(">i", self.buf[:4])[0]
        if n < 0:
            raise AssertionError("frame of length %d" % n)
        self._fill(4 + n)
        data, self.buf = self.buf[4:4 + n], self.buf[4 + n:]
        return data

    def recv_all(self, timeout=DEFAULT_TIMEOUT):
        """All bytes until the server closes."""
        self.sock.settimeout(timeout)
        try:
            while True:
                self._fill(len(self.buf) + 1)
        except Closed:
            return self.buf

    def close(self):
        self.sock.close()


def connect_request(timeout, sid=0, passwd=b"\0" * 16, last_zxid=0,
                    read_only=False, proto=0):
    """A ConnectRequest; read_only=None leaves the flag out (44 bytes)."""
    o = Out().int(proto).long(last_zxid).int(timeout).long(sid)
    o.buffer(passwd)
    if read_only is not None:
        o.bool(read_only)
    return o.bytes()


class ConnectResponse:
    """The server's side of the handshake."""

    def __init__(self, data):
        r = In(data)
        self.size = len(data)
        self.proto = r.int()
        self.timeout = r.int()
        self.sid = r.long()
        self.passwd = r.buffer()
        self.read_only = r.bool() if r.pos < len(data) else None
        r.end()


class Client(Conn):
    """A connection with a session."""

    def __init__(self, host, port, timeout=30000, sid=0,
                 passwd=b"\0" * 16, last_zxid=0, read_only=False):
        super().__init__(host, port)
        self.xid = 0
        self.send_frame(connect_request(timeout, sid, passwd, last_zxid,
                                        read_only))
        self.session = ConnectResponse(self.recv_frame())
        self.sid = self.session.sid
        self.passwd = self.session.passwd
        self.events = []
        self.last_zxid = 0

    def send(self, op, body=b"", xid=None):
        """Send a request; gives its xid."""
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.send_frame(struct.pack(">ii", xid, op) + body)
        return xid

    def recv(self, timeout=DEFAULT_TIMEOUT):
        """The next frame, event or reply."""
        f = Frame(self.recv_frame(timeout))
        if f.zxid > self.last_zxid:
            self.last_zxid = f.zxid
        return f

    def reply(self, timeout=DEFAULT_TIMEOUT):
        """The next reply; events before it are put into self.events."""
        while True:
            f = self.recv(timeout)
            if not f.is_event:
                return f
            self.events.append(event(f))

    def call(self, op, body=b"", xid=None):
        """Send and wait for the reply, whose xid must be the right one."""
        xid = self.send(op, body, xid)
        f = self.reply()
        if f.xid != xid:
            raise AssertionError("reply to %d has xid %d" % (xid, f.xid))
        return f

    def close_session(self):
        self.call(CLOSE_SESSION)
        self.close()


def event(frame):
    """(type, state, path) of a notification."""
    r = In(frame.body)
    ev = (r.int(), r.int(), r.string())
    r.end()
    return ev


# -- request bodies

def b_create(path, data=b"", acl=OPEN_ACL, flags=PERSISTENT):
    return Out().string(path).buffer(data).acls(acl).int(flags).bytes()


def b_create_ttl(path, data=b"", acl=OPEN_ACL, flags=TTL, ttl=1000):
    return b_create(path, data, acl, flags) + Out().long(ttl).bytes()


def b_path(path):
    return Out().string(path).bytes()


def b_path_watch(path, watch=False):
    return Out().string(path).bool(watch).bytes()


def b_path_int(path, n):
    """delete, check (version), addWatch (mode), check/removeWatches."""
    return Out().string(path).int(n).bytes()


def b_set_data(path, data, version=-1):
    return Out().string(path).buffer(data).int(version).bytes()


def b_set_acl(path, acl, version=-1):
    return Out().string(path).acls(acl).int(version).bytes()


def b_auth(scheme, auth, kind=0):
    return Out().int(kind).string(scheme).buffer(auth).bytes()


def b_set_watches(zxid, data=(), exist=(), child=()):
    return Out().long(zxid).strings(data).strings(exist) \
        .strings(child).bytes()


def b_set_watches2(zxid, data=(), exist=(), child=(), persistent=(),
                   recursive=()):
    return b_set_watches(zxid, data, exist, child) + \
        Out().strings(persistent).strings(recursive).bytes()


def b_multi(ops):
    """ops: a list of (type, body)."""
    o = Out()
    for op, body in ops:
        o.int(op).bool(False).int(-1).raw(body)
    return o.int(-1).bool(True).int(-1).bytes()
