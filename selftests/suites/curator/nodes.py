# SPDX-License-Identifier: GPL-2.0-or-later
"""Curator's persistent nodes, group membership and service discovery."""

import threading

from base import (WAIT, byte_array, curator, eq, from_bytes, implement, java,
                  kill_session, recipe, units, wait_for)


def modes():
    return java("org.apache.zookeeper.CreateMode")


def t_persistent_node(x):
    """An ephemeral that comes back: deleted, expired, through a crash."""
    c, other = x.client(), x.client()
    n = x.close(recipe("nodes.PersistentNode")(
        c, modes().EPHEMERAL, False, x.root + "/n", byte_array(b"1")))
    n.start()
    assert n.waitForInitialCreate(WAIT * 1000, units())
    path = n.getActualPath()

    def owner():
        st = other.checkExists().forPath(path)
        return st and st.getEphemeralOwner()
    first = owner()
    eq(first, c.getZookeeperClient().getZooKeeper().getSessionId())
    other.delete().forPath(path)
    wait_for(owner, "it to be made again")
    n.setData(byte_array(b"2"))
    wait_for(lambda: from_bytes(other.getData().forPath(path)) == b"2", "2")
    kill_session(c)
    wait_for(lambda: (owner() or first) != first, "the new session's node")
    eq(from_bytes(other.getData().forPath(path)), b"2")
    second = owner()
    x.crash_server()
    wait_for(lambda: other.getZookeeperClient().isConnected(), "the server")
    eq(owner(), second, "the owner after a crash")


def t_persistent_node_modes(x):
    c = x.client()
    m = modes()
    for i, mode in enumerate((m.PERSISTENT, m.PERSISTENT_SEQUENTIAL,
                              m.EPHEMERAL_SEQUENTIAL, m.CONTAINER)):
        for protect in (False, True):
            n = recipe("nodes.PersistentNode")(
                c, mode, protect, "%s/%d/%s" % (x.root, i, protect),
                byte_array(b"x"))
            n.start()
            assert n.waitForInitialCreate(WAIT * 1000, units()), str(mode)
            path = n.getActualPath()
            eq(from_bytes(c.getData().forPath(path)), b"x")
            n.close()
            wait_for(lambda: c.checkExists().forPath(path) is None, "its end")


def t_persistent_ephemeral_node(x):
    """The old class."""
    cls = recipe("nodes.PersistentEphemeralNode")
    mode = java("org.apache.curator.framework.recipes.nodes."
                "PersistentEphemeralNode$Mode")
    c = x.client()
    n = x.close(cls(c, mode.PROTECTED_EPHEMERAL, x.root + "/n",
                    byte_array(b"x")))
    n.start()
    assert n.waitForInitialCreate(WAIT * 1000, units())
    first = n.getActualPath()
    kill_session(c)
    # the path may stay or change: there is one again, and it is ours
    def back():
        p = n.getActualPath()
        st = p and x.any_client().checkExists().forPath(p)
        return st and st.getEphemeralOwner() == \
            c.getZookeeperClient().getZooKeeper().getSessionId()
    wait_for(back, "the node to be made again (was %s)" % first)


def t_persistent_ttl_node(x):
    """Its touch child, made anew and anew, keeps it."""
    c = x.client()
    path = x.root + "/ttl"
    n = recipe("nodes.PersistentTtlNode")(c, path, 3000, byte_array(b"x"))
    n.start()
    assert n.waitForInitialCreate(WAIT * 1000, units())
    eq(from_bytes(c.getData().forPath(path)), b"x")
    wait_for(lambda: c.checkExists().forPath(path + "/touch") is not None,
             "the first touch")
    n.close()


def t_group_member(x):
    members = {}
    for n in "abc":
        c = x.client()
        members[n] = (c, x.close(recipe("nodes.GroupMember")(
            c, x.root + "/group", n, byte_array(n.encode()))))
        members[n][1].start()

    def seen_by(n):
        return sorted((str(e.getKey()), from_bytes(e.getValue()))
                      for e in members[n][1].getCurrentMembers().entrySet())
    all_ = [("a", b"a"), ("b", b"b"), ("c", b"c")]
    for n in "abc":
        wait_for(lambda: seen_by(n) == all_, "%s to see all" % n)
    members["b"][1].setThisData(byte_array(b"new"))
    wait_for(lambda: dict(seen_by("a")).get("b") == b"new", "b's new data")
    members["c"][1].close()
    wait_for(lambda: len(seen_by("a")) == 2, "c to leave")


def t_persistent_watcher(x):
    c, other = x.client(), x.client()
    other.create().creatingParentsIfNeeded().forPath(x.root + "/w")
    for recursive in (False, True):
        w = recipe("watch.PersistentWatcher")(c, x.root + "/w", recursive)
        seen, ready = [], threading.Event()
        w.getListenable().addListener(implement(
            "org.apache.zookeeper.Watcher",
            process=lambda e, seen=seen: seen.append(
                (str(e.getType()), str(e.getPath())))))
        w.getResetListenable().addListener(implement(
            "java.lang.Runnable", run=ready.set))
        w.start()
        assert ready.wait(WAIT)
        other.create().forPath(x.root + "/w/child")
        other.setData().forPath(x.root + "/w/child", byte_array(b"1"))
        other.delete().forPath(x.root + "/w/child")
        other.setData().forPath(x.root + "/w", byte_array(b"2"))
        kids = ("NodeChildrenChanged", x.root + "/w")
        child = x.root + "/w/child"
        want = [("NodeCreated", child), ("NodeDataChanged", child),
                ("NodeDeleted", child)] if recursive else [kids, kids]
        want.append(("NodeDataChanged", x.root + "/w"))
        wait_for(lambda: len(seen) >= len(want), lambda: "%r" % seen)
        eq(seen, want, "recursive: %s" % recursive)
        w.close()


def service(name, port, payload):
    return curator("x.discovery.ServiceInstance").builder().name(name) \
        .port(port).address("192.0.2.1").payload(payload).build()


def discovery(x, c, instance=None):
    b = curator("x.discovery.ServiceDiscoveryBuilder").builder(
        java("java.lang.String").class_).basePath(x.root + "/d").client(c)
    if instance:
        b = b.thisInstance(instance)
    d = x.close(b.build())
    d.start()
    return d


def t_discovery(x):
    c = x.client()
    one = service("web", 1, "first")
    a = discovery(x, c, one)
    b = discovery(x, x.client(), service("web", 2, "second"))
    who = discovery(x, x.client())
    eq(list(who.queryForNames()), ["web"])
    eq(sorted(str(i.getPayload()) for i in who.queryForInstances("web")),
       ["first", "second"])
    eq(int(who.queryForInstance("web", one.getId()).getPort()), 1)
    cache = x.close(who.serviceCacheBuilder().name("web").build())
    changed = []
    cache.addListener(implement(
        curator("x.discovery.details.ServiceCacheListener"),
        cacheChanged=lambda: changed.append(1),
        stateChanged=lambda client, state: None))
    cache.start()
    eq(cache.getInstances().size(), 2)
    provider = x.close(who.serviceProviderBuilder().serviceName("web")
                       .providerStrategy(curator(
                           "x.discovery.strategies.RoundRobinStrategy")())
                       .build())
    provider.start()
    eq(sorted(int(provider.getInstance().getPort()) for _ in range(4)),
       [1, 1, 2, 2])
    b.close()
    wait_for(lambda: cache.getInstances().size() == 1 and changed, "b to go")
    kill_session(c)
    wait_for(lambda: who.queryForInstances("web").size() == 1 and
             c.getZookeeperClient().isConnected(), "a to register again")
    node = "%s/d/web/%s" % (x.root, one.getId())
    # once more through c: its replies come in order, the registration's was
    # one of them
    first = c.checkExists().forPath(node).getCzxid()
    x.crash_server()

    def registered():
        st = x.any_client().checkExists().forPath(node)
        return st and st.getCzxid() != first
    wait_for(registered, "a to register once more after the crash")
    wait_for(lambda: [int(i.getPort()) for i in tries(
        lambda: who.queryForInstances("web"))] == [1], "a after the crash")
    a.unregisterService(one)
    wait_for(lambda: cache.getInstances().size() == 0, "nobody")


def tries(f):
    """f's value, or nothing while there is no connection."""
    import jpype
    try:
        return f()
    except jpype.JException as e:
        assert "ConnectionLoss" in type(e).__name__, e
        return []
