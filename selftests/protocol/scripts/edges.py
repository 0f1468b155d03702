# SPDX-License-Identifier: GPL-2.0-or-later
"""Sizes at the edge of what fits in a request, and odd text."""

import struct

from zktest import wire
from zktest.jute import ACL, OPEN_ACL, Out
from zktest.transcript import eq
from zktest.wire import CREATE, SET_DATA, b_create, b_multi, b_path_watch, \
    b_set_data

from .ahead import Sender
from .ops import who

MAX = 0xfffff       # jute.maxbuffer: of a frame, its header included


def fill(make, frame):
    """Data that makes the request's frame so long."""
    return b"x" * (frame - 8 - len(make(b"")))


def t_frame_edge(t):
    """The longest request: its data is read back, and set again."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root + "/x"

    def make(data):
        return b_create(p, data)
    data = fill(make, MAX)
    eq(a.create(p, data).err, 0)
    r = b.get(p)
    eq((r.err, r.data == data), (0, True))
    eq(b.exists(p).stat.data_length, len(data))

    def make_set(data):
        return b_set_data(p, data)
    longer = fill(make_set, MAX)
    eq(len(longer) > len(data), True, "a set has more room")
    eq(a.set(p, longer).err, 0)
    eq(len(b.get(p).data), len(longer))
    eq(b.children(t.root).children, ["x"])
    t.note("one byte more is the end of the connection")
    for op, body in ((CREATE, make(data + b"x")),
                     (SET_DATA, make_set(longer + b"x"))):
        c = t.client("c")
        c.c.send_frame(struct.pack(">ii", 1, op) + body)
        assert c.closed()
    eq(b.exists(p).stat.version, 1)


def t_frame_edge_in_multi(t):
    a = t.made_root("a")
    p = t.root + "/m"

    def make(data):
        return b_multi([(CREATE, b_create(p, data)),
                        (CREATE, b_create(p + "/n"))])
    data = fill(make, MAX)
    r = a.multi([(CREATE, b_create(p, data)), (CREATE, b_create(p + "/n"))])
    eq([x[1] for x in r.results], [0, 0])
    eq(len(a.get(p).data), len(data))
    r = a.multi_read([(wire.GET_DATA, b_path_watch(p))] * 3)
    eq([len(x[2]["data"]) for x in r.results], [len(data)] * 3,
       "an answer may be longer than any request")
    c = t.client("c")
    c.c.send_frame(struct.pack(">ii", 1, wire.MULTI) + make(data + b"x"))
    assert c.closed()


def t_long_paths(t):
    """A path has no bound but the frame's."""
    a = t.made_root("a")

    def make(path):
        return b_create(t.root + "/" + path.decode())
    name = fill(make, MAX).decode()
    p = t.root + "/" + name
    eq(a.create(p).err, 0)
    eq(a.exists(p).err, 0)
    eq(a.set(p, b"").err, 0)
    eq(a.children(t.root).children, [name])
    eq(a.create(p[:-10], flags=wire.SEQ).err, 0)
    eq(a.create(p[:-3] + "/x").err, wire.NO_NODE)
    eq(a.delete(p).err, 0)
    t.note("the sequence number makes it longer than any request")
    eq(a.create(p, flags=wire.SEQ).err, 0)
    eq(len(a.children(t.root).children), 2)


def t_many_children(t):
    """A list that is longer than any request."""
    a = t.made_root("a")
    name = "n" * 2000
    for k in range(8):
        a.multi([(CREATE, b_create("%s/%s%d-%d" % (t.root, name, k, i)))
                 for i in range(100)])
    r = a.children2(t.root)
    eq((len(r.children), r.stat.num_children), (800, 800))
    eq(len(a.children(t.root, watch=True).children), 800)
    t.lines[:] = [x for x in t.lines if "children=" not in x]


def t_long_acl(t):
    a = t.made_root("a")
    acl = [ACL(1 + i % 31, "ip", "10.%d.%d.%d" % (
        i >> 16, i >> 8 & 255, i & 255)) for i in range(3000)]
    eq(a.create(t.root + "/x", acl=acl + OPEN_ACL).err, 0)
    eq(a.get_acl(t.root + "/x").acl, acl + OPEN_ACL)
    eq(a.set_acl(t.root + "/x", acl[:1] * 20000 + OPEN_ACL).err, 0)
    eq(a.get_acl(t.root + "/x").acl, acl[:1] + OPEN_ACL)


def t_null_vectors(t):
    """null lists, and lists whose members are null."""
    a = t.made_root("a")
    p = t.root
    eq(a.create(p + "/x", acl=None).err, wire.INVALID_ACL)
    eq(a.set_acl(p, None).err, wire.INVALID_ACL)
    for acl in ([ACL(31, None, None)], [ACL(31, "world", None)],
                [ACL(31, "auth", None)], [ACL(31, "ip", None)],
                [ACL(31, "x509", None)], [ACL(31, "world", "")],
                OPEN_ACL + [ACL(31, None, None)],
                OPEN_ACL + [ACL(31, "digest", None)],
                [ACL(31, "digest", None)] * 2 + OPEN_ACL,
                OPEN_ACL * 3, OPEN_ACL + [ACL(31, "world", "all")]):
        a.create(p + "/x", acl=acl)
        a.set_acl(p, acl)
        a.multi([(CREATE, b_create(p + "/y", acl=acl))])
        a.get_acl(p)
    for n in (-1, -2, -3, 1 << 30, -(1 << 31)):
        body = Out().string(p + "/n%d" % n).buffer(b"").int(n).int(0).bytes()
        a.call(CREATE, body, "%d ACLs" % n)
    a.children(p)


def t_null_data(t):
    """null stays null, in every op that has data."""
    a = t.made_root("a")
    p = t.root
    for op, flags in ((CREATE, 0), (wire.CREATE2, 0), (CREATE, 1),
                      (wire.CREATE_CONTAINER, 4)):
        path = "%s/%d-%d" % (p, op, flags)
        eq(a.create(path, None, flags=flags, op=op).err, 0)
        eq(a.get(path).data, None)
        eq(a.set(path, b"x").stat.version, 1)
        eq(a.set(path, None).stat.data_length, 0)
        eq(a.get(path).data, None)
    a.multi([(CREATE, b_create(p + "/m", None)),
             (SET_DATA, b_set_data(p + "/m", None))])
    eq(a.get(p + "/m").data, None)
    r = a.multi_read([(wire.GET_DATA, b_path_watch(p + "/m"))])
    eq(r.results[0][2]["data"], None)


UTF8 = (
    "\u00e9", "e\u0301", "\u0080", "\u009f", "\u00a0", "\u07ff", "\u0800",
    "\u2028", "\u202e", "\u3042", "\ud7ff", "\ue000", "\uf8ff", "\uf900",
    "\ufeff", "\ufffd", "\uffef", "\ufff0", "\uffff", "\U00010000",
    "\U0001f600", "\U0010ffff", "\x7f", "\x1f", " ", "\t", "%00", "~",
    "...", ". ", " .", "..x", "\\", "a:b", "\u0130", "\u00df",
)
RAW = (
    b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc2", b"\xe0\x80\x80",
    b"\xe0\x9f\xbf", b"\xe0\xa0", b"\xed\xa0\x80", b"\xed\xbf\xbf",
    b"\xed\xa0\xbd\xed\xb8\x80", b"\xef\xbf\xbd", b"\xf0\x80\x80\x80",
    b"\xf0\x9f\x98", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff",
    b"a\xffb", b"\xe3\x81", b"\xf8\x88\x80\x80\x80",
)


def t_odd_names(t):
    """As a node's name, alone, at the end and at the beginning of one, and
    as a parent's."""
    a = t.made_root("a")
    s = Sender(t, a)
    root = t.root.encode()
    for text in UTF8 + RAW:
        if isinstance(text, str):
            text = text.encode("utf-8", "surrogatepass")
        for name in (text, b"x" + text, text + b"x"):
            p = root + b"/" + name
            s.add(CREATE, b_create(p, name), "create %r" % p)
            s.add(CREATE, b_create(p + b"/c"), "child")
            s.add(CREATE, b_create(p + b"/s", flags=wire.SEQ), "sequence")
            s.add(wire.SYNC, wire.b_path(p), "sync", lambda f: f.body.hex())
            for op in (wire.EXISTS, wire.GET_DATA, wire.GET_CHILDREN):
                s.add(op, b_path_watch(p), "read %d" % op)
            s.add(SET_DATA, b_set_data(p, b""), "set")
            s.add(wire.DELETE, wire.b_path_int(p, -1), "delete")
    s.drain()
    a.children(t.root)
    a.call(wire.GET_ALL_CHILDREN_NUMBER, wire.b_path(t.root))


def t_odd_acl_ids(t):
    """What is no UTF-8 is replaced when it is read, in an ACL as well."""
    a = t.made_root("a")
    for i, raw in enumerate(RAW):
        if b"\xf0\x9f" in raw:
            continue
        p = "%s/n%d" % (t.root, i)
        for scheme, ident in ((b"digest", b"u" + raw + b":" + raw),
                              (b"digest", raw + b":x"), (raw, b"u:p")):
            acl = [ACL(31, "world", "anyone"), ACL(31, scheme, ident)]
            a.create(p, acl=acl)
            a.get_acl(p)
            a.set_acl(p, acl[::-1])
            a.get_acl(p)


def t_odd_users(t):
    """A user of such a name, and what "auth" makes of it."""
    a = t.made_root("a")
    for i, raw in enumerate(RAW[:9] + RAW[16:18]):
        b = t.client("b")
        p = "%s/n%d" % (t.root, i)
        eq(b.auth("digest", raw + b":pw" + raw).err, 0)
        eq(b.create(p, acl=[ACL(31, "auth", "")]).err, 0)
        b.get_acl(p)
        eq(a.get(p).err, wire.NO_AUTH)
        who(b)
        c = t.client("c")
        c.auth("digest", b"\xef\xbf\xbd:pw" + b"\xef\xbf\xbd")
        c.get(p)
        b.delete(p)
        b.close()
        c.close()
