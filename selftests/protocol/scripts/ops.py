# SPDX-License-Identifier: GPL-2.0-or-later
"""Operations that few clients use, and codes that none should."""

import struct

from zktest import wire
from zktest.jute import ACL, Out
from zktest.transcript import eq
from zktest.wire import EPHEMERAL, EPHEMERAL_SEQ


def who(c, body=b""):
    """Java's order depends on the client's address, so it is not written
    down."""
    r = c.call(wire.WHO_AM_I, body)
    eq(("ip", c.t.server.client_ip) in r.who, True)
    rest = sorted(x for x in r.who if x[0] != "ip")
    c.t.lines[-1] = "%s= who_am_i err=%d %s" % (c.name, r.err, rest)
    return r


def ephemerals(c, prefix):
    return c.call(wire.GET_EPHEMERALS, wire.b_path(prefix), repr(prefix))


def number(c, path):
    return c.call(wire.GET_ALL_CHILDREN_NUMBER, wire.b_path(path), repr(path))


def t_sasl(t):
    """A server without a login answers with an empty token, whatever the
    client sends, and goes on."""
    a = t.made_root("a")
    for token in (b"", b"abc", b"\0user\0password", b"x" * 5000):
        xid = a.send(wire.SASL, Out().buffer(token).bytes())
        r = a.reply()
        eq((r.xid, r.zxid, r.err), (xid, 0, 0))
        t.say(r.body.hex())
    eq(a.call(wire.SASL, Out().buffer(b"x").bytes() + b"more").err, 0)
    eq(a.exists(t.root).err, 0)


def t_sasl_cut(t):
    for body in (b"", b"\0\0", b"\0\0\0\5ab", struct.pack(">i", -1),
                 struct.pack(">i", -2), struct.pack(">i", 1 << 30)):
        a = t.client("a")
        a.send(wire.SASL, body, body.hex())
        assert a.closed()


def t_who_am_i(t):
    a = t.client("a")
    eq(who(a).err, 0)
    z = a.zxid()
    a.auth("digest", b"me:pw")
    eq(("digest", "me") in who(a).who, True)
    a.auth("digest", b"nopw")
    a.auth("digest", b"")
    a.auth("digest", b"a:b:c")
    a.auth("digest", b"me:pw")
    a.auth("digest", b"me:other")
    a.auth("digest", "käse:x".encode())
    a.auth("digest", b"\xff:x")
    a.auth("ip", b"10.0.0.1")
    r = who(a)
    eq(r.zxid, z)
    eq(who(a, b"what is here is not looked at").err, 0)


def t_ephemerals(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    eq(ephemerals(a, p).paths, [])
    for n in ("/e", "/ee", "/f"):
        a.create(p + n, flags=EPHEMERAL)
    a.create(p + "/s", flags=EPHEMERAL_SEQ)
    a.create(p + "/plain")
    b.create(p + "/of-b", flags=EPHEMERAL)
    z = a.zxid()
    for prefix in (p, p + "/e", p + "/", p + "/ee", p + "/no", "/", "", " ",
                   " / ", "\t", None, "no-slash", "//", p + "/e/", p[:3],
                   " " + p, p + " ", "\u00a0", "\u2003/"):
        r = ephemerals(a, prefix)
        eq((r.err, r.zxid), (0, z), prefix)
    eq(ephemerals(b, p).paths, [p + "/of-b"])
    a.delete(p + "/ee")
    eq(len(ephemerals(a, p).paths), 3)
    for cut in (b"", b"\0", b"\0\0\0\4/a", struct.pack(">i", -2)):
        eq(a.call(wire.GET_EPHEMERALS, cut).err, wire.MARSHALLING)


def t_ephemerals_unreadable(t):
    """Nobody's permission is asked."""
    a = t.made_root("a")
    a.create(t.root + "/e", flags=EPHEMERAL, acl=[ACL(2, "world", "anyone")])
    eq(ephemerals(a, t.root).paths, [t.root + "/e"])
    a.set_acl(t.root + "/e", wire.OPEN_ACL)


def t_all_children_number(t):
    a = t.made_root("a")
    p = t.root
    eq(number(a, p).number, 0)
    for n in ("/x", "/x/1", "/x/1/2", "/x/1/2/3", "/y", "/xx"):
        a.create(p + n)
    eq(number(a, p).number, 6)
    eq(number(a, p + "/x").number, 3)
    eq(number(a, p + "/x/1/2/3").number, 0)
    eq(number(a, p + "/no").err, wire.NO_NODE)
    root, empty = number(a, "/").number, number(a, "").number
    # they grow with what other scripts have left
    for line in (-1, -3):
        t.lines[line] = "a= number of all"
    eq(empty, root + 1)
    for path in (p + "/", "/" + p, "x", None, p + "\0", "/..", p + "/."):
        number(a, path)
    a.create(p + "/shut", acl=[ACL(30, "world", "anyone")])
    a.create(p + "/shut/in")
    eq(number(a, p + "/shut").err, wire.NO_AUTH)
    eq(number(a, p).number, 8, "it counts what is below all the same")
    eq(a.call(wire.GET_ALL_CHILDREN_NUMBER, b"\0\0\0\4/a").err,
       wire.MARSHALLING)


def t_sync(t):
    a = t.made_root("a")
    for path in (t.root, "/", "", "/not/there", "no slash", "/a/", "/\0",
                 "/\u00e4\u20ac\U0001f600", b"/\xff\xfe", b"\xc3", None):
        r = a.sync(path)
        eq(r.err, 0, path)
    for cut in (b"", b"\0\0\0\4/a", struct.pack(">i", -2)):
        eq(a.call(wire.SYNC, cut).err, wire.MARSHALLING)
    b = t.client("b")
    a.create(t.root + "/x")
    eq(b.sync("/").zxid, a.zxid())


def t_reconfig(t):
    """Off; what does not parse is said first, and is no transaction."""
    a = t.client("a")
    z = a.zxid()
    parts = (None, "", "server.1=127.0.0.1:2888:3888;2181", "junk", "1,2")
    for joining in parts:
        for members in parts:
            z += 1
            r = a.call(wire.RECONFIG, Out().string(joining).string("7")
                       .string(members).long(-1).bytes())
            eq((r.err, r.zxid), (-123, z))
    body = Out().string("").string(None).string("x").long(5).bytes()
    for n in range(len(body)):
        r = a.call(wire.RECONFIG, body[:n])
        eq((r.err, r.zxid), (wire.MARSHALLING, z))
    eq(a.call(wire.RECONFIG, body + b"more").err, -123)
    eq(a.call(wire.MULTI, wire.b_multi([(wire.RECONFIG, body)])).err,
       wire.MARSHALLING)


def t_delete_container(t):
    """It is the server's own; from a client it is refused in any case."""
    a = t.made_root("a")
    p = t.root
    a.create(p + "/c", flags=wire.CONTAINER, op=wire.CREATE_CONTAINER)
    a.create(p + "/c/x")
    a.delete(p + "/c/x")
    a.create(p + "/p")
    z = a.zxid()
    for body in (wire.b_path(p + "/c"), (p + "/c").encode(), b"",
                 wire.b_path_int(p + "/c", -1), wire.b_path("/"),
                 wire.b_path(None)):
        r = a.call(wire.DELETE_CONTAINER, body, body[:20].hex())
        z += 1
        eq((r.err, r.zxid), (wire.BAD_ARGUMENTS, z))
    eq(a.call(wire.MULTI, wire.b_multi([
        (wire.DELETE_CONTAINER, wire.b_path(p + "/c"))])).err,
       wire.MARSHALLING)
    eq(a.exists(p + "/c").err, 0)


def t_container_alone(t):
    """createContainer with its flag: a Stat of a plain node."""
    a = t.made_root("a")
    r = a.create(t.root + "/c", b"12", flags=wire.CONTAINER,
                 op=wire.CREATE_CONTAINER)
    eq((r.err, r.stat.ephemeral_owner, r.stat.data_length), (0, 0, 2))
    eq(a.create(t.root + "/c/e", flags=EPHEMERAL).err, 0)


def t_ttl_off(t):
    """TTL nodes must be allowed by the server."""
    a = t.made_root("a")
    for op, extra in ((wire.CREATE, b""), (wire.CREATE2, b""),
                      (wire.CREATE_CONTAINER, b""),
                      (wire.CREATE_TTL, Out().long(1000).bytes()),
                      (wire.CREATE_TTL, Out().long(-1).bytes())):
        for flags in (wire.TTL, wire.TTL_SEQ, 7, -1, 1 << 30):
            for path in (t.root + "/n", "bad", None):
                r = a.call(op, wire.b_create(path, flags=flags) + extra,
                           "%s %d" % (path, flags))
                eq(r.err, wire.UNIMPLEMENTED if flags in (5, 6)
                   else wire.BAD_ARGUMENTS)
    for flags in (0, 1, 2, 3, 4):
        eq(a.call(wire.CREATE_TTL, wire.b_create_ttl(
            t.root + "/n", flags=flags, ttl=1000)).err, wire.BAD_ARGUMENTS)
    a.call(wire.CREATE_TTL, wire.b_create(t.root + "/n", flags=5))


def t_unknown(t):
    """-6 with zxid -1, and the connection ends; the session does not."""
    a = t.client("a")
    a.drop()
    for op in (0, -1, -2, -12, 10, 23, 24, 99, 108, 109, 1000, 1 << 30,
               -(1 << 31), (1 << 31) - 1):
        b = a.reconnect("b")
        r = b.call(op, b"\0" * 20)
        eq((r.err, r.zxid, r.body), (wire.UNIMPLEMENTED, -1, b""), op)
        assert b.closed()
    t.note("no body at all")
    b = a.reconnect("b")
    b.call(0)
    assert b.closed()


def t_watch_types(t):
    """Which types check and remove take, and what is there of each kind of
    watch, with and without a path that is none."""
    a = t.made_root("a")
    p = t.root
    a.create(p + "/d")
    a.create(p + "/m")

    def set_all(c):
        c.get(p + "/d", watch=True)
        c.children(p + "/d", watch=True)
        c.exists(p + "/no", watch=True)
        c.add_watch(p + "/m", wire.MODE_PERSISTENT)
        c.add_watch(p, wire.MODE_RECURSIVE)
    for op in (wire.CHECK_WATCHES, wire.REMOVE_WATCHES):
        for kind in (-1, 0, 1, 2, 3, 4, 5, 6, 1 << 30):
            b = t.client("b")
            set_all(b)
            for path in (p + "/d", p + "/no", p + "/m", p, p + "/d/x", "",
                         None):
                b.call(op, wire.b_path_int(path, kind),
                       "%s type=%d" % (path, kind))
            b.call(op, wire.b_path_int(p, kind)[:-1])
            a.set(p + "/d", b"x")
            a.set(p + "/m", b"x")
            a.create(p + "/d/x")
            a.delete(p + "/d/x")
            a.create(p + "/no")
            a.delete(p + "/no")
            b.fence()
            b.close()


def t_add_watch_modes(t):
    a = t.made_root("a")
    for mode in (-1, 0, 1, 2, 3, 1 << 30):
        for path in (t.root, "bad", "", "/", "//", t.root + "/"):
            r = a.add_watch(path, mode)
            eq(r.err, 0 if mode in (0, 1) else wire.MARSHALLING)
    a.call(wire.ADD_WATCH, wire.b_path_int(None, 0))
    a.call(wire.ADD_WATCH, wire.b_path_int(t.root, 0)[:-2])
    b = t.client("b")
    b.set(t.root, b"1")
    a.fence()


def t_auth_schemes(t):
    """Names are taken as they are; what is none ends the connection."""
    a = t.client("a")
    a.drop()
    for scheme in ("", "Digest", "digest ", "x509", "sasl", "world", "auth",
                   "super", "uid", "gid", "ip6", "digest\0", None,
                   "x" * 1000):
        b = a.reconnect("b")
        r = b.auth(scheme, b"u:p")
        eq((r.err, r.zxid), (wire.AUTH_FAILED, 0), scheme)
        assert b.closed()
    b = a.reconnect("b")
    for auth in (b"", b":", b"u", b"u:", b":p", b"\xff\xfe:\x80", b"x" * 200):
        eq(b.auth("digest", auth).err, 0)
    for auth in (b"", None, b"anything", b"1.2.3.4"):
        eq(b.auth("ip", auth).err, 0)
    t.note("type and xid do not matter")
    for kind in (-9, 0, 1, 100, 1 << 30):
        r = b.call(wire.AUTH, wire.b_auth("digest", b"u:p", kind), xid=kind)
        eq((r.err, r.xid), (0, kind))
