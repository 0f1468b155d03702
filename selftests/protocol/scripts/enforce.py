# SPDX-License-Identifier: GPL-2.0-or-later
"""Quotas that are enforced: these scripts run against a server of their own,
which is told to."""

from zktest import wire
from zktest.jute import ACL
from zktest.transcript import eq
from zktest.wire import CHECK, CREATE, SET_DATA, b_create, b_path_int, \
    b_set_data

from .quota import TOP, figures, limits, set_quota, stats

CONFIG = {"enforceQuota": "true", "reconfigEnabled": "true"}

EXCEEDED = -125
HARD_COUNT = b"count=-1,bytes=-1=;countHardLimit=3"
HARD_BYTES = b"count=-1,bytes=-1=;byteHardLimit=10"


def t_hard_count(t):
    a = t.made_root("a")
    p = t.root
    set_quota(a, p, HARD_COUNT)
    eq([a.create("%s/n%d" % (p, i), b"123").err for i in range(4)],
       [0, 0, EXCEEDED, EXCEEDED])
    eq(a.set(p + "/n0", b"x" * 1000).err, 0, "bytes are free")
    a.delete(p + "/n0")
    eq(a.create(p + "/n2").err, 0)
    eq(a.create(p + "/s", flags=wire.SEQ).err, EXCEEDED)
    eq(a.create2(p + "/s", flags=wire.EPHEMERAL).err, EXCEEDED)
    eq(a.create(p + "/s", flags=wire.CONTAINER,
                op=wire.CREATE_CONTAINER).err, EXCEEDED)
    a.set(limits(p), b"count=-1,bytes=-1=;countHardLimit=4")
    eq(a.create(p + "/n3").err, 0)
    a.set(limits(p), b"count=100,bytes=-1")
    eq(a.create(p + "/n4").err, 0)
    eq(figures(a, p), b"count=5,bytes=7")


def t_hard_bytes(t):
    a = t.made_root("a")
    p = t.root
    set_quota(a, p, HARD_BYTES)
    eq(a.create(p + "/x", b"1234567").err, EXCEEDED)
    eq(a.create(p + "/x", b"123456").err, 0)
    eq(a.create(p + "/none").err, 0, "none more")
    eq(a.create(p + "/null", None).err, 0, "none more")
    eq(a.create(p + "/y", b"1").err, EXCEEDED)
    eq(a.set(p + "/x", b"1234567").err, EXCEEDED)
    eq(a.set(p + "/x", b"123456").err, 0)
    eq(a.set(p + "/x", b"12345").err, 0)
    eq(a.set(p + "/none", b"1").err, 0)
    a.set(limits(p), b"count=-1,bytes=-1=;byteHardLimit=5")
    t.note("above the limit, less is refused too")
    eq(a.set(p + "/x", b"1234").err, EXCEEDED)
    eq(a.set(p + "/x", b"").err, 0)
    eq(a.set(p + "/x", None).err, 0)
    eq(figures(a, p), b"count=4,bytes=5")


def t_soft(t):
    a = t.made_root("a")
    p = t.root
    set_quota(a, p, b"count=1,bytes=4")
    eq(a.create(p + "/x", b"123").err, 0)
    eq(a.set(p + "/x", b"123456789").err, 0)
    eq(figures(a, p), b"count=2,bytes=13")


def t_soft_and_hard(t):
    """If there is a hard limit, it alone counts."""
    a = t.made_root("a")
    p = t.root
    set_quota(a, p, b"count=100,bytes=1=;countHardLimit=2;byteHardLimit=20")
    eq(a.create(p + "/x", b"12345").err, 0)
    eq(a.create(p + "/y").err, EXCEEDED)
    eq(a.set(p + "/x", b"x" * 17).err, EXCEEDED)
    a.set(limits(p), b"count=0,bytes=0=;countHardLimit=0;byteHardLimit=0")
    eq(a.create(p + "/y").err, EXCEEDED)
    eq(a.delete(p + "/x").err, 0)


def t_nested(t):
    """The deepest quota is asked, and no other."""
    a = t.made_root("a")
    p = t.root
    a.create(p + "/in")
    set_quota(a, p, b"count=-1,bytes=-1=;countHardLimit=2")
    set_quota(a, p + "/in", b"count=-1,bytes=-1=;countHardLimit=2")
    eq(a.create(p + "/in/x").err, 0)
    eq(a.create(p + "/in/y").err, EXCEEDED)
    eq(a.create(p + "/x").err, EXCEEDED)
    a.delete(limits(p + "/in"))
    eq(a.create(p + "/in/z").err, EXCEEDED)


def t_multi(t):
    """The parts before do not count yet; what was done before does."""
    a = t.made_root("a")
    p = t.root
    set_quota(a, p, HARD_COUNT)
    r = a.multi([(CREATE, b_create("%s/n%d" % (p, i))) for i in range(6)])
    eq([x[1] for x in r.results], [0] * 6)
    eq(figures(a, p), b"count=7,bytes=4")
    r = a.multi([(CHECK, b_path_int(p, -1)),
                 (CREATE, b_create(p + "/z")),
                 (SET_DATA, b_set_data(p, b""))])
    eq([x[1] for x in r.results], [0, EXCEEDED, wire.RUNTIME_INCONSISTENCY])
    a.set(limits(p), HARD_BYTES)
    r = a.multi([(SET_DATA, b_set_data(p, b"1234567890")),
                 (SET_DATA, b_set_data(p + "/n1", b"12345"))])
    eq([x[1] for x in r.results], [0, 0])
    r = a.multi([(SET_DATA, b_set_data(p, b"")),
                 (SET_DATA, b_set_data(p + "/n1", b"123456"))])
    eq([x[1] for x in r.results], [0, EXCEEDED])
    t.note("limits made in the same multi do not hold in it")
    q = t.root + "/q"
    a.set(limits(p), b"")
    a.create(q)
    a.create(TOP + q)
    r = a.multi([(CREATE, b_create(limits(q), HARD_COUNT)),
                 (CREATE, b_create(stats(q))),
                 (CREATE, b_create(q + "/1")), (CREATE, b_create(q + "/2")),
                 (CREATE, b_create(q + "/3"))])
    eq([x[1] for x in r.results], [0] * 5)
    eq(figures(a, q), b"count=4,bytes=0")


def t_order_of_errors(t):
    """Last of all for create, before the version for setData."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    a.create(p + "/e", flags=wire.EPHEMERAL)
    a.create(p + "/shut", acl=[ACL(1, "world", "anyone")])
    set_quota(a, p, b"count=-1,bytes=-1=;countHardLimit=1;byteHardLimit=1")
    eq(b.create(p + "/x").err, EXCEEDED)
    eq(b.create(p + "/e").err, wire.NODE_EXISTS)
    eq(b.create(p + "/e/x").err, wire.NO_CHILDREN_FOR_EPHEMERALS)
    eq(b.create(p + "/shut/x").err, wire.NO_AUTH)
    eq(b.create(p + "/no/x").err, wire.NO_NODE)
    eq(b.create(p + "/..").err, wire.BAD_ARGUMENTS)
    eq(b.create(p + "/x", acl=[]).err, wire.INVALID_ACL)
    eq(b.set(p, b"12345", 7).err, EXCEEDED)
    eq(b.set(p + "/shut", b"12345").err, wire.NO_AUTH)
    eq(b.set(p + "/no", b"12345").err, wire.NO_NODE)
    eq(b.set(p, b"root", 7).err, wire.BAD_VERSION, "not a byte more")


def t_odd_limits(t):
    """Limits that say nothing allow all; what cannot be read fails."""
    a = t.made_root("a")
    p = t.root
    set_quota(a, p, b"")
    for i, text in enumerate((
            b"", b",", b"x=0", b"count==0", b"countHardLimit==1",
            b"countHardLimit=-1", b"countHardLimit=-2",
            b"countHardLimit=+1", b"countHardLimit=1;countHardLimit=100",
            b"count=3x", b"count", b"count=", b"=", b"count= 3", b",count=3",
            b"count=99999999999999999999", b"bytes=\xff", b"\xff=1", None)):
        a.set(limits(p), text)
        a.create("%s/n%d" % (p, i), b"1")
        a.set(p, b"x" * i)
        r = a.multi([(CREATE, b_create("%s/m%d" % (p, i))),
                     (CHECK, b_path_int(p, -1))])
        if i == 7:
            eq([x[1] for x in r.results],
               [EXCEEDED, wire.RUNTIME_INCONSISTENCY])
        elif i > 8:
            eq(r.err, 0 if i == 17 else wire.MARSHALLING, text)
    a.set(limits(p), b"countHardLimit=1")
    a.delete(stats(p))
    t.note("no stats, no limits")
    eq(a.create(p + "/y").err, 0)


def t_reconfig(t):
    """A server that is alone cannot do it, if it is let."""
    a = t.made_root("a")
    body = wire.Out().string(None).string(None).string(
        "server.1=127.0.0.1:1:2;3").long(-1).bytes()
    eq(a.call(wire.RECONFIG, body).err, wire.UNIMPLEMENTED)
    eq(a.call(wire.RECONFIG, body[:10]).err, wire.MARSHALLING)
