# SPDX-License-Identifier: GPL-2.0-or-later
"""Counters at the end of their range.  These scripts run against a server of
their own, that was given a snapshot with such nodes."""

from zktest import snapshot, wire
from zktest.transcript import eq
from zktest.wire import CREATE, SET_DATA, b_create, b_path_int, b_set_data

MAX, MIN = 2147483647, -2147483648
ZXID = 0x100

CVERSIONS = {"max": MAX, "near": MAX - 2, "multi": MAX - 1, "min": MIN,
             "min1": MIN + 1, "neg": -11, "minus3": -3, "minus2": -2,
             "minus1": -1, "mmulti": MAX, "nmulti": -3, "undo": MAX,
             "pipe": 1000000000, "plain": MAX - 1}
VERSIONS = {"max": MAX, "near": MAX - 1, "min": MIN, "minus2": -2,
            "minus1": -1, "minus3": -3}


def prepare(data_dir):
    nodes = [snapshot.node("/seq"), snapshot.node("/ver")]
    nodes += [snapshot.node("/seq/" + n, czxid=5, mzxid=6, pzxid=7, cversion=v)
              for n, v in CVERSIONS.items()]
    nodes += [snapshot.node("/ver/" + n, b"x", czxid=5, mzxid=6, version=v,
                            aversion=v)
              for n, v in VERSIONS.items()]
    nodes += [snapshot.node("/maxzxid", czxid=2 ** 63 - 1, mzxid=-1,
                            ctime=-5, mtime=2 ** 63 - 1)]
    snapshot.write(data_dir, ZXID, nodes)


def t_sequence(t):
    """Ten digits, or what printf makes of more and of less; past the end
    the counter stands."""
    a = t.client("a")
    for name in CVERSIONS:
        if "multi" in name or name in ("undo", "pipe", "plain"):
            continue
        p = "/seq/" + name
        t.note("%s %d" % (name, CVERSIONS[name]))
        a.exists(p)
        for i in range(4):
            r = a.create2("%s/%s" % (p, "n" * (i % 3)), flags=wire.SEQ)
            if not i:
                eq(r.path, "%s/%010d" % (p, CVERSIONS[name]))
            a.exists(p)
            a.children2(p)
        a.create(p + "/plain")
        a.exists(p)
        a.create(p + "/e", flags=wire.EPHEMERAL_SEQ)
        a.delete(p + "/plain")
        a.exists(p)


def t_plain_creates(t):
    """A parent's Stat when plain children go past the end."""
    a = t.client("a")
    p = "/seq/plain"
    for i in range(4):
        r = a.create("%s/n%d" % (p, i))
        eq(r.err, 0)
        a.exists(p)
    for i in range(4):
        eq(a.delete("%s/n%d" % (p, i)).err, 0)
        a.exists(p)


def t_in_multi(t):
    """Within one multi it does go on."""
    a = t.client("a")
    for name in ("multi", "mmulti", "nmulti"):
        p = "/seq/" + name
        for _ in range(2):
            a.multi([(CREATE, b_create(p + "/x", flags=wire.SEQ))
                     for _ in range(4)])
            a.exists(p)
        a.create(p + "/y", flags=wire.SEQ)
        a.exists(p)
        a.children(p)


def t_failed_multi(t):
    """One that fails leaves nothing of that."""
    a = t.client("a")
    p = "/seq/undo"
    a.multi([(CREATE, b_create(p + "/x", flags=wire.SEQ)),
             (CREATE, b_create(p + "/x", flags=wire.SEQ)),
             (wire.CHECK, b_path_int(p, 77))])
    a.exists(p)
    a.create(p + "/x", flags=wire.SEQ)
    a.create(p + "/y", flags=wire.SEQ)
    a.exists(p)
    a.children(p)


def t_versions(t):
    """Data and ACL versions go round; -1 is any version even where it is
    the node's."""
    a = t.client("a")
    for name, v in VERSIONS.items():
        p = "/ver/" + name
        t.note("%s %d" % (name, v))
        for op in (lambda n: a.set(p, b"y", n),
                   lambda n: a.set_acl(p, wire.OPEN_ACL, n)):
            op(v - 1 if v > MIN else MAX)
            op(v)
            op(v)
            op(v + 1 if v < MAX else MIN)
            op(-1)
            op(-2)
        a.multi([(wire.CHECK, b_path_int(p, v)),
                 (SET_DATA, b_set_data(p, b"z", -1)),
                 (wire.CHECK, b_path_int(p, -2)),
                 (SET_DATA, b_set_data(p, b"z", 0))])
        st = a.exists(p).stat
        if name == "near":
            eq((st.version, st.aversion), (MIN + 1, MIN + 1))
        a.delete(p, v)
        a.delete(p, MIN)
        a.exists(p)


def t_odd_stat(t):
    a = t.client("a")
    a.get("/maxzxid")
    a.set("/maxzxid", b"y")
    a.create("/maxzxid/x")
    a.exists("/maxzxid")


def t_digests(t):
    """What the tree has is what the log says."""
    if t.server.kind != "apache":
        eq("igest of the tree" in t.server.log_text(10 ** 7), False)
