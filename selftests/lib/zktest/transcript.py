# SPDX-License-Identifier: GPL-2.0-or-later
"""What a client saw, written down so that two servers can be compared.

A Script runs clients against one server.  Every request and every frame that
comes back becomes one line.  What must differ between two runs is normalised:

  zxid      +N above the server's zxid when the script began; "old" for what
            is older; 0 and negative values as they are
  session   S1, S2 ... in order of appearance
  password  "right" if it is the one that ZooKeeper computes for the session
  time      "now" if it lies within the script's run, else the number
  children  sorted

Replies are decoded strictly: a record that is too short, too long or not of
the shape the operation answers with is shown as bytes.
"""

import time

from . import wire
from .jute import In, Out, DecodeError, OPEN_ACL, READ_ACL
from .wire import Client, Closed, Frame

OP_NAMES = {getattr(wire, n): n.lower() for n in (
    "CREATE DELETE EXISTS GET_DATA SET_DATA GET_ACL SET_ACL GET_CHILDREN SYNC "
    "PING GET_CHILDREN2 CHECK MULTI CREATE2 RECONFIG CHECK_WATCHES "
    "REMOVE_WATCHES CREATE_CONTAINER DELETE_CONTAINER CREATE_TTL MULTI_READ "
    "AUTH SET_WATCHES SASL GET_EPHEMERALS GET_ALL_CHILDREN_NUMBER "
    "SET_WATCHES2 ADD_WATCH WHO_AM_I CLOSE_SESSION").split()}

EVENT_NAMES = {-1: "none", 1: "created", 2: "deleted", 3: "changed",
               4: "child"}


SKEW_MS = 60000         # of a clock in a VM that does not get its time


class Result:
    """A decoded reply: err, zxid (absolute), xid and the record's fields."""

    def __init__(self, frame, fields, text):
        self.xid, self.zxid, self.err = frame.xid, frame.zxid, frame.err
        self.body = frame.body
        self.text = text
        self.__dict__.update(fields)


def show_bytes(v):
    if v is None:
        return "null"
    if len(v) > 48:
        return "%d bytes %s..." % (len(v), v[:16].hex())
    return repr(v)[1:]


class Norm:
    """Turns values of one run into text that other runs have too."""

    def __init__(self, base):
        self.base = base
        self.begin = time.time() * 1000 - SKEW_MS
        self.sids = {}

    def zxid(self, z):
        if z <= 0:
            return str(z)
        return "+%d" % (z - self.base) if z > self.base else "old"

    def sid(self, sid):
        if sid == 0:
            return "0"
        return self.sids.setdefault(sid, "S%d" % (len(self.sids) + 1))

    def owner(self, v):
        return self.sids.get(v, "0x%x" % (v & (1 << 64) - 1) if v else "0")

    def time(self, v):
        return "now" if self.begin <= v <= time.time() * 1000 + SKEW_MS \
            else str(v)

    def stat(self, s):
        return ("{c%s m%s %s %s v%d cv%d av%d own=%s len=%d ch=%d p%s}" % (
            self.zxid(s.czxid), self.zxid(s.mzxid), self.time(s.ctime),
            self.time(s.mtime), s.version, s.cversion, s.aversion,
            self.owner(s.ephemeral_owner), s.data_length, s.num_children,
            self.zxid(s.pzxid)))


def show_acls(acls):
    if acls is None:
        return "null"
    return "[%s]" % " ".join("%d:%s:%s" % tuple(a) for a in acls)


class Decoder:
    """Replies' bodies to fields and text."""

    def __init__(self, norm):
        self.n = norm

    def body(self, op, data):
        """(fields, text) of the body of a successful reply."""
        r = In(data)
        fields, text = self._record(op, r)
        r.end()
        return fields, text

    def _record(self, op, r):
        n = self.n
        if op in (wire.CREATE, wire.SYNC):
            path = r.string()
            return {"path": path}, "path=%s" % show_path(path)
        if op in (wire.CREATE2, wire.CREATE_CONTAINER, wire.CREATE_TTL):
            path, stat = r.string(), r.stat()
            return {"path": path, "stat": stat}, \
                "path=%s %s" % (show_path(path), n.stat(stat))
        if op in (wire.EXISTS, wire.SET_DATA, wire.SET_ACL):
            stat = r.stat()
            return {"stat": stat}, n.stat(stat)
        if op == wire.GET_DATA:
            data, stat = r.buffer(), r.stat()
            return {"data": data, "stat": stat}, \
                "data=%s %s" % (show_bytes(data), n.stat(stat))
        if op == wire.GET_ACL:
            acl, stat = r.acls(), r.stat()
            return {"acl": acl, "stat": stat}, \
                "acl=%s %s" % (show_acls(acl), n.stat(stat))
        if op == wire.GET_CHILDREN:
            ch = r.strings()
            return {"children": ch}, "children=%s" % ascii(sorted(ch))
        if op == wire.GET_CHILDREN2:
            ch, stat = r.strings(), r.stat()
            return {"children": ch, "stat": stat}, \
                "children=%s %s" % (ascii(sorted(ch)), n.stat(stat))
        if op == wire.ADD_WATCH:
            err = r.int()
            return {"inner": err}, "inner=%d" % err
        if op in (wire.MULTI, wire.MULTI_READ):
            return self._multi(r)
        if op == wire.GET_EPHEMERALS:
            v = r.strings()
            return {"paths": v}, "paths=%s" % sorted(v)
        if op == wire.GET_ALL_CHILDREN_NUMBER:
            v = r.int()
            return {"number": v}, "number=%d" % v
        if op == wire.WHO_AM_I:
            v = [(r.string(), r.string()) for _ in range(r.int())]
            return {"who": v}, "who=%s" % v
        return {}, ""

    def _multi(self, r):
        results, texts = [], []
        while True:
            op, done, err = r.int(), r.bool(), r.int()
            if done:
                if (op, err) != (-1, -1):
                    raise DecodeError("end header %d %d" % (op, err))
                return {"results": results}, "; ".join(texts)
            if op == -1:
                inner = r.int()
                results.append((op, err, inner))
                texts.append("error(%d) %d" % (err, inner))
            else:
                fields, text = self._record(op, r)
                results.append((op, err, fields))
                texts.append(("%s(%d) %s" % (
                    OP_NAMES.get(op, op), err, text)).strip())


class ScriptClient:
    """A session whose traffic is written down."""

    def __init__(self, script, name, timeout=30000, **kw):
        self.t, self.name, self.ops = script, name, {}
        server = script.server
        self.c = Client(server.host, server.port, timeout, **kw)
        self.sid, self.passwd = self.c.sid, self.c.passwd
        self.session = self.c.session
        self.open = True
        self.events = []
        if self.sid:
            script.sessions[self.sid] = self.passwd
        self.say(":", "connect timeout=%d %s-> timeout=%d session=%s "
                 "password=%s ro=%s size=%d proto=%d" % (
                     timeout, "session=%s " % script.norm.sid(kw["sid"])
                     if "sid" in kw else "", self.session.timeout,
                     script.norm.sid(self.sid), self._passwd_text(),
                     self.session.read_only, self.session.size,
                     self.session.proto))

    def _passwd_text(self):
        if self.passwd == wire.session_password(self.sid):
            return "right"
        return self.passwd.hex() if self.passwd is not None else "null"

    def say(self, mark, text):
        self.t.say("%s%s %s" % (self.name, mark, text))

    # -- sending and receiving, written down

    def send(self, op, body=b"", text="", xid=None):
        """Send without waiting."""
        xid = self.c.send(op, body, xid)
        self.ops[xid] = op
        self.say(">", ("%s %s" % (OP_NAMES.get(op, op), text)).strip())
        return xid

    def recv(self, timeout=wire.DEFAULT_TIMEOUT):
        """The next frame: an (type, state, path) event or a Result."""
        try:
            f = Frame(self.c.recv_frame(timeout))
        except Closed:
            self.open = False
            self.say("<", "closed")
            raise
        if f.is_event:
            return self._event(f)
        return self._reply(f)

    def _event(self, f):
        ev = wire.event(f)
        self.events.append(ev)
        self.say("<", "event %s state=%d %s zxid=%s err=%d" % (
            EVENT_NAMES.get(ev[0], ev[0]), ev[1], show_path(ev[2]),
            self.t.norm.zxid(f.zxid), f.err))
        return ev

    def _reply(self, f):
        op = self.ops.get(f.xid)
        fields, text = {}, ""
        if f.err or op is None:
            text = "body=%s" % f.body.hex() if f.body else ""
        else:
            try:
                fields, text = self.t.decoder.body(op, f.body)
            except DecodeError as e:
                text = "undecodable (%s) %s" % (e, f.body.hex())
        self.say("=", ("%s xid=%d zxid=%s err=%d %s" % (
            OP_NAMES.get(op, op), f.xid, self.t.norm.zxid(f.zxid), f.err,
            text)).strip())
        return Result(f, fields, text)

    def reply(self):
        """The next reply; events before it are kept in .events."""
        while True:
            r = self.recv()
            if isinstance(r, Result):
                return r

    def call(self, op, body=b"", text="", xid=None):
        xid = self.send(op, body, text, xid)
        r = self.reply()
        if r.xid != xid:
            raise AssertionError("reply to xid %d has xid %d" % (xid, r.xid))
        return r

    def closed(self):
        """True if the server closes the connection with nothing more."""
        try:
            self.recv()
        except Closed:
            return True
        return False

    # -- operations

    def create(self, path, data=b"", acl=OPEN_ACL, flags=wire.PERSISTENT,
               op=wire.CREATE):
        return self.call(op, wire.b_create(path, data, acl, flags),
                         "%s %s %s flags=%d" % (
                             show_path(path), show_bytes(data),
                             show_acls(acl), flags))

    def create2(self, path, data=b"", acl=OPEN_ACL, flags=wire.PERSISTENT):
        return self.create(path, data, acl, flags, wire.CREATE2)

    def delete(self, path, version=-1):
        return self.call(wire.DELETE, wire.b_path_int(path, version),
                         "%s v%d" % (show_path(path), version))

    def exists(self, path, watch=False):
        return self.call(wire.EXISTS, wire.b_path_watch(path, watch),
                         show_path(path) + " w" * watch)

    def get(self, path, watch=False):
        return self.call(wire.GET_DATA, wire.b_path_watch(path, watch),
                         show_path(path) + " w" * watch)

    def set(self, path, data, version=-1):
        return self.call(wire.SET_DATA, wire.b_set_data(path, data, version),
                         "%s %s v%d" % (show_path(path), show_bytes(data),
                                        version))

    def get_acl(self, path, free_order=False):
        """free_order: the entries' order is not written down."""
        r = self.call(wire.GET_ACL, wire.b_path(path), show_path(path))
        if free_order and r.err == 0:
            self.t.lines[-1] = self.t.lines[-1].replace(
                show_acls(r.acl), "sorted " + show_acls(sorted(r.acl)))
        return r

    def set_acl(self, path, acl, version=-1):
        return self.call(wire.SET_ACL, wire.b_set_acl(path, acl, version),
                         "%s %s v%d" % (show_path(path), show_acls(acl),
                                        version))

    def children(self, path, watch=False):
        return self.call(wire.GET_CHILDREN, wire.b_path_watch(path, watch),
                         show_path(path) + " w" * watch)

    def children2(self, path, watch=False):
        return self.call(wire.GET_CHILDREN2, wire.b_path_watch(path, watch),
                         show_path(path) + " w" * watch)

    def sync(self, path):
        return self.call(wire.SYNC, wire.b_path(path), show_path(path))

    def ping(self):
        return self.call(wire.PING, b"", xid=wire.XID_PING)

    def auth(self, scheme, auth, xid=wire.XID_AUTH):
        return self.call(wire.AUTH, wire.b_auth(scheme, auth),
                         "%s %s" % (scheme, show_bytes(auth)), xid)

    def multi(self, ops, op=wire.MULTI):
        return self.call(op, wire.b_multi(ops), "x%d" % len(ops))

    def multi_read(self, ops):
        return self.multi(ops, wire.MULTI_READ)

    def add_watch(self, path, mode):
        return self.call(wire.ADD_WATCH, wire.b_path_int(path, mode),
                         "%s mode=%d" % (show_path(path), mode))

    def check_watches(self, path, kind):
        return self.call(wire.CHECK_WATCHES, wire.b_path_int(path, kind),
                         "%s type=%d" % (show_path(path), kind))

    def remove_watches(self, path, kind):
        return self.call(wire.REMOVE_WATCHES, wire.b_path_int(path, kind),
                         "%s type=%d" % (show_path(path), kind))

    def zxid(self):
        """The server's last zxid, asked for without writing it down."""
        had = len(self.t.lines)
        z = self.exists("/zookeeper").zxid
        del self.t.lines[had:]
        return z

    # -- events of others' writes

    def fence(self):
        """Take in all events of what was committed before this call.

        A read that sees zxid Z comes after the events up to Z; so one read,
        not written down itself, brings them all.  Gives the new events.
        """
        had = len(self.events)
        xid = self.c.send(wire.EXISTS, wire.b_path_watch("/", False))
        while True:
            f = Frame(self.c.recv_frame())
            if f.is_event:
                self._event(f)
            elif f.xid == xid:
                return self.events[had:]
            else:
                self._reply(f)

    def wait_events(self, n, sort=False):
        """The next n events, sorted (as lines too) where order is free."""
        at = len(self.t.lines)
        got = []
        while len(got) < n:
            ev = self.recv()
            if isinstance(ev, Result):
                raise AssertionError("a reply came, not an event")
            got.append(ev)
        if sort:
            got.sort()
            self.t.lines[at:] = sorted(self.t.lines[at:])
        return got

    # -- ends

    def drop(self):
        """Close the socket, leaving the session."""
        self.c.close()
        self.open = False
        self.say(":", "drop")

    def reconnect(self, name=None, **kw):
        """A new connection with this session."""
        kw.setdefault("sid", self.sid)
        kw.setdefault("passwd", self.passwd)
        kw.setdefault("timeout", 30000)
        return ScriptClient(self.t, name or self.name, **kw)

    def close(self):
        """closeSession, and the server's end of the connection."""
        r = self.call(wire.CLOSE_SESSION)
        self.t.sessions.pop(self.sid, None)
        ended = self.closed()
        self.c.close()
        self.open = False
        if not ended:
            raise AssertionError("connection open after closeSession")
        return r


def show_path(p):
    if p is None:
        return "null"
    if isinstance(p, bytes):
        return repr(p)[1:]
    if len(p) > 80:
        return "%s...(%d)" % (p[:16], len(p))
    if all(" " < ch < "\x7f" for ch in p) and p:
        return p
    return ascii(p)


class Script:
    """One script's run against one server: the object that it is given."""

    def __init__(self, name, server):
        self.name, self.server = name, server
        self.root = "/" + name
        self.lines = []
        self.sessions = {}
        ctl = Client(server.host, server.port, 40000)
        self.ctl = ctl
        f = ctl.call(wire.EXISTS, wire.b_path_watch("/", False))
        self.norm = Norm(f.zxid)
        self.decoder = Decoder(self.norm)
        self.clients = []

    def say(self, line):
        self.lines.append(line)

    def note(self, text):
        """Mark a part of the script in the transcript."""
        self.say("-- " + text)

    def client(self, name="a", **kw):
        c = ScriptClient(self, name, **kw)
        self.clients.append(c)
        return c

    def made_root(self, name="a", **kw):
        """A client, and this script's own node."""
        c = self.client(name, **kw)
        assert c.create(self.root, b"root").err == 0
        return c

    def finish(self):
        """Close what the script left open, unwritten, so that nothing of it
        (a session's expiry) falls into the next script."""
        for c in self.clients:
            c.c.close()
        for sid, passwd in self.sessions.items():
            self.end_session(sid, passwd)
        self.ctl.close_session()

    def end_session(self, sid, passwd, tries=10):
        """Closes a session, if it is still there; on a loaded machine a
        connection may come to nothing."""
        for _ in range(tries):
            try:
                c = Client(self.server.host, self.server.port, sid=sid,
                           passwd=passwd)
                if c.session.timeout > 0:
                    c.close_session()
                c.close()
                return
            except (Closed, OSError):
                time.sleep(0.2)


def eq(got, want, what="value"):
    """An absolute expectation."""
    if got != want:
        raise AssertionError("%s: got %r, want %r" % (what, got, want))


__all__ = ["Script", "ScriptClient", "Result", "Closed", "eq", "show_path",
           "show_acls", "OPEN_ACL", "READ_ACL", "Out"]
