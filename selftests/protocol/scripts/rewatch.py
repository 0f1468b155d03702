# SPDX-License-Identifier: GPL-2.0-or-later
"""setWatches and setWatches2: what a client missed while it was away."""

from zktest import wire
from zktest.jute import ACL
from zktest.transcript import eq
from zktest.wire import (EV_CHANGED, EV_CHILD, EV_CREATED, EV_DELETED,
                         XID_SET_WATCHES)


def ev(kind, path):
    return (kind, 3, path)


def set_watches(c, zxid, rel, **kw):
    """setWatches with paths; kw: data, exist, child.  zxid shown as rel."""
    text = "%s %s" % (rel, sorted(kw.items()))
    return c.call(wire.SET_WATCHES, wire.b_set_watches(zxid, **kw), text,
                  xid=XID_SET_WATCHES)


def set_watches2(c, zxid, rel, **kw):
    text = "%s %s" % (rel, sorted(kw.items()))
    return c.call(wire.SET_WATCHES2, wire.b_set_watches2(zxid, **kw), text,
                  xid=XID_SET_WATCHES)


def t_missed(t):
    """Each kind of watch, with what happened to its node meanwhile."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    for n in ("same", "set", "gone", "kids", "kidless"):
        a.create(p + "/" + n)
    a.create(p + "/kidless/k")
    z = b.zxid()
    b.drop()
    a.set(p + "/set", b"1")
    a.delete(p + "/gone")
    a.create(p + "/new")
    a.create(p + "/kids/k")
    a.delete(p + "/kidless/k")
    c = b.reconnect("c", last_zxid=z)
    r = set_watches(c, z, "then",
                    data=[p + "/same", p + "/set", p + "/gone", p + "/kids"],
                    exist=[p + "/new", p + "/never"],
                    child=[p + "/same", p + "/kids", p + "/kidless",
                           p + "/gone", p + "/set"])
    eq((r.err, r.xid, r.body), (0, XID_SET_WATCHES, b""))
    eq(c.events, [ev(EV_CHANGED, p + "/set"), ev(EV_DELETED, p + "/gone"),
                  ev(EV_CREATED, p + "/new"), ev(EV_CHILD, p + "/kids"),
                  ev(EV_CHILD, p + "/kidless"), ev(EV_DELETED, p + "/gone")])
    t.note("those that missed nothing are set")
    a.set(p + "/same", b"1")
    a.create(p + "/same/k")
    a.create(p + "/never")
    a.set(p + "/kids", b"1")
    a.create(p + "/set/k")
    eq(c.fence(), [ev(EV_CHANGED, p + "/same"), ev(EV_CHILD, p + "/same"),
                   ev(EV_CREATED, p + "/never"), ev(EV_CHANGED, p + "/kids"),
                   ev(EV_CHILD, p + "/set")])
    t.note("those that were told are not")
    a.set(p + "/set", b"2")
    a.delete(p + "/new")
    a.create(p + "/kids/k2")
    a.set(p + "/same", b"2")
    eq(c.fence(), [])


def t_exist_watch_of_deleted(t):
    """Created and gone again meanwhile: nothing to tell, the watch waits."""
    a = t.made_root("a")
    p = t.root + "/x"
    z = a.zxid()
    a.create(p)
    a.delete(p)
    b = t.client("b")
    set_watches(b, z, "then", exist=[p])
    eq(b.events, [])
    a.create(p)
    eq(b.fence(), [ev(EV_CREATED, p)])


def t_recreated(t):
    """Deleted and made again meanwhile: told as a change."""
    a = t.made_root("a")
    p = t.root + "/x"
    a.create(p)
    z = a.zxid()
    a.delete(p)
    a.create(p)
    b = t.client("b")
    set_watches(b, z, "then", data=[p], child=[p])
    eq(b.events, [ev(EV_CHANGED, p), ev(EV_CHILD, p)])


def t_zxid_edge(t):
    """What was changed at the client's own zxid it has seen."""
    a = t.made_root("a")
    p = t.root
    z = a.set(p, b"1").zxid
    b = t.client("b")
    set_watches(b, z, "the set's", data=[p])
    eq(b.events, [])
    set_watches(b, z - 1, "one before", data=[p])
    eq(b.events, [ev(EV_CHANGED, p)])
    t.note("the watch of the first call is still set")
    a.set(p, b"2")
    eq(b.fence(), [ev(EV_CHANGED, p)])


def t_acl_is_no_miss(t):
    a = t.made_root("a")
    z = a.zxid()
    a.set_acl(t.root, wire.OPEN_ACL)
    b = t.client("b")
    set_watches(b, z, "then", data=[t.root], child=[t.root])
    eq(b.events, [])


def t_future_zxid(t):
    """A zxid past the server's: all seen, all set."""
    a = t.made_root("a")
    b = t.client("b")
    set_watches(b, 2 ** 62, "2^62", data=[t.root], child=[t.root])
    eq(b.events, [])
    a.set(t.root, b"")
    eq(b.fence(), [ev(EV_CHANGED, t.root)])


def t_empty(t):
    a = t.client("a")
    eq(set_watches(a, 0, "0").err, 0)
    eq(set_watches2(a, 0, "0").err, 0)


def t_any_xid(t):
    """The reply has the request's xid."""
    a = t.client("a")
    r = a.call(wire.SET_WATCHES, wire.b_set_watches(0), "xid 9", xid=9)
    eq((r.xid, r.err), (9, 0))


def t_set_watches2(t):
    a = t.made_root("a")
    p = t.root
    a.create(p + "/x")
    z = a.zxid()
    a.set(p + "/x", b"1")
    a.create(p + "/y")
    b = t.client("b")
    r = set_watches2(b, z, "then", data=[p + "/x"], exist=[p + "/y"],
                     child=[p], persistent=[p + "/x"],
                     recursive=[p + "/y", p + "/later"])
    eq((r.err, r.xid), (0, XID_SET_WATCHES))
    t.note("persistent ones tell nothing of what was missed")
    eq(b.events, [ev(EV_CHANGED, p + "/x"), ev(EV_CREATED, p + "/y"),
                  ev(EV_CHILD, p)])
    a.set(p + "/x", b"2")
    a.create(p + "/x/k")
    a.create(p + "/y/k")
    a.set(p + "/y/k", b"")
    a.create(p + "/later")
    eq(b.fence(), [ev(EV_CHANGED, p + "/x"), ev(EV_CHILD, p + "/x"),
                   ev(EV_CREATED, p + "/y/k"), ev(EV_CHANGED, p + "/y/k"),
                   ev(EV_CREATED, p + "/later")])


def t_same_path_both(t):
    """A one-shot and a persistent watch of one path in one request."""
    a = t.made_root("a")
    b = t.client("b")
    z = a.zxid()
    set_watches2(b, z, "now", data=[t.root], persistent=[t.root])
    a.set(t.root, b"1")
    a.set(t.root, b"2")
    eq(b.fence(), [ev(EV_CHANGED, t.root)] * 2)


def t_events_before_reply(t):
    """All the missed events come before the reply."""
    a = t.made_root("a")
    n = 200
    paths = ["%s/n%03d" % (t.root, i) for i in range(n)]
    a.multi([(wire.CREATE, wire.b_create(x)) for x in paths])
    z = a.zxid()
    a.multi([(wire.SET_DATA, wire.b_set_data(x, b"1")) for x in paths])
    b = t.client("b")
    r = b.call(wire.SET_WATCHES, wire.b_set_watches(z, data=paths), "x200",
               xid=XID_SET_WATCHES)
    eq(r.err, 0)
    eq(b.events, [ev(EV_CHANGED, x) for x in paths], "in the request's order")


def t_without_permission(t):
    """setWatches asks for no permission to set; events still do."""
    a = t.made_root("a")
    p = t.root + "/x"
    a.create(p, acl=[ACL(2, "world", "anyone")])
    z = a.zxid()
    a.set(p, b"1")
    b = t.client("b")
    set_watches(b, z, "then", data=[p], child=[p])
    a.set(p, b"2")
    b.fence()


def t_odd_paths(t):
    """Paths are not looked at; a node that is not there was deleted."""
    b = t.client("b")
    z = b.zxid()
    paths = ["no-slash", "//", "/x/", "/nul\0"]
    set_watches(b, z, "now", data=paths)
    eq(b.events, [ev(EV_DELETED, x) for x in paths])
    set_watches(b, z, "now", exist=paths)
    eq(b.fence(), [])
