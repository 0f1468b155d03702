# SPDX-License-Identifier: GPL-2.0-or-later
"""multi and multiRead: all or nothing, and the shape of each answer."""

import struct

from zktest import wire
from zktest.jute import ACL
from zktest.transcript import eq
from zktest.wire import (CHECK, CREATE, CREATE2, CREATE_CONTAINER, DELETE,
                         GET_CHILDREN, GET_DATA, SET_DATA, b_create,
                         b_path_int, b_path_watch, b_set_data)


def create(path, data=b"", **kw):
    return (CREATE, b_create(path, data, **kw))


def delete(path, version=-1):
    return (DELETE, b_path_int(path, version))


def check(path, version=-1):
    return (CHECK, b_path_int(path, version))


def set_data(path, data, version=-1):
    return (SET_DATA, b_set_data(path, data, version))


def codes(r):
    return [x[1] for x in r.results]


def t_success(t):
    a = t.made_root("a")
    p = t.root
    a.create(p + "/old")
    r = a.multi([create(p + "/x", b"1"),
                 (CREATE2, b_create(p + "/y", b"22")),
                 (CREATE_CONTAINER, b_create(p + "/c", flags=4)),
                 create(p + "/s", flags=wire.SEQ),
                 create(p + "/e", flags=wire.EPHEMERAL),
                 check(p + "/x", 0),
                 set_data(p + "/x", b"new", 0),
                 check(p + "/x", 1),
                 delete(p + "/old")])
    eq(r.err, 0)
    eq([x[0] for x in r.results],
       [CREATE, CREATE, CREATE2, CREATE, CREATE, CHECK, SET_DATA, CHECK,
        DELETE], "types of the results: in 3.8 create2 is answered as create")
    eq(codes(r), [0] * 9)
    st = a.exists(p + "/x").stat
    eq((st.czxid, st.mzxid, st.version), (r.zxid, r.zxid, 1))
    for n in "y", "c", "e":
        eq(a.exists(p + "/" + n).stat.czxid, r.zxid)
    eq(a.exists(p + "/old").err, wire.NO_NODE)
    eq(a.exists(p + "/e").stat.ephemeral_owner, a.sid)


def t_empty(t):
    a = t.made_root("a")
    r = a.multi([])
    eq((r.err, r.results), (0, []))
    z = r.zxid
    eq(a.zxid(), z)


def t_depends_on_itself(t):
    """Later parts see the earlier ones."""
    a = t.made_root("a")
    p = t.root
    r = a.multi([create(p + "/x"), create(p + "/x/y"), create(p + "/x/y/z"),
                 delete(p + "/x/y/z"), delete(p + "/x/y"), delete(p + "/x"),
                 create(p + "/x", b"again")])
    eq(codes(r), [0] * 7)
    st = a.get(p + "/x").stat
    eq((st.cversion, st.num_children), (0, 0))
    r = a.multi([create(p + "/s", flags=wire.SEQ),
                 create(p + "/s", flags=wire.SEQ)])
    eq([x[2]["path"] for x in r.results],
       [p + "/s0000000002", p + "/s0000000003"])


FAILURES = (
    ("no node", lambda p: set_data(p + "/no", b""), wire.NO_NODE),
    ("delete no node", lambda p: delete(p + "/no"), wire.NO_NODE),
    ("check no node", lambda p: check(p + "/no"), wire.NO_NODE),
    ("no parent", lambda p: create(p + "/no/x"), wire.NO_NODE),
    ("exists", lambda p: create(p + "/a"), wire.NODE_EXISTS),
    ("exists, made here", lambda p: create(p + "/new"), wire.NODE_EXISTS),
    ("set version", lambda p: set_data(p + "/a", b"", 9), wire.BAD_VERSION),
    ("check version", lambda p: check(p + "/a", 9), wire.BAD_VERSION),
    ("delete version", lambda p: delete(p + "/a", 9), wire.BAD_VERSION),
    ("not empty", lambda p: delete(p + "/full"), wire.NOT_EMPTY),
    ("bad path", lambda p: create("no-slash"), wire.BAD_ARGUMENTS),
    ("bad path of set", lambda p: set_data(p + "/", b""),
     wire.BAD_ARGUMENTS),
    ("bad flags", lambda p: create(p + "/f", flags=9), wire.BAD_ARGUMENTS),
    ("ttl", lambda p: (wire.CREATE_TTL, wire.b_create_ttl(p + "/f")),
     wire.UNIMPLEMENTED),
    ("no acl", lambda p: create(p + "/f", acl=[]), wire.INVALID_ACL),
    ("no permission", lambda p: create(p + "/shut/x"), wire.NO_AUTH),
    ("ephemeral parent", lambda p: create(p + "/eph/x"),
     wire.NO_CHILDREN_FOR_EPHEMERALS),
)


def t_kind_follows_flags(t):
    """In a multi the flags alone say what is made, not the operation."""
    a = t.made_root("a")
    p = t.root
    for op in (CREATE, CREATE2, CREATE_CONTAINER):
        for flags in (0, 4):
            r = a.multi([(op, b_create("%s/n%d-%d" % (p, op, flags),
                                       flags=flags))])
            eq([x[:2] for x in r.results],
               [(CREATE2 if flags == 4 else CREATE, 0)])


def t_failures(t):
    """One part fails: 0 for those before, -2 for those after."""
    a = t.made_root("a")
    p = t.root
    a.create(p + "/a")
    a.create(p + "/full")
    a.create(p + "/full/x")
    a.create(p + "/shut", acl=[ACL(1, "world", "anyone")])
    a.create(p + "/eph", flags=wire.EPHEMERAL)
    before = a.children2(p)
    for name, make, err in FAILURES:
        t.note(name)
        r = a.multi([create(p + "/new"), set_data(p + "/a", b"x"), make(p),
                     create(p + "/new2"), check(p + "/no")])
        eq(r.err, 0, "the header's error: " + name)
        eq(r.results, [(-1, 0, 0), (-1, 0, 0), (-1, err, err),
                       (-1, wire.RUNTIME_INCONSISTENCY,
                        wire.RUNTIME_INCONSISTENCY),
                       (-1, wire.RUNTIME_INCONSISTENCY,
                        wire.RUNTIME_INCONSISTENCY)], name)
    after = a.children2(p)
    eq(sorted(after.children), sorted(before.children))
    eq(after.stat, before.stat, "nothing of them is left")
    eq(a.get(p + "/a").stat.version, 0)


def t_failure_first_and_last(t):
    a = t.made_root("a")
    p = t.root
    eq(codes(a.multi([check(p + "/no")])), [wire.NO_NODE])
    eq(codes(a.multi([check(p + "/no"), create(p + "/x")])),
       [wire.NO_NODE, wire.RUNTIME_INCONSISTENCY])
    eq(codes(a.multi([create(p + "/x"), check(p + "/no")])),
       [0, wire.NO_NODE])
    z = a.zxid()
    r = a.multi([check(p + "/no")])
    eq(r.zxid, z + 1, "a failed multi has a zxid")


def t_failure_leaves_pipeline_clean(t):
    """Sequence numbers and versions after one that was rolled back."""
    a = t.made_root("a")
    p = t.root
    a.create(p + "/v")
    body = [(wire.MULTI, wire.b_multi([create(p + "/s", flags=wire.SEQ),
                                       set_data(p + "/v", b"1"),
                                       check(p + "/no")])),
            (CREATE, b_create(p + "/s", flags=wire.SEQ)),
            (SET_DATA, b_set_data(p + "/v", b"2", 0)),
            (wire.MULTI, wire.b_multi([delete(p + "/v"), check(p + "/no")])),
            (SET_DATA, b_set_data(p + "/v", b"3", 1))]
    for op, b in body:
        a.send(op, b)
    r = [a.reply() for _ in body]
    eq([x.err for x in r], [0] * 5)
    eq(r[1].path, p + "/s0000000001")
    eq(r[4].stat.version, 2)


def t_no_session_side_effects(t):
    """An ephemeral of a multi that failed is nobody's."""
    a = t.made_root("a")
    b = t.client("b")
    b.multi([create(t.root + "/e", flags=wire.EPHEMERAL),
             check(t.root + "/no")])
    b.close()
    eq(a.children2(t.root).children, [])


def t_malformed(t):
    """Kinds of operations that a multi cannot hold, broken headers."""
    a = t.made_root("a")
    p = t.root
    good = wire.b_multi([create(p + "/x")])
    for name, body in (
            ("a read and a write", wire.b_multi(
                [create(p + "/x"), (GET_DATA, b_path_watch(p))])),
            ("a read alone", wire.b_multi([(GET_DATA, b_path_watch(p))])),
            ("setACL", wire.b_multi(
                [(wire.SET_ACL, wire.b_set_acl(p, wire.OPEN_ACL))])),
            ("ping", wire.b_multi([(wire.PING, b"")])),
            ("multi in multi", wire.b_multi([(wire.MULTI, good)])),
            ("type -1, not done", wire.b_multi([(-1, b"")])),
            ("no end", good[:-9]),
            ("cut", good[:20]),
            ("nothing", b"")):
        r = a.call(wire.MULTI, body, name)
        eq((r.err, r.body), (wire.MARSHALLING, b""), name)
    eq(a.children(p).children, [])
    t.note("the end's type and error do not matter, nor what follows")
    a.call(wire.MULTI, good[:-9] + struct.pack(">iBi", 5, 1, 7) + b"junk")
    eq(a.children(p).children, ["x"])


def t_null_path(t):
    a = t.made_root("a")
    for op in (create(None), delete(None), check(None)):
        r = a.multi([create(t.root + "/x"), op])
        eq(r.err, wire.MARSHALLING)
    # 3.8 uses up a zxid that no transaction has, and answers with an empty
    # list besides: neither is for anyone to rely on
    del t.lines[:]
    eq(a.children(t.root).children, [])
    del t.lines[:]


def t_one_event_each(t):
    """Watches fire once, in the order of the parts."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    a.create(p + "/v")
    a.create(p + "/d")
    b.children(p, watch=True)
    b.get(p + "/v", watch=True)
    b.get(p + "/d", watch=True)
    b.exists(p + "/n", watch=True)
    a.multi([set_data(p + "/v", b"1"), create(p + "/n"), delete(p + "/d"),
             set_data(p + "/v", b"2")])
    eq(b.fence(), [(3, 3, p + "/v"), (1, 3, p + "/n"), (4, 3, p),
                   (2, 3, p + "/d")])


def t_failed_multi_fires_nothing(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    b.get(p, watch=True)
    b.children(p, watch=True)
    b.exists(p + "/x", watch=True)
    a.multi([set_data(p, b"x"), create(p + "/x"), check(p + "/no")])
    eq(b.fence(), [])


def t_big(t):
    a = t.made_root("a")
    p = t.root
    r = a.multi([create("%s/n%04d" % (p, i), b"x" * 100)
                 for i in range(2000)])
    eq(codes(r), [0] * 2000)
    r = a.multi([delete("%s/n%04d" % (p, i)) for i in range(2000)])
    eq(codes(r), [0] * 2000)
    eq(a.exists(p).stat.num_children, 0)


def t_read(t):
    a = t.made_root("a")
    p = t.root
    a.create(p + "/x", b"data")
    a.create(p + "/null", None)
    r = a.multi_read([(GET_DATA, b_path_watch(p + "/x")),
                      (GET_CHILDREN, b_path_watch(p)),
                      (GET_DATA, b_path_watch(p + "/no")),
                      (GET_DATA, b_path_watch(p + "/null")),
                      (GET_CHILDREN, b_path_watch(p + "/no")),
                      (GET_CHILDREN, b_path_watch(p + "/x"))])
    eq(r.err, 0)
    eq([(x[0], x[1]) for x in r.results],
       [(GET_DATA, 0), (GET_CHILDREN, 0), (-1, wire.NO_NODE), (GET_DATA, 0),
        (-1, wire.NO_NODE), (GET_CHILDREN, 0)])
    eq(r.results[0][2]["data"], b"data")
    eq(r.results[3][2]["data"], None)
    z = a.zxid()
    eq(a.multi_read([]).zxid, z, "a read has no zxid of its own")


def t_read_sets_no_watch(t):
    a = t.made_root("a")
    b = t.client("b")
    b.multi_read([(GET_DATA, b_path_watch(t.root, True)),
                  (GET_CHILDREN, b_path_watch(t.root, True))])
    a.set(t.root, b"x")
    a.create(t.root + "/x")
    eq(b.fence(), [])


def t_read_malformed(t):
    a = t.made_root("a")
    for name, ops in (
            ("write", [create(t.root + "/x")]),
            ("exists", [(wire.EXISTS, b_path_watch(t.root))]),
            ("null", [(GET_DATA, b_path_watch(None))]),
            ("good, null", [(GET_DATA, b_path_watch(t.root)),
                            (GET_DATA, b_path_watch(None))]),
            ("mixed", [(GET_DATA, b_path_watch(t.root)),
                       create(t.root + "/x")])):
        r = a.call(wire.MULTI_READ, wire.b_multi(ops), name)
        eq(r.err, wire.MARSHALLING, name)
        # 3.8 may send the results it had: clients do not read them
        t.lines[-1] = t.lines[-1].split(" body=")[0]
    eq(a.children(t.root).children, [])
