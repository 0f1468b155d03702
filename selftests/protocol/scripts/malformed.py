# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that are cut, too long, or of no known kind."""

import struct

from zktest import wire
from zktest.jute import Out
from zktest.transcript import eq
from zktest.wire import MARSHALLING, UNIMPLEMENTED


def bodies(p):
    """One good body of each operation, on nodes that make it succeed."""
    return (
        ("create", wire.CREATE, wire.b_create(p + "/new")),
        ("create2", wire.CREATE2, wire.b_create(p + "/new")),
        ("createContainer", wire.CREATE_CONTAINER,
         wire.b_create(p + "/new", flags=4)),
        ("createTTL", wire.CREATE_TTL, wire.b_create_ttl(p + "/new")),
        ("delete", wire.DELETE, wire.b_path_int(p + "/x", -1)),
        ("exists", wire.EXISTS, wire.b_path_watch(p)),
        ("getData", wire.GET_DATA, wire.b_path_watch(p)),
        ("setData", wire.SET_DATA, wire.b_set_data(p, b"data")),
        ("getACL", wire.GET_ACL, wire.b_path(p)),
        ("setACL", wire.SET_ACL, wire.b_set_acl(p, wire.OPEN_ACL)),
        ("getChildren", wire.GET_CHILDREN, wire.b_path_watch(p)),
        ("getChildren2", wire.GET_CHILDREN2, wire.b_path_watch(p)),
        ("sync", wire.SYNC, wire.b_path(p)),
        ("multi", wire.MULTI, wire.b_multi(
            [(wire.CREATE, wire.b_create(p + "/new")),
             (wire.CHECK, wire.b_path_int(p, -1))])),
        ("multiRead", wire.MULTI_READ, wire.b_multi(
            [(wire.GET_DATA, wire.b_path_watch(p))])),
        ("setWatches", wire.SET_WATCHES, wire.b_set_watches(
            0, [p + "/a"], [p + "/b"], [p + "/c"])),
        ("setWatches2", wire.SET_WATCHES2, wire.b_set_watches2(
            0, [p + "/a"], [p + "/b"], [p + "/c"], [p], [p])),
        ("addWatch", wire.ADD_WATCH, wire.b_path_int(p, 0)),
        ("checkWatches", wire.CHECK_WATCHES, wire.b_path_int(p, 3)),
        ("removeWatches", wire.REMOVE_WATCHES, wire.b_path_int(p, 3)),
    )


def t_cut(t):
    """Every operation, its body cut at every fourth byte and at its end."""
    a = t.made_root("a")
    a.create(t.root + "/x")
    for name, op, body in bodies(t.root):
        cuts = sorted(set(range(0, len(body), 4)) | {len(body) - 1})
        for n in cuts:
            r = a.call(op, body[:n], "%s[:%d]" % (name, n))
            eq((r.err, r.body), (MARSHALLING, b""), "%s[:%d]" % (name, n))
    eq(a.children(t.root).children, ["x"])
    eq(a.get(t.root).stat.version, 0)


def t_trailing(t):
    """Bytes after a body do not matter."""
    a = t.made_root("a")
    a.create(t.root + "/x")
    for name, op, body in bodies(t.root):
        r = a.call(op, body + b"trailing", name)
        want = {"createTTL": UNIMPLEMENTED, "create2": 0,
                "createContainer": wire.NODE_EXISTS}
        if name in ("create2", "createContainer"):
            a.delete(t.root + "/new")
            continue
        if name in ("multi", "checkWatches", "removeWatches"):
            continue
        eq(r.err, want.get(name, 0), name)


def t_lengths(t):
    """Lengths that cannot be."""
    a = t.made_root("a")
    path = Out().string(t.root + "/x").bytes()
    for n in (-2, -2 ** 31, 2 ** 31 - 1, 0x200000, 1000):
        bad = struct.pack(">i", n)
        for name, op, body in (
                ("path", wire.GET_DATA, bad + b"/x\0"),
                ("path of create", wire.CREATE, bad + b"/x"),
                ("data", wire.CREATE, path + bad + b"abc"),
                ("data of set", wire.SET_DATA, path + bad + b"abc"),
                ("path of sync", wire.SYNC, bad + b"/x"),
                ("scheme", wire.CREATE, path + struct.pack(
                    ">iii", 0, 1, 31) + bad + b"world")):
            r = a.call(op, body, "%s %d" % (name, n))
            eq((r.err, r.body), (MARSHALLING, b""), "%s %d" % (name, n))
    t.note("counts")
    for n in (2 ** 31 - 1, 1000):
        for name, op, body in (
                ("acls", wire.CREATE, path + struct.pack(">ii", 0, n)),
                ("acls of setACL", wire.SET_ACL, path + struct.pack(">i", n)),
                ("watches", wire.SET_WATCHES, struct.pack(">qi", 0, n))):
            r = a.call(op, body, "%s %d" % (name, n))
            eq((r.err, r.body), (MARSHALLING, b""), "%s %d" % (name, n))
    t.note("a negative count is an empty list")
    r = a.call(wire.CREATE, path + struct.pack(">iii", 0, -5, 0))
    eq(r.err, wire.INVALID_ACL)
    r = a.call(wire.SET_WATCHES, struct.pack(">qiii", 0, -5, -6, -7))
    eq(r.err, 0)
    eq(a.children(t.root).children, [])


def t_null_lists(t):
    a = t.made_root("a")
    r = a.call(wire.SET_WATCHES, struct.pack(">qiii", 0, -1, -1, -1))
    eq(r.err, MARSHALLING)
    r = a.call(wire.SET_WATCHES2, struct.pack(">qiiiii", 0, 0, 0, 0, -1, 0))
    eq(r.err, MARSHALLING)


def t_bools(t):
    """Any byte but 0 is true."""
    a = t.made_root("a")
    b = t.client("b")
    b.call(wire.GET_DATA, wire.b_path(t.root) + b"\x02")
    a.set(t.root, b"")
    eq(b.fence(), [(3, 3, t.root)])


def t_unknown_operations(t):
    """-6 with zxid -1, and the connection ends; the session does not.

    Not for a test to ask for is createSession, -10: 3.8 takes it from clients.
    It answers with a second connect response that names the session's old
    timeout, logs a createSession with whatever timeout the body's first int
    holds, and expires the session by it: at once if it is negative, long after
    maxSessionTimeout if it is huge, and so again after a restart.  (With a body
    of less than four bytes it answers -5.)  zkernd treats it as unknown: a
    client must not get round the bounds of its timeout."""
    for op in (0, 10, 23, 42, 99, 108, 1000, -1, -2, -12, 2 ** 31 - 1):
        a = t.client("a")
        r = a.call(op, b"", "body: none")
        eq((r.err, r.zxid, r.body), (UNIMPLEMENTED, -1, b""), op)
        assert a.closed(), "open after operation %d" % op
        b = a.reconnect("b")
        eq(b.sid, a.sid)
        b.close()


def t_check_alone(t):
    """check outside a multi, where it fails (3.8 never answers one that
    does not, which is not for a test to ask for)."""
    a = t.made_root("a")
    for p, v, err in ((t.root, 9, wire.BAD_VERSION),
                      (t.root + "/no", -1, wire.NO_NODE),
                      ("bad", 0, wire.BAD_ARGUMENTS)):
        r = a.call(wire.CHECK, wire.b_path_int(p, v), "%s v%d" % (p, v))
        eq((r.err, r.body), (err, b""))
    eq(a.exists(t.root).err, 0)


def t_reconfig(t):
    """Off by default."""
    a = t.client("a")
    r = a.call(wire.RECONFIG, Out().string("").string("").string(None)
               .long(-1).bytes())
    eq(r.err, -123)


def t_short_frames(t):
    """A frame without a whole header ends the connection."""
    for n in (0, 1, 4, 7):
        a = t.client("a")
        a.c.send_frame(b"\0" * n)
        assert a.closed(), "open after a frame of %d bytes" % n


def t_bad_frame_lengths(t):
    for n in (-1, -2 ** 31, 0x100000, 2 ** 31 - 1, 0x72756f6b):
        a = t.client("a")
        a.c.send_raw(struct.pack(">i", n))
        assert a.closed(), "open after a frame length of %d" % n


def t_auth_cut(t):
    """auth is read before the pipeline: what is cut ends the connection."""
    body = wire.b_auth("digest", b"u:p")
    for n in range(0, len(body), 3):
        a = t.client("a")
        a.send(wire.AUTH, body[:n], "[:%d]" % n)
        assert a.closed(), "open after an auth of %d bytes" % n


def t_xids(t):
    """Any xid comes back as it was."""
    a = t.made_root("a")
    for xid in (0, -3, 2 ** 31 - 1, -2 ** 31, 7, 7):
        eq(a.call(wire.EXISTS, wire.b_path_watch(t.root), xid=xid).xid, xid)


def t_garbage(t):
    """Random bytes: the server lives, others are served."""
    import random
    rnd = random.Random(20)
    a = t.made_root("a")
    for i in range(60):
        conn = wire.Conn(t.server.host, t.server.port)
        if i % 2:
            conn.send_frame(wire.connect_request(1000))
            r = wire.ConnectResponse(conn.recv_frame())
            t.sessions[r.sid] = r.passwd
        try:
            for _ in range(5):
                n = rnd.randrange(1, 60)
                head = struct.pack(">iii", n + 8, i, rnd.choice(
                    (1, 2, 3, 4, 5, 7, 12, 14, 15, 101, 105, 106)))
                conn.send_raw(head + rnd.randbytes(n))
            if rnd.random() < 0.5:
                conn.send_raw(rnd.randbytes(rnd.randrange(1, 500)))
        except OSError:
            pass
        conn.close()
    eq(a.exists(t.root).err, 0)
    # what the random requests did differs in zxids only; not compared
    del t.lines[:]
    t.say("served after garbage")
