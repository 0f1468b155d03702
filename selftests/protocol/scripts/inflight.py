# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that are under way when their session moves to another connection
or ends.  How many of them are done is chance; what must hold is not."""

import struct

from zktest import wire
from zktest.jute import In
from zktest.proc import wait_for
from zktest.transcript import eq
from zktest.wire import CLOSE_SESSION, CREATE, DELETE, EPHEMERAL, Client, \
    Closed, Frame, b_create, b_path_int, b_path_watch

MANY = 400


def client(t, **kw):
    """A connection; its session ends with the script, or its expiry would be
    a transaction in another one."""
    kw.setdefault("timeout", 30000)
    c = Client(t.server.host, t.server.port, **kw)
    if c.sid:
        t.sessions[c.sid] = c.passwd
    return c


def burst(c, path, flags=wire.PERSISTENT, n=MANY):
    """n creates in one write to the socket."""
    out = b""
    for i in range(n):
        c.xid += 1
        body = struct.pack(">ii", c.xid, CREATE) + b_create(
            "%s/%05d" % (path, i), flags=flags)
        out += struct.pack(">i", len(body)) + body
    c.send_raw(out)


def replies(c):
    """Those that came until the end of the connection: (xid, zxid, err)."""
    got = []
    try:
        while True:
            f = Frame(c.recv_frame())
            got.append((f.xid, f.zxid, f.err))
    except (Closed, OSError):
        return got


def children(c, path):
    """{name: Stat}"""
    names = In(c.call(wire.GET_CHILDREN, b_path_watch(path)).body).strings()
    return {n: In(c.call(wire.EXISTS, b_path_watch(path + "/" + n)).body)
            .stat() for n in names}


def check_prefix(names):
    """The first ones, without a gap."""
    eq(sorted(names), ["%05d" % i for i in range(len(names))])


def t_session_moves(t):
    """What the old connection had under way is done up to some request, in
    order, before what the new one asks for."""
    t.made_root("a")
    for k in range(5):
        p = "%s/%d" % (t.root, k)
        old = client(t)
        old.call(CREATE, b_create(p))
        burst(old, p)
        if k % 2:
            old.reply()
        new = client(t, sid=old.sid, passwd=old.passwd)
        eq(new.sid, old.sid)
        first = new.call(CREATE, b_create(p + "/new"))
        eq(first.err, 0)
        came = replies(old)
        eq([x for x in came if x[2]], [], "errors")
        eq([x[0] for x in came], list(range(2 + k % 2, 2 + k % 2 +
                                            len(came))), "xids")
        stats = children(new, p)
        mine = stats.pop("new")
        check_prefix(stats)
        assert len(stats) >= len(came), "answered, but not done"
        assert all(s.czxid < mine.czxid for s in stats.values()), \
            "done behind the new connection's request"
        eq(new.call(DELETE, b_path_int(p + "/new", -1)).err, 0)
        new.close_session()
        old.close()
    t.say("held")


def t_session_moves_and_ends(t):
    """No ephemeral is left by requests of the connection before."""
    a = t.made_root("a")
    for k in range(5):
        p = "%s/%d" % (t.root, k)
        a.create(p)
        old = client(t)
        burst(old, p, EPHEMERAL)
        new = client(t, sid=old.sid, passwd=old.passwd)
        new.send(CLOSE_SESSION)
        new.reply()
        replies(old)
        replies(new)
        eq(a.children(p).children, [])
        eq(client(t, sid=old.sid, passwd=old.passwd).sid, 0, "session")
        old.close()
        new.close()
        del t.lines[:]
    t.say("held")


def t_ends_behind_many(t):
    """closeSession behind many writes: all of them are done and answered,
    and their ephemerals are gone."""
    a = t.made_root("a")
    c = client(t)
    burst(c, t.root, EPHEMERAL)
    c.send(CLOSE_SESSION)
    came = replies(c)
    eq(len(came), MANY + 1)
    eq([x[2] for x in came], [0] * (MANY + 1))
    eq([x[1] for x in came], list(range(came[0][1], came[0][1] + MANY + 1)),
       "zxids")
    eq(a.children(t.root).children, [])


def t_connection_cut(t):
    """Writes of a client that went away are done up to some request, and
    its session goes on."""
    a = t.made_root("a")
    for k in range(4):
        p = "%s/%d" % (t.root, k)
        a.create(p)
        c = client(t)
        burst(c, p, EPHEMERAL)
        if k % 2:
            c.reply()
        c.close()
        again = client(t, sid=c.sid, passwd=c.passwd)
        eq(again.sid, c.sid)
        eq(again.call(wire.SYNC, wire.b_path("/")).err, 0)
        stats = children(again, p)
        check_prefix(stats)
        eq({s.ephemeral_owner for s in stats.values()} <= {c.sid}, True)
        again.close_session()
        del t.lines[:]
        eq(a.children(p).children, [])
    del t.lines[:]
    t.say("held")


def t_expires_with_writes_behind(t):
    """A client that is silent for too long and then writes: none of it is
    done, its ephemerals are gone."""
    a = t.made_root("a")
    c = client(t, timeout=3000)
    eq(c.call(CREATE, b_create(t.root + "/e", flags=EPHEMERAL)).err, 0)
    wait_for(lambda: a.c.call(wire.EXISTS, b_path_watch(t.root + "/e")).err,
             60, "the session's end")
    try:
        burst(c, t.root)
    except OSError:
        pass
    eq([x for x in replies(c) if x[2] == 0], [])
    c.close()
    had = len(t.lines)
    eq(a.children(t.root).children, [])
    del t.lines[had:]


def t_others_delete_meanwhile(t):
    """Two delete the same ephemerals: their session's end and a client."""
    a = t.made_root("a")
    for k in range(3):
        p = "%s/%d" % (t.root, k)
        a.create(p)
        c, d = client(t), client(t)
        burst(c, p, EPHEMERAL, 200)
        for _ in range(200):
            eq(c.reply().err, 0)
        for i in range(200):
            d.send(DELETE, b_path_int("%s/%05d" % (p, i), -1))
            if i == 50 + 50 * k:
                c.send(CLOSE_SESSION)
        errs = [d.reply().err for _ in range(200)]
        eq(set(errs) <= {0, wire.NO_NODE}, True)
        n = errs.count(0)
        eq(errs, [0] * n + [wire.NO_NODE] * (200 - n), "no more behind it")
        replies(c)
        c.close()
        d.close_session()
        del t.lines[:]
        eq(a.children(p).children, [])
    del t.lines[:]
    t.say("held")
