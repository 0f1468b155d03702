# SPDX-License-Identifier: GPL-2.0-or-later
"""create in all its forms, delete."""

from zktest import wire
from zktest.jute import ACL
from zktest.transcript import eq
from zktest.wire import CONTAINER, EPHEMERAL, EPHEMERAL_SEQ, PERSISTENT, SEQ


def t_modes(t):
    a = t.made_root("a")
    for op in (wire.CREATE, wire.CREATE2):
        n = "/%d" % op
        r = a.create(t.root + n + "p", b"data", op=op)
        eq((r.err, r.path), (0, t.root + n + "p"))
        r = a.create(t.root + n + "e", b"data", flags=EPHEMERAL, op=op)
        eq((r.err, r.path), (0, t.root + n + "e"))
        for flags in (SEQ, EPHEMERAL_SEQ):
            r = a.create(t.root + n + "s-", b"", flags=flags, op=op)
            eq(r.err, 0)
            eq(len(r.path), len(t.root + n + "s-") + 10, r.path)
    for name in sorted(a.children(t.root).children):
        r = a.get(t.root + "/" + name)
        eq(r.err, 0)
        eq(r.stat.ephemeral_owner,
           a.sid if name[-1] in "e37" else 0, name)


def t_create2_stat(t):
    a = t.made_root("a")
    r = a.create2(t.root + "/x", b"hello")
    s = r.stat
    eq((s.czxid, s.mzxid, s.pzxid), (r.zxid,) * 3)
    eq((s.version, s.cversion, s.aversion, s.ephemeral_owner, s.data_length,
        s.num_children), (0, 0, 0, 0, 5, 0))
    eq(s.ctime, s.mtime)
    eq(a.exists(t.root + "/x").stat, s)
    r = a.create2(t.root + "/e", b"", flags=EPHEMERAL)
    eq(r.stat.ephemeral_owner, a.sid)


def t_sequential_numbers(t):
    """The number is the parent's count of creates, deletes not taken off."""
    a = t.made_root("a")
    p = t.root

    def seq():
        return int(a.create(p + "/s", flags=SEQ).path[-10:])
    eq([seq(), seq()], [0, 1])
    a.create(p + "/x")
    eq(seq(), 3)
    a.delete(p + "/x")
    eq(seq(), 4)
    a.create(p + "/x")
    a.create(p + "/x")
    eq(seq(), 6, "after a create that failed")
    a.set(p, b"")
    eq(seq(), 7)
    eq(int(a.create(p + "/e", flags=EPHEMERAL_SEQ).path[-10:]), 8)
    t.note("cversion as clients see it: 2 x creates - children")
    st = a.exists(p).stat
    eq((st.num_children, st.cversion), (8, 2 * 9 - 8))


def t_sequential_bare(t):
    a = t.made_root("a")
    eq(a.create(t.root + "/", flags=SEQ).path, t.root + "/0000000000")
    a.create(t.root + "/0000000001")
    t.note("the next number is 2, past the one taken")
    eq(a.create(t.root + "/", flags=SEQ).path, t.root + "/0000000002")


def t_sequential_clash(t):
    """A sequential name that is taken fails as any other."""
    a = t.made_root("a")
    a.create(t.root + "/s0000000001")
    eq(a.create(t.root + "/s", flags=SEQ).err, wire.NODE_EXISTS)
    a.create(t.root + "/other")
    eq(a.create(t.root + "/s", flags=SEQ).path, t.root + "/s0000000002")


def t_container(t):
    a = t.made_root("a")
    r = a.create(t.root + "/c", b"x", flags=CONTAINER,
                 op=wire.CREATE_CONTAINER)
    eq((r.err, r.path), (0, t.root + "/c"))
    eq(r.stat.ephemeral_owner, 0, "owner shown for a container")
    r = a.create(t.root + "/c/child")
    eq(r.err, 0)
    eq(a.create(t.root + "/c/e", flags=EPHEMERAL).err, 0)
    eq(a.get(t.root + "/c").stat.ephemeral_owner, 0)
    eq(a.create(t.root + "/c", flags=CONTAINER,
                op=wire.CREATE_CONTAINER).err, wire.NODE_EXISTS)
    eq(a.delete(t.root + "/c").err, wire.NOT_EMPTY)


def t_ttl_disabled(t):
    """TTL nodes need zookeeper.extendedTypesEnabled, off by default."""
    a = t.made_root("a")
    for flags in (wire.TTL, wire.TTL_SEQ):
        r = a.call(wire.CREATE_TTL, wire.b_create_ttl(
            t.root + "/t", flags=flags, ttl=1000), "flags=%d" % flags)
        eq(r.err, wire.UNIMPLEMENTED)
        eq(a.create(t.root + "/t", flags=flags).err, wire.UNIMPLEMENTED)
        eq(a.create2(t.root + "/t", flags=flags).err, wire.UNIMPLEMENTED)
    r = a.call(wire.CREATE_TTL, wire.b_create_ttl(
        t.root + "/t", flags=PERSISTENT, ttl=1000), "flags=0 ttl=1000")
    eq(r.err, wire.BAD_ARGUMENTS)
    eq(a.exists(t.root + "/t").err, wire.NO_NODE)


def t_flags(t):
    a = t.made_root("a")
    for flags in (7, -1, 100, 2 ** 31 - 1, -2 ** 31):
        eq(a.create(t.root + "/x", flags=flags).err, wire.BAD_ARGUMENTS)
        eq(a.create2(t.root + "/x", flags=flags).err, wire.BAD_ARGUMENTS)
    eq(a.exists(t.root + "/x").err, wire.NO_NODE)


def t_errors(t):
    a = t.made_root("a")
    p = t.root
    a.create(p + "/e", flags=EPHEMERAL)
    eq(a.create(p).err, wire.NODE_EXISTS)
    eq(a.create2(p).err, wire.NODE_EXISTS)
    eq(a.create(p + "/no/x").err, wire.NO_NODE)
    eq(a.create(p + "/e/x").err, wire.NO_CHILDREN_FOR_EPHEMERALS)
    eq(a.create(p + "/e/x", flags=EPHEMERAL).err,
       wire.NO_CHILDREN_FOR_EPHEMERALS)
    eq(a.create(p + "/x", acl=[]).err, wire.INVALID_ACL)
    eq(a.create(p + "/x", acl=None).err, wire.INVALID_ACL)
    eq(a.create("/zookeeper", b"").err, wire.NODE_EXISTS)
    eq(a.create("/").err, wire.NODE_EXISTS)
    t.note("a failed write has a zxid of its own")
    z = a.create(p).zxid
    eq(a.create(p).zxid, z + 1)


def t_precedence(t):
    """Which error comes first."""
    a = t.made_root("a")
    p = t.root
    a.create(p + "/e", flags=EPHEMERAL)
    a.create(p + "/ro", acl=[ACL(1, "world", "anyone")])
    bad = [ACL(31, "nope", "x")]
    for path, acl, flags, want in (
            ("no-slash", bad, 99, wire.BAD_ARGUMENTS),
            ("no-slash", bad, 0, wire.BAD_ARGUMENTS),
            (p + "/no/x", bad, 0, wire.INVALID_ACL),
            (p, bad, 0, wire.INVALID_ACL),
            (p + "/ro/x", bad, 0, wire.INVALID_ACL),
            (p + "/ro/x", None, 0, wire.INVALID_ACL),
            (p + "/ro/x", wire.OPEN_ACL, 0, wire.NO_AUTH),
            (p + "/ro/./x", wire.OPEN_ACL, 0, wire.NO_NODE),
            (p + "/ro/.", wire.OPEN_ACL, 0, wire.NO_AUTH),
            (p + "/e/.", wire.OPEN_ACL, 0, wire.BAD_ARGUMENTS),
            (p + "/e/x", bad, 0, wire.INVALID_ACL),
            (p + "/x", bad, wire.TTL, wire.UNIMPLEMENTED),
            (p + "/x", bad, 7, wire.BAD_ARGUMENTS)):
        eq(a.create(path, acl=acl, flags=flags).err, want,
           "%s %s %d" % (path, acl, flags))


def t_data(t):
    a = t.made_root("a")
    for name, data in (("empty", b""), ("null", None), ("nul", b"\0"),
                       ("binary", bytes(range(256))), ("big", b"x" * 900000)):
        path = t.root + "/" + name
        eq(a.create(path, data).err, 0)
        r = a.get(path)
        eq(r.data, data, name)
        eq(r.stat.data_length, len(data or b""))
    t.note("set to null and back")
    eq(a.set(t.root + "/nul", None).stat.data_length, 0)
    eq(a.get(t.root + "/nul").data, None)
    eq(a.set(t.root + "/nul", b"").err, 0)
    eq(a.get(t.root + "/nul").data, b"")


def t_delete(t):
    a = t.made_root("a")
    p = t.root
    a.create(p + "/d")
    a.create(p + "/d/c")
    a.set(p + "/d/c", b"1")
    eq(a.delete(p + "/d").err, wire.NOT_EMPTY)
    eq(a.delete(p + "/d", 5).err, wire.BAD_VERSION, "version goes first")
    eq(a.delete(p + "/d/c", 0).err, wire.BAD_VERSION)
    eq(a.delete(p + "/d/c", 2).err, wire.BAD_VERSION)
    eq(a.delete(p + "/d/c", -2).err, wire.BAD_VERSION)
    r = a.delete(p + "/d/c", 1)
    eq((r.err, r.body), (0, b""))
    eq(a.delete(p + "/d/c").err, wire.NO_NODE)
    eq(a.delete(p + "/no/c").err, wire.NO_NODE)
    eq(a.exists(p + "/d").stat.pzxid, r.zxid, "pzxid after the delete")
    eq(a.delete(p + "/d", -1).err, 0)


def t_delete_special(t):
    a = t.client("a")
    for path in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        a.delete(path)
    eq(a.delete("/").err, wire.BAD_ARGUMENTS)
    eq(a.delete("/zookeeper").err, wire.BAD_ARGUMENTS)
    eq(sorted(a.children("/zookeeper").children), ["config", "quota"])


def t_recreate(t):
    """A deleted node's successor is a new node."""
    a = t.made_root("a")
    first = a.create2(t.root + "/x", b"1").stat
    a.set(t.root + "/x", b"2")
    a.create(t.root + "/x/c")
    a.delete(t.root + "/x/c")
    a.delete(t.root + "/x")
    second = a.create2(t.root + "/x", b"3").stat
    assert second.czxid > first.czxid
    eq((second.version, second.cversion, second.aversion), (0, 0, 0))
