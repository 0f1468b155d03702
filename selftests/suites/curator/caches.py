# SPDX-License-Identifier: GPL-2.0-or-later
"""Curator's caches, the new one and the three old ones."""

import threading

from base import (WAIT, byte_array, eq, from_bytes, implement, recipe,
                  wait_for)


def put(c, path, data):
    c.create().orSetData().creatingParentsIfNeeded().forPath(
        path, byte_array(data))


def of(child):
    """(path, data) of a ChildData or of an Optional of one."""
    return str(child.getPath()), from_bytes(child.getData())


class Log:
    """The events of a CuratorCache, as text."""

    def __init__(self, cache, root):
        self.seen, self.root = [], root
        self.ready = threading.Event()
        b = recipe("cache.CuratorCacheListener").builder()
        function = "java.util.function.Consumer"
        b = b.forInitialized(implement("java.lang.Runnable",
                                       run=self.ready.set))
        b = b.forCreates(implement(function,
                                   accept=lambda n: self.add("+", n)))
        b = b.forDeletes(implement(function,
                                   accept=lambda n: self.add("-", n)))
        b = b.forChanges(implement(
            recipe("cache.CuratorCacheListenerBuilder$ChangeListener"),
            event=lambda old, new: self.add("=", new)))
        cache.listenable().addListener(b.build())

    def add(self, mark, node):
        self.seen.append("%s%s %s" % (
            mark, str(node.getPath())[len(self.root):],
            from_bytes(node.getData()).decode()))

    def wait(self, *want):
        """The events so far are these."""
        wait_for(lambda: len(self.seen) >= len(want),
                 lambda: "%r, have %r" % (want, self.seen))
        eq(self.seen, list(want), "events")


def t_curator_cache(x):
    c, other, root = x.client(), x.client(), x.root + "/c"
    put(other, root, b"top")
    put(other, root + "/a", b"1")
    cache = x.close(recipe("cache.CuratorCache").build(c, root))
    log = Log(cache, root)
    cache.start()
    assert log.ready.wait(WAIT)
    log.wait("+ top", "+/a 1")
    # the cache reads what an event tells it of: what is gone by then, or
    # changed once more, was never there
    put(other, root + "/a", b"2")
    log.wait("+ top", "+/a 1", "=/a 2")
    put(other, root + "/a/deep", b"3")
    log.wait("+ top", "+/a 1", "=/a 2", "+/a/deep 3")
    put(other, root + "/b", b"4")
    log.wait("+ top", "+/a 1", "=/a 2", "+/a/deep 3", "+/b 4")
    other.delete().deletingChildrenIfNeeded().forPath(root + "/a")
    log.wait("+ top", "+/a 1", "=/a 2", "+/a/deep 3", "+/b 4", "-/a/deep 3",
             "-/a 2")
    eq(of(cache.get(root + "/b").get()), (root + "/b", b"4"))
    assert not cache.get(root + "/a").isPresent()
    eq((cache.size(), cache.stream().count()), (2, 2))


def t_curator_cache_single_node(x):
    c, other, root = x.client(), x.client(), x.root + "/c"
    cls = recipe("cache.CuratorCache")
    options = recipe("cache.CuratorCache$Options")
    cache = x.close(cls.build(c, root, options.SINGLE_NODE_CACHE))
    log = Log(cache, root)
    cache.start()
    assert log.ready.wait(WAIT)
    put(other, root, b"1")
    log.wait("+ 1")
    put(other, root + "/child", b"no business of this one")
    put(other, root, b"2")
    log.wait("+ 1", "= 2")
    other.delete().deletingChildrenIfNeeded().forPath(root)
    log.wait("+ 1", "= 2", "- 2")


def t_curator_cache_through_crash(x):
    """A kill -9 later it knows what changed, also what it did not see."""
    c, other, root = x.client(), x.client(), x.root + "/c"
    for n in "abc":
        put(other, root + "/" + n, b"1")
    cache = x.close(recipe("cache.CuratorCache").build(c, root))
    log = Log(cache, root)
    cache.start()
    assert log.ready.wait(WAIT)
    x.crash_server()
    wait_for(lambda: other.checkExists().forPath(root) is not None, "other")
    put(other, root + "/a", b"2")
    other.delete().forPath(root + "/b")
    put(other, root + "/d", b"4")
    want = {root: None, root + "/a": b"2", root + "/c": b"1",
            root + "/d": b"4"}

    def have():
        got = dict(of(n) for n in cache.stream().toArray())
        return {p: d for p, d in got.items() if p != root} == \
            {p: d for p, d in want.items() if p != root}
    wait_for(have, "the cache to be right")


def t_curator_cache_bridge(x):
    """CompatibleCuratorCacheBridge and its builder."""
    c, other, root = x.client(), x.client(), x.root + "/c"
    put(other, root + "/a", b"1")
    cache = x.close(recipe("cache.CuratorCache").bridgeBuilder(
        c, root).build())
    log = Log(cache, root)
    cache.start()
    assert log.ready.wait(WAIT)
    put(other, root + "/b", b"2")
    wait_for(lambda: "+/b 2" in log.seen, "b")
    eq(cache.get(root + "/a").get().getStat().getVersion(), 0)
    other.delete().forPath(root + "/a")
    wait_for(lambda: "-/a 1" in log.seen, "a's end")


def t_curator_cache_many(x):
    """Two hundred nodes made and changed in transactions: none is lost."""
    c, other, root = x.client(), x.client(), x.root + "/c"
    put(other, root, b"")
    cache = x.close(recipe("cache.CuratorCache").build(c, root))
    log = Log(cache, root)
    cache.start()
    assert log.ready.wait(WAIT)
    op = other.transactionOp()
    for first in range(0, 200, 50):
        part = range(first, first + 50)
        other.transaction().forOperations(
            [op.create().forPath("%s/n%d" % (root, i), byte_array(b"x"))
             for i in part])
        other.transaction().forOperations(
            [op.setData().forPath("%s/n%d" % (root, i), byte_array(b"y"))
             for i in part])

    def all_there():
        return [cache.get("%s/n%d" % (root, i)).map(implement(
            "java.util.function.Function",
            apply=lambda n: from_bytes(n.getData()).decode())).orElse("")
            for i in range(200)] == ["y"] * 200
    wait_for(all_there, "all of them")

    def creations():
        return len([s for s in log.seen if s.startswith("+/")])
    wait_for(lambda: creations() >= 200, "the listener to be told")
    eq(creations(), 200, "creations")


def t_curator_cache_wrapped_listeners(x):
    """The old caches' listeners on the new cache."""
    c, other, root = x.client(), x.client(), x.root + "/c"
    put(other, root, b"0")
    cache = x.close(recipe("cache.CuratorCache").build(c, root))
    seen = {"path": [], "tree": [], "node": 0}

    def node_changed():
        seen["node"] += 1
    builder = recipe("cache.CuratorCacheListener").builder()
    builder = builder.forPathChildrenCache(root, c, implement(
        recipe("cache.PathChildrenCacheListener"),
        childEvent=lambda client, e: seen["path"].append(str(e.getType()))))
    builder = builder.forTreeCache(c, implement(
        recipe("cache.TreeCacheListener"),
        childEvent=lambda client, e: seen["tree"].append(str(e.getType()))))
    builder = builder.forNodeCache(implement(
        recipe("cache.NodeCacheListener"), nodeChanged=node_changed))
    cache.listenable().addListener(builder.build())
    cache.start()
    put(other, root + "/a", b"1")
    wait_for(lambda: "CHILD_ADDED" in seen["path"] and
             "NODE_ADDED" in seen["tree"] and seen["node"], lambda: repr(seen))


def t_node_cache(x):
    c, other, path = x.client(), x.client(), x.root + "/n"
    cache = x.close(recipe("cache.NodeCache")(c, path))
    changed = []
    cache.getListenable().addListener(implement(
        recipe("cache.NodeCacheListener"),
        nodeChanged=lambda: changed.append(
            cache.getCurrentData() and of(cache.getCurrentData())[1])))
    cache.start(True)
    assert cache.getCurrentData() is None
    put(other, path, b"1")
    wait_for(lambda: changed == [b"1"], lambda: "1: %r" % changed)
    other.setData().forPath(path, byte_array(b"2"))
    wait_for(lambda: changed == [b"1", b"2"], lambda: "2: %r" % changed)
    other.delete().forPath(path)
    wait_for(lambda: changed == [b"1", b"2", None],
             lambda: "the end: %r" % changed)
    x.crash_server()
    wait_for(lambda: other.checkExists().forPath(x.root) is not None, "other")
    put(other, path, b"3")
    wait_for(lambda: changed[-1] == b"3",
             lambda: "3 after the crash: %r" % changed)


def t_path_children_cache(x):
    c, other, root = x.client(), x.client(), x.root + "/p"
    put(other, root + "/a", b"1")
    mode = recipe("cache.PathChildrenCache$StartMode")
    cache = x.close(recipe("cache.PathChildrenCache")(c, root, True))
    seen = []

    def event(client, e):
        d = e.getData()
        seen.append((str(e.getType()), d and of(d)[0][len(root):]))
    cache.getListenable().addListener(implement(
        recipe("cache.PathChildrenCacheListener"), childEvent=event))
    cache.start(mode.POST_INITIALIZED_EVENT)
    wait_for(lambda: ("INITIALIZED", None) in seen, "the start")
    assert ("CHILD_ADDED", "/a") in seen, seen
    put(other, root + "/b", b"2")
    wait_for(lambda: ("CHILD_ADDED", "/b") in seen, lambda: "b: %r" % seen)
    put(other, root + "/b", b"3")
    wait_for(lambda: ("CHILD_UPDATED", "/b") in seen,
             lambda: "b: %r" % seen)
    other.delete().forPath(root + "/a")
    wait_for(lambda: ("CHILD_REMOVED", "/a") in seen,
             lambda: "a: %r" % seen)
    eq([of(d) for d in cache.getCurrentData()], [(root + "/b", b"3")])
    x.crash_server()
    wait_for(lambda: ("CONNECTION_RECONNECTED", None) in seen, "reconnect")
    put(other, root + "/late", b"4")
    wait_for(lambda: ("CHILD_ADDED", "/late") in seen,
             lambda: "late: %r" % seen)


def t_tree_cache(x):
    c, other, root = x.client(), x.client(), x.root + "/t"
    for i in range(3):
        for j in range(3):
            put(other, "%s/%d/%d" % (root, i, j), b"%d" % (i * j))
    cache = x.close(recipe("cache.TreeCache")(c, root))
    seen = []
    cache.getListenable().addListener(implement(
        recipe("cache.TreeCacheListener"),
        childEvent=lambda client, e: seen.append(str(e.getType()))))
    cache.start()
    wait_for(lambda: "INITIALIZED" in seen, "the start")
    eq(seen.count("NODE_ADDED"), 13)
    eq(sorted(cache.getCurrentChildren(root).keySet()), ["0", "1", "2"])
    eq(from_bytes(cache.getCurrentData(root + "/2/2").getData()), b"4")
    put(other, root + "/1/1", b"new")
    wait_for(lambda: "NODE_UPDATED" in seen, "the change")
    other.delete().deletingChildrenIfNeeded().forPath(root + "/0")
    wait_for(lambda: seen.count("NODE_REMOVED") == 4, "four to go")
    assert cache.getCurrentData(root + "/0/0") is None
