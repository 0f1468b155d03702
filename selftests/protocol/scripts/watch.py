# SPDX-License-Identifier: GPL-2.0-or-later
"""Watches: what each kind reports, once or for ever, and their removal."""

from zktest import wire
from zktest.transcript import eq
from zktest.wire import (EV_CHANGED, EV_CHILD, EV_CREATED, EV_DELETED,
                         MODE_PERSISTENT, MODE_RECURSIVE, W_ANY, W_CHILDREN,
                         W_DATA)


def ev(kind, path):
    """An event as it comes: state 3 is SyncConnected."""
    return (kind, 3, path)


def t_data(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    b.get(p, watch=True)
    a.set(p, b"1")
    eq(b.fence(), [ev(EV_CHANGED, p)])
    a.set(p, b"2")
    eq(b.fence(), [], "one shot")
    b.get(p, watch=True)
    a.create(p + "/c")
    a.set_acl(p, wire.OPEN_ACL)
    a.sync(p)
    a.set(p, b"x", 99)
    eq(b.fence(), [], "children, ACL and failures are no change of data")
    a.set(p, b"3")
    eq(b.fence(), [ev(EV_CHANGED, p)])


def t_data_delete(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root + "/x"
    a.create(p)
    b.get(p, watch=True)
    a.delete(p)
    eq(b.fence(), [ev(EV_DELETED, p)])
    a.create(p)
    eq(b.fence(), [])


def t_get_of_nothing_sets_no_watch(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root + "/x"
    eq(b.get(p, watch=True).err, wire.NO_NODE)
    eq(b.children(p, watch=True).err, wire.NO_NODE)
    eq(b.children2(p, watch=True).err, wire.NO_NODE)
    a.create(p)
    eq(b.fence(), [])


def t_exists(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root + "/x"
    eq(b.exists(p, watch=True).err, wire.NO_NODE)
    a.create(p)
    eq(b.fence(), [ev(EV_CREATED, p)])
    eq(b.exists(p, watch=True).err, 0)
    a.set(p, b"1")
    eq(b.fence(), [ev(EV_CHANGED, p)])
    b.exists(p, watch=True)
    a.delete(p)
    eq(b.fence(), [ev(EV_DELETED, p)])
    b.exists(p, watch=True)
    a.create(p)
    a.set(p, b"")
    a.delete(p)
    eq(b.fence(), [ev(EV_CREATED, p)])


def t_child(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    for get in (b.children, b.children2):
        get(p, watch=True)
        a.create(p + "/c")
        eq(b.fence(), [ev(EV_CHILD, p)])
        get(p, watch=True)
        a.set(p + "/c", b"")
        a.create(p + "/c/d")
        a.set(p, b"")
        a.delete(p + "/c/d")
        eq(b.fence(), [], "grandchildren and data are no change of children")
        a.delete(p + "/c")
        eq(b.fence(), [ev(EV_CHILD, p)])


def t_child_delete(t):
    """A deleted node tells its child watch, and its parent's."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root + "/x"
    a.create(p)
    b.children(p, watch=True)
    b.children(t.root, watch=True)
    a.delete(p)
    eq(b.fence(), [ev(EV_DELETED, p), ev(EV_CHILD, t.root)])


def t_delete_told_once(t):
    """Data and child watch on one node: one event of its deletion."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root + "/x"
    a.create(p)
    b.get(p, watch=True)
    b.exists(p, watch=True)
    b.children(p, watch=True)
    a.delete(p)
    eq(b.fence(), [ev(EV_DELETED, p)])
    a.create(p)
    a.delete(p)
    eq(b.fence(), [], "both were used up")


def t_set_twice_fires_once(t):
    a = t.made_root("a")
    b = t.client("b")
    for _ in range(3):
        b.get(t.root, watch=True)
        b.exists(t.root, watch=True)
        b.children(t.root, watch=True)
        b.children2(t.root, watch=True)
    a.set(t.root, b"")
    eq(b.fence(), [ev(EV_CHANGED, t.root)])
    a.create(t.root + "/x")
    eq(b.fence(), [ev(EV_CHILD, t.root)])


def t_create_order(t):
    """A creation is told to the node's watch first, then to the parent's."""
    a = t.made_root("a")
    b = t.client("b")
    b.children(t.root, watch=True)
    b.exists(t.root + "/x", watch=True)
    a.create(t.root + "/x")
    eq(b.fence(), [ev(EV_CREATED, t.root + "/x"), ev(EV_CHILD, t.root)])


def t_event_before_reply(t):
    """One's own write: the event comes before the reply."""
    a = t.made_root("a")
    p = t.root
    a.get(p, watch=True)
    a.send(wire.SET_DATA, wire.b_set_data(p, b"1"))
    eq(a.recv(), ev(EV_CHANGED, p))
    eq(a.recv().err, 0)
    a.children(p, watch=True)
    a.exists(p + "/x", watch=True)
    a.send(wire.CREATE, wire.b_create(p + "/x"))
    eq(a.recv(), ev(EV_CREATED, p + "/x"))
    eq(a.recv(), ev(EV_CHILD, p))
    eq(a.recv().err, 0)
    a.get(p + "/x", watch=True)
    a.children(p + "/x", watch=True)
    a.children(p, watch=True)
    a.send(wire.DELETE, wire.b_path_int(p + "/x", -1))
    eq(a.recv(), ev(EV_DELETED, p + "/x"))
    eq(a.recv(), ev(EV_CHILD, p))
    eq(a.recv().err, 0)


def t_many_watchers(t):
    a = t.made_root("a")
    others = [t.client("b%d" % i) for i in range(5)]
    for b in others:
        b.get(t.root, watch=True)
    a.set(t.root, b"x")
    for b in others:
        eq(b.fence(), [ev(EV_CHANGED, t.root)])


def t_own_ephemerals_end(t):
    a = t.made_root("a")
    b = t.client("b")
    b.create(t.root + "/e", flags=wire.EPHEMERAL)
    a.get(t.root + "/e", watch=True)
    a.children(t.root, watch=True)
    b.close()
    eq(a.wait_events(2), [ev(EV_DELETED, t.root + "/e"),
                          ev(EV_CHILD, t.root)])


def t_reconnect_drops_watches(t):
    """A connection's watches end with it, unless set again."""
    a = t.made_root("a")
    b = t.client("b")
    b.get(t.root, watch=True)
    b.add_watch(t.root, MODE_RECURSIVE)
    b.drop()
    c = b.reconnect("c")
    a.set(t.root, b"x")
    a.create(t.root + "/x")
    eq(c.fence(), [])


def t_sequential_event_path(t):
    a = t.made_root("a")
    b = t.client("b")
    b.add_watch(t.root, MODE_RECURSIVE)
    path = a.create(t.root + "/s", flags=wire.SEQ).path
    eq(b.fence(), [ev(EV_CREATED, path)])


# -- persistent

def t_persistent(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    r = b.add_watch(p, MODE_PERSISTENT)
    eq((r.err, r.inner), (0, 0))
    a.set(p, b"1")
    a.set(p, b"2")
    a.create(p + "/x")
    a.set(p + "/x", b"")
    a.create(p + "/x/y")
    a.delete(p + "/x/y")
    a.delete(p + "/x")
    eq(b.fence(), [ev(EV_CHANGED, p), ev(EV_CHANGED, p), ev(EV_CHILD, p),
                   ev(EV_CHILD, p)])


def t_persistent_through_deletion(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root + "/x"
    eq(b.add_watch(p, MODE_PERSISTENT).err, 0, "on a node that is not there")
    for _ in range(2):
        a.create(p)
        a.create(p + "/y")
        a.delete(p + "/y")
        a.delete(p)
    eq(b.fence(), [ev(EV_CREATED, p), ev(EV_CHILD, p), ev(EV_CHILD, p),
                   ev(EV_DELETED, p)] * 2)


def t_recursive(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    eq(b.add_watch(p, MODE_RECURSIVE).err, 0)
    a.set(p, b"1")
    a.create(p + "/x")
    a.create(p + "/x/y")
    a.set(p + "/x/y", b"")
    a.delete(p + "/x/y")
    a.delete(p + "/x")
    eq(b.fence(), [ev(EV_CHANGED, p), ev(EV_CREATED, p + "/x"),
                   ev(EV_CREATED, p + "/x/y"), ev(EV_CHANGED, p + "/x/y"),
                   ev(EV_DELETED, p + "/x/y"), ev(EV_DELETED, p + "/x")])
    t.note("names that only begin alike are not below it")
    a.create(p + "-other")
    eq(b.fence(), [])


def t_recursive_on_root(t):
    a = t.made_root("a")
    b = t.client("b")
    eq(b.add_watch("/", MODE_RECURSIVE).err, 0)
    a.create(t.root + "/x")
    a.set(t.root + "/x", b"")
    eq(b.fence(), [ev(EV_CREATED, t.root + "/x"),
                   ev(EV_CHANGED, t.root + "/x")])


def t_persistent_on_root(t):
    a = t.client("a")
    b = t.client("b")
    b.add_watch("/", MODE_PERSISTENT)
    a.create(t.root)
    a.delete(t.root)
    eq(b.fence(), [ev(EV_CHILD, "/")] * 2)


def t_recursive_told_once(t):
    """Several watches that match one change: one event to a client."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root + "/x"
    a.create(p)
    b.add_watch(t.root, MODE_RECURSIVE)
    b.add_watch("/", MODE_RECURSIVE)
    b.get(p, watch=True)
    b.children(p, watch=True)
    a.set(p, b"1")
    eq(b.fence(), [ev(EV_CHANGED, p)])
    a.create(p + "/y")
    eq(b.fence(), [ev(EV_CREATED, p + "/y"), ev(EV_CHILD, p)])
    b.children(t.root, watch=True)
    b.get(p + "/y", watch=True)
    a.delete(p + "/y")
    a.delete(p)
    eq(b.fence(), [ev(EV_DELETED, p + "/y"), ev(EV_DELETED, p),
                   ev(EV_CHILD, t.root)])


def t_recursive_and_persistent_clients(t):
    a = t.made_root("a")
    b = t.client("b")
    c = t.client("c")
    d = t.client("d")
    p = t.root + "/x"
    b.add_watch(t.root, MODE_RECURSIVE)
    c.add_watch(p, MODE_PERSISTENT)
    d.exists(p, watch=True)
    a.create(p)
    a.set(p, b"")
    a.delete(p)
    eq(b.fence(), [ev(EV_CREATED, p), ev(EV_CHANGED, p), ev(EV_DELETED, p)])
    eq(c.fence(), [ev(EV_CREATED, p), ev(EV_CHANGED, p), ev(EV_DELETED, p)])
    eq(d.fence(), [ev(EV_CREATED, p)])


def t_mode_changes(t):
    """addWatch again on the same path changes the mode."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    b.add_watch(p, MODE_PERSISTENT)
    b.add_watch(p, MODE_RECURSIVE)
    a.create(p + "/x")
    eq(b.fence(), [ev(EV_CREATED, p + "/x")])
    b.add_watch(p, MODE_PERSISTENT)
    a.delete(p + "/x")
    eq(b.fence(), [ev(EV_CHILD, p)])


def t_one_shot_ends_persistent(t):
    """In 3.8 a read with a watch on the path of a persistent watch of the
    same client turns that table's watch into a one-shot one."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    b.add_watch(p, MODE_PERSISTENT)
    b.get(p, watch=True)
    a.set(p, b"1")
    a.set(p, b"2")
    b.fence()
    a.create(p + "/x")
    a.create(p + "/y")
    b.fence()


def t_add_watch_bad(t):
    a = t.made_root("a")
    for mode in (2, -1, 99):
        r = a.add_watch(t.root, mode)
        assert r.err != 0, "mode %d taken" % mode
    t.note("paths are not looked at")
    for path in ("no-slash", "", t.root + "/", "//"):
        a.add_watch(path, MODE_PERSISTENT)
    eq(a.exists(t.root).err, 0)


# -- check and removal

def t_check_watches(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    for kind in (W_CHILDREN, W_DATA, W_ANY):
        eq(b.check_watches(p, kind).err, wire.NO_WATCHER)
    b.get(p, watch=True)
    eq([b.check_watches(p, k).err for k in (W_CHILDREN, W_DATA, W_ANY)],
       [wire.NO_WATCHER, 0, 0])
    b.children(p, watch=True)
    eq([b.check_watches(p, k).err for k in (W_CHILDREN, W_DATA, W_ANY)],
       [0, 0, 0])
    a.set(p, b"")
    b.fence()
    eq([b.check_watches(p, k).err for k in (W_CHILDREN, W_DATA, W_ANY)],
       [0, wire.NO_WATCHER, 0])
    b.exists(p + "/no", watch=True)
    eq(b.check_watches(p + "/no", W_DATA).err, 0)
    b.check_watches(p + "/no", 99)
    b.check_watches(p, 0)


def t_check_without_slash(t):
    """3.8 climbs from the path to the root by its slashes: a path that has
    none ends in an exception, at once or, while anybody has a recursive watch
    in that table, on the way up."""
    kinds = (W_CHILDREN, W_DATA, W_ANY)
    b = t.client("b")
    c = t.client("c")

    def look():
        return [b.check_watches(p, k).err for p in ("", "a", "a/b", "a/b/", "c/d")
                for k in kinds]
    look()
    for p in ("a", "a/b", "a/b/", ""):
        b.exists(p, watch=True)
    look()
    c.add_watch(t.root, MODE_RECURSIVE)
    look()
    b.check_watches("/c/d", W_ANY)
    b.check_watches("//c", W_ANY)
    c.remove_watches(t.root, W_DATA)
    look()
    b.remove_watches("a", W_CHILDREN)
    for p in ("a", "a/b", "a/b/", ""):
        b.remove_watches(p, W_ANY)
        b.remove_watches(p, W_ANY)
    c.remove_watches(t.root, W_CHILDREN)
    look()


def t_remove_watches(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    for kind in (W_CHILDREN, W_DATA, W_ANY):
        eq(b.remove_watches(p, kind).err, wire.NO_WATCHER)
    b.get(p, watch=True)
    b.children(p, watch=True)
    r = b.remove_watches(p, W_DATA)
    eq((r.err, r.body), (0, b""))
    a.set(p, b"")
    eq(b.fence(), [])
    a.create(p + "/x")
    eq(b.fence(), [ev(EV_CHILD, p)])
    b.get(p, watch=True)
    b.children(p, watch=True)
    eq(b.remove_watches(p, W_CHILDREN).err, 0)
    a.delete(p + "/x")
    eq(b.fence(), [])
    a.set(p, b"")
    eq(b.fence(), [ev(EV_CHANGED, p)])
    b.get(p, watch=True)
    b.children(p, watch=True)
    eq(b.remove_watches(p, W_ANY).err, 0)
    a.set(p, b"")
    a.create(p + "/x")
    eq(b.fence(), [])
    eq(b.remove_watches(p, W_ANY).err, wire.NO_WATCHER)
    b.remove_watches(p, 99)


def t_remove_persistent(t):
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    for mode in (MODE_PERSISTENT, MODE_RECURSIVE):
        b.add_watch(p, mode)
        a.set(p, b"")
        eq(len(b.fence()), 1)
        for kind in (W_CHILDREN, W_DATA, W_ANY):
            eq(b.check_watches(p, kind).err, 0)
        eq(b.remove_watches(p, W_ANY).err, 0)
        a.set(p, b"")
        a.create(p + "/x")
        a.delete(p + "/x")
        eq(b.fence(), [])
        eq(b.check_watches(p, W_ANY).err, wire.NO_WATCHER)


def t_remove_half_of_persistent(t):
    """Types data and children take away that half only."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    b.add_watch(p, MODE_PERSISTENT)
    eq(b.remove_watches(p, W_DATA).err, 0)
    a.set(p, b"")
    a.create(p + "/x")
    eq(b.fence(), [ev(EV_CHILD, p)])
    b.add_watch(p, MODE_PERSISTENT)
    eq(b.remove_watches(p, W_CHILDREN).err, 0)
    a.set(p, b"")
    a.delete(p + "/x")
    eq(b.fence(), [ev(EV_CHANGED, p)])


def t_remove_of_others(t):
    """Nobody removes another client's watch."""
    a = t.made_root("a")
    b = t.client("b")
    c = t.client("c")
    b.get(t.root, watch=True)
    eq(c.remove_watches(t.root, W_ANY).err, wire.NO_WATCHER)
    a.set(t.root, b"")
    eq(b.fence(), [ev(EV_CHANGED, t.root)])


def t_remove_checks_no_path(t):
    a = t.made_root("a")
    for path in ("", "no-slash", t.root + "/", "//"):
        eq(a.remove_watches(path, W_ANY).err, wire.NO_WATCHER)
