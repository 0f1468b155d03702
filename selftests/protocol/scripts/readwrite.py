# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads, setData, sync, and what the fields of Stat mean."""

import time

from zktest import wire
from zktest.jute import ACL
from zktest.transcript import eq


def t_set_data(t):
    a = t.made_root("a")
    p = t.root
    s0 = a.get(p).stat
    time.sleep(0.005)
    r = a.set(p, b"one", 0)
    s1 = r.stat
    eq((s1.version, s1.mzxid, s1.czxid, s1.data_length, s1.pzxid),
       (1, r.zxid, s0.czxid, 3, s0.pzxid))
    assert s1.mtime > s0.mtime, "mtime %d, was %d" % (s1.mtime, s0.mtime)
    eq(s1.ctime, s0.ctime)
    eq((s1.cversion, s1.aversion), (s0.cversion, s0.aversion))
    eq(a.set(p, b"x", 0).err, wire.BAD_VERSION)
    eq(a.set(p, b"x", 2).err, wire.BAD_VERSION)
    eq(a.set(p, b"x", -2).err, wire.BAD_VERSION)
    eq(a.get(p).data, b"one")
    eq(a.set(p, b"two").stat.version, 2)
    eq(a.set(p + "/no", b"").err, wire.NO_NODE)
    eq(a.set(p + "/no", b"", 7).err, wire.NO_NODE)
    t.note("the same data again is a change all the same")
    eq(a.set(p, b"two").stat.version, 3)


def t_reads_of_nothing(t):
    a = t.made_root("a")
    p = t.root + "/no"
    for r in (a.exists(p), a.get(p), a.get_acl(p), a.children(p),
              a.children2(p), a.set_acl(p, wire.OPEN_ACL)):
        eq((r.err, r.body), (wire.NO_NODE, b""))


def t_children(t):
    a = t.made_root("a")
    eq(a.children(t.root).children, [])
    names = ["b", "a", "c with space", "ünï", "日本", "-", "_", "~"]
    for n in names:
        eq(a.create(t.root + "/" + n).err, 0)
    eq(sorted(a.children(t.root).children), sorted(names))
    r = a.children2(t.root)
    eq(sorted(r.children), sorted(names))
    eq(r.stat, a.exists(t.root).stat)
    eq(a.children(t.root + "/a").children, [])


def t_many_children(t):
    """A list longer than one packet."""
    a = t.made_root("a")
    n = 3000
    for i in range(0, n, 500):
        r = a.multi([(wire.CREATE, wire.b_create("%s/node-%06d" % (t.root, k)))
                     for k in range(i, i + 500)])
        eq(len(r.results), 500)
    r = a.children2(t.root)
    eq(sorted(r.children), ["node-%06d" % k for k in range(n)])
    eq((r.stat.num_children, r.stat.cversion), (n, n))


def t_cversion(t):
    """cversion shown = 2 x creates - children; pzxid the last of both."""
    a = t.made_root("a")
    p = t.root

    def stat(creates, children, pzxid):
        s = a.exists(p).stat
        eq((s.cversion, s.num_children, s.pzxid),
           (2 * creates - children, children, pzxid))
        eq((s.version, s.mzxid), (0, s.czxid), "the node's own")
    stat(0, 0, a.exists(p).stat.czxid)
    z = a.create(p + "/a").zxid
    stat(1, 1, z)
    z = a.create(p + "/b").zxid
    stat(2, 2, z)
    z = a.delete(p + "/a").zxid
    stat(2, 1, z)
    z = a.create(p + "/a").zxid
    stat(3, 2, z)
    z = a.delete(p + "/a").zxid
    z = a.delete(p + "/b").zxid
    stat(3, 0, z)
    t.note("grandchildren and data of children do not count")
    z = a.create(p + "/a").zxid
    a.create(p + "/a/b")
    a.set(p + "/a", b"x")
    stat(4, 1, z)
    t.note("a multi of two creates and a delete has one zxid")
    z = a.multi([(wire.CREATE, wire.b_create(p + "/m1")),
                 (wire.CREATE, wire.b_create(p + "/m2")),
                 (wire.DELETE, wire.b_path_int(p + "/m1", -1))]).zxid
    stat(6, 2, z)


def t_stat_of_acl(t):
    """setACL moves aversion, and nothing else."""
    a = t.made_root("a")
    s0 = a.exists(t.root).stat
    r = a.set_acl(t.root, [ACL(31, "world", "anyone"),
                           ACL(1, "ip", "127.0.0.1")])
    eq(r.stat, s0._replace(aversion=1))
    eq(a.exists(t.root).stat, s0._replace(aversion=1))
    eq(a.set_acl(t.root, wire.OPEN_ACL, 0).err, wire.BAD_VERSION)
    eq(a.set_acl(t.root, wire.OPEN_ACL, 1).stat.aversion, 2)
    eq(a.get_acl(t.root).stat.aversion, 2)


def t_sync(t):
    a = t.made_root("a")
    r = a.sync(t.root)
    eq((r.err, r.path), (0, t.root))
    t.note("sync does not look at the path")
    for path in (t.root + "/no", "/", "", "no-slash", "/x/"):
        r = a.sync(path)
        eq((r.err, r.path), (0, path))
    eq(a.sync(None).err, 0)
    t.note("and has no zxid of its own")
    z = a.zxid()
    eq(a.sync("/").zxid, z)


def t_header_zxid(t):
    """Replies of reads carry the last zxid, of writes their own."""
    a = t.made_root("a")
    b = t.client("b")
    z = a.create(t.root + "/x").zxid
    eq(b.get(t.root + "/x").zxid, z)
    eq(b.get(t.root + "/no").zxid, z, "of a read that fails")
    eq(b.set(t.root + "/x", b"").zxid, z + 1)
    eq(b.set(t.root + "/no", b"").zxid, z + 2, "of a write that fails")
    eq(a.zxid(), z + 2)


def t_deep(t):
    """A path of 200 levels."""
    a = t.made_root("a")
    p = t.root
    ops = []
    for i in range(200):
        p += "/d%d" % i
        ops.append((wire.CREATE, wire.b_create(p, str(i).encode())))
    eq(len(a.multi(ops).results), 200)
    eq(a.get(p).data, b"199")


def t_frame_limit(t):
    """jute.maxbuffer: 1048575 bytes of request pass, one more does not."""
    a = t.made_root("a")
    path = t.root + "/big"
    over = len(wire.b_create(path, b"")) + 8
    a.create(path, b"y" * (1048575 - over))
    eq(a.get(path).stat.data_length, 1048575 - over)
    b = t.client("b")
    b.send(wire.SET_DATA, wire.b_set_data(path, b"y" * 1048576))
    assert b.closed()
    eq(a.get(path).stat.version, 0)
