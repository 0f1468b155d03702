# SPDX-License-Identifier: GPL-2.0-or-later
"""Quotas: what is counted below a path, and in which node it stands."""

from zktest import wire
from zktest.transcript import eq
from zktest.wire import CREATE, DELETE, SET_DATA, b_create, b_path_int, \
    b_set_data

TOP = "/zookeeper/quota"


def stats(path):
    return TOP + path + "/zookeeper_stats"


def limits(path):
    return TOP + path + "/zookeeper_limits"


def make_dirs(a, path):
    """The nodes that a quota's nodes are children of."""
    at = TOP
    for name in path.split("/")[1:]:
        at += "/" + name
        a.create(at)


def set_quota(a, path, text):
    """As the clients' setquota does it."""
    make_dirs(a, path)
    eq(a.create(limits(path), text).err, 0)
    eq(a.create(stats(path), b"count=0,bytes=0").err, 0)


def figures(a, path):
    """What the stats node says."""
    return a.get(stats(path)).data


def t_counts(t):
    """Nodes and bytes of the path and all below it, at the moment when the
    stats are created and after every change."""
    a = t.made_root("a")
    p = t.root
    a.create(p + "/x", b"12345")
    a.create(p + "/x/y", None)
    a.create(p + "x", b"not below it")
    set_quota(a, p, b"count=100,bytes=1000")
    eq(figures(a, p), b"count=3,bytes=9")
    a.create(p + "/z", b"123")
    eq(figures(a, p), b"count=4,bytes=12")
    a.set(p + "/z", b"1")
    eq(figures(a, p), b"count=4,bytes=10")
    a.set(p + "/z", None)
    eq(figures(a, p), b"count=4,bytes=9")
    a.set(p, b"the root itself")
    eq(figures(a, p), b"count=4,bytes=20")
    a.delete(p + "/x/y")
    a.delete(p + "/x")
    eq(figures(a, p), b"count=2,bytes=15")
    a.create(p + "/s", b"s", flags=wire.SEQ)
    a.create2(p + "/c", b"c")
    a.create(p + "/k", b"k", flags=wire.CONTAINER, op=wire.CREATE_CONTAINER)
    eq(figures(a, p), b"count=5,bytes=18")
    a.set_acl(p + "/c", wire.OPEN_ACL)
    eq(a.set(p + "/no", b"").err, wire.NO_NODE)
    eq(figures(a, p), b"count=5,bytes=18")


def t_stats_stat(t):
    """The stats node's stat does not tell of it, but for the length."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    set_quota(a, p, b"count=100,bytes=1000")
    st = a.exists(stats(p)).stat
    b.get(stats(p), watch=True)
    b.add_watch(TOP + p, wire.MODE_RECURSIVE)
    a.create(p + "/x", b"x" * 10000)
    eq(b.fence(), [], "no event")
    now = a.get(stats(p))
    eq(now.data, b"count=2,bytes=10004")
    eq(now.stat, st._replace(data_length=len(now.data)))
    r = a.set_acl(stats(p), wire.OPEN_ACL)
    eq(r.stat.data_length, len(now.data))
    eq(figures(a, p), now.data)


def t_limits_go_and_come(t):
    """Without the limits nothing is counted; with them again it goes on from
    what the stats say."""
    a = t.made_root("a")
    p = t.root
    set_quota(a, p, b"count=100,bytes=-1")
    a.delete(limits(p))
    a.create(p + "/x", b"x")
    eq(figures(a, p), b"count=1,bytes=4")
    a.create(limits(p), b"count=5,bytes=5")
    eq(figures(a, p), b"count=1,bytes=4")
    a.create(p + "/y", b"y")
    eq(figures(a, p), b"count=2,bytes=5")
    a.delete(stats(p))
    a.create(p + "/z", b"z")
    a.create(stats(p), b"whatever is written is counted anew")
    eq(figures(a, p), b"count=4,bytes=7")


def t_stats_written_by_clients(t):
    """What a client writes there is what is added to."""
    a = t.made_root("a")
    p = t.root
    set_quota(a, p, b"count=100,bytes=-1")
    for i, text in enumerate((
            b"count=50,bytes=500", b"bytes=7,count=5", b"", b"count=5",
            b"bytes=-5", b",;,", b"count=1,bytes=2=;x=9;b=3;count=8",
            b"count==5,bytes==7", b"=5", b"z=1;a=2,,count=3;;bytes=4;",
            b"count=+5,bytes=0007", b"count=9223372036854775807",
            b"count=2,bytes=-9223372036854775808,A=-1")):
        a.set(stats(p), text)
        a.create("%s/n%d" % (p, i), b"123")
        figures(a, p)
        a.set("%s/n%d" % (p, i), b"123")
        figures(a, p)
        a.delete("%s/n%d" % (p, i))
        figures(a, p)


def t_nested(t):
    """The deepest quota alone counts."""
    a = t.made_root("a")
    p = t.root
    a.create(p + "/in", b"in")
    set_quota(a, p, b"count=100,bytes=-1")
    set_quota(a, p + "/in", b"count=100,bytes=-1")
    eq(figures(a, p), b"count=2,bytes=6")
    eq(figures(a, p + "/in"), b"count=1,bytes=2")
    a.create(p + "/in/x", b"x")
    a.create(p + "/inx", b"abc")
    eq(figures(a, p), b"count=3,bytes=9")
    eq(figures(a, p + "/in"), b"count=2,bytes=3")
    a.delete(limits(p + "/in"))
    a.create(p + "/in/y", b"y")
    eq(figures(a, p), b"count=4,bytes=10")
    eq(figures(a, p + "/in"), b"count=2,bytes=3")


def t_path_not_there(t):
    """A quota may come before what it is for."""
    a = t.made_root("a")
    p = t.root + "/later"
    set_quota(a, p, b"count=3,bytes=-1")
    eq(figures(a, p), b"count=0,bytes=0")
    a.create(p, b"1")
    a.create(p + "/x", b"2")
    eq(figures(a, p), b"count=2,bytes=2")
    a.delete(p + "/x")
    a.delete(p)
    eq(figures(a, p), b"count=0,bytes=0")


def t_multi(t):
    """Part by part, and nothing of one that fails."""
    a = t.made_root("a")
    p = t.root
    set_quota(a, p, b"count=100,bytes=-1")
    a.multi([(CREATE, b_create(p + "/x", b"12")),
             (CREATE, b_create(p + "/y", b"34")),
             (SET_DATA, b_set_data(p + "/x", b"1234")),
             (DELETE, b_path_int(p + "/y", -1)),
             (CREATE, b_create(p + "/z"))])
    eq(figures(a, p), b"count=3,bytes=8")
    a.multi([(CREATE, b_create(p + "/u", b"12")),
             (DELETE, b_path_int(p + "/no", -1))])
    eq(figures(a, p), b"count=3,bytes=8")
    t.note("with the quota's own nodes among them")
    a.multi([(CREATE, b_create(p + "/m", b"m")),
             (SET_DATA, b_set_data(stats(p), b"count=50,bytes=50")),
             (CREATE, b_create(p + "/n", b"n")),
             (DELETE, b_path_int(limits(p), -1)),
             (CREATE, b_create(p + "/o", b"o")),
             (CREATE, b_create(limits(p), b"count=9")),
             (DELETE, b_path_int(p + "/o", -1)),
             (DELETE, b_path_int(p + "/n", -1))])
    eq(figures(a, p), b"count=49,bytes=49")
    a.multi([(DELETE, b_path_int(stats(p), -1)),
             (CREATE, b_create(p + "/q", b"q")),
             (CREATE, b_create(stats(p), b"")),
             (CREATE, b_create(p + "/r", b"r"))])
    eq(figures(a, p), b"count=6,bytes=11")
    a.multi([(DELETE, b_path_int(p + "/r", -1)),
             (DELETE, b_path_int(stats(p), -1)),
             (DELETE, b_path_int(p + "/q", -1))])
    eq(a.exists(stats(p)).err, wire.NO_NODE)


def t_session_ends(t):
    """Its ephemerals go from the figures."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    set_quota(a, p, b"count=100,bytes=-1")
    for i in range(20):
        b.create("%s/e%d" % (p, i), b"e" * i, flags=wire.EPHEMERAL)
    eq(figures(a, p), b"count=21,bytes=%d" % (4 + sum(range(20))))
    b.close()
    eq(figures(a, p), b"count=1,bytes=4")


def t_of_zookeeper(t):
    """A quota of /zookeeper counts the quotas."""
    a = t.made_root("a")
    p = "/zookeeper/%s" % t.name
    a.create(p)
    set_quota(a, p, b"count=10,bytes=-1")
    a.create(p + "/x", b"123")
    eq(figures(a, p), b"count=2,bytes=3")
    a.delete(limits(p))
    a.delete(p + "/x")


def t_sibling_names(t):
    """Only whole names are a path's beginning."""
    a = t.made_root("a")
    p = t.root
    a.create(p + "/ab", b"1")
    set_quota(a, p + "/a", b"count=10,bytes=-1")
    a.create(p + "/abc", b"2")
    a.create(p + "/ab/x", b"3")
    eq(figures(a, p + "/a"), b"count=0,bytes=0")
    a.create(p + "/a", b"4")
    eq(figures(a, p + "/a"), b"count=1,bytes=1")


def t_no_error_by_default(t):
    """Limits are not enforced unless the server is told to."""
    a = t.made_root("a")
    p = t.root
    set_quota(a, p, b"count=1,bytes=1=;byteHardLimit=1;countHardLimit=1")
    eq(a.create(p + "/x", b"123").err, 0)
    eq(a.set(p, b"123456789").err, 0)
    eq(figures(a, p), b"count=2,bytes=12")
