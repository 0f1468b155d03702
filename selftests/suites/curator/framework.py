# SPDX-License-Identifier: GPL-2.0-or-later
"""What the recipes stand on: Curator's framework itself."""

import threading

from base import (WAIT, byte_array, curator, eq, from_bytes, implement, java,
                  kill_session, raises, wait_for)


def modes():
    return java("org.apache.zookeeper.CreateMode")


def stat():
    return java("org.apache.zookeeper.data.Stat")()


def t_create_modes(x):
    c, m = x.client(), modes()
    c.create().creatingParentContainersIfNeeded().forPath(x.root + "/top")
    for i, mode in enumerate(m.values()):
        b = c.create()
        st = stat()
        if mode.isTTL():
            b = b.withTtl(3600000)
        path = "%s/top/%d" % (x.root, i)
        got = b.storingStatIn(st).withMode(mode).forPath(
            path, byte_array(b"%d" % i))
        assert (got != path) == mode.isSequential(), str(mode)
        seen = stat()
        eq(from_bytes(c.getData().storingStatIn(seen).forPath(got)),
           b"%d" % i)
        eq(st.getCzxid(), seen.getCzxid(), "%s: the reply's stat" % mode)
        eq(seen.getEphemeralOwner() != 0, bool(mode.isEphemeral()), str(mode))


def t_create_options(x):
    c = x.client()
    path = x.root + "/a/b"
    raises("NoNodeException", c.create().forPath, path)
    eq(c.create().creatingParentsIfNeeded().forPath(path), path)
    raises("NodeExistsException", c.create().forPath, path)
    c.create().orSetData().forPath(path, byte_array(b"set"))
    eq(from_bytes(c.getData().forPath(path)), b"set")
    c.create().idempotent().forPath(x.root + "/i", byte_array(b"x"))
    c.create().idempotent().forPath(x.root + "/i", byte_array(b"x"))
    raises("NodeExistsException", c.create().idempotent().forPath,
           x.root + "/i", byte_array(b"y"))
    got = c.create().withProtection().withMode(
        modes().EPHEMERAL_SEQUENTIAL).forPath(x.root + "/p-")
    assert "/_c_" in got and got.endswith("0000000002"), got
    c.createContainers(x.root + "/deep/container")
    c.create().compressed().forPath(x.root + "/z", byte_array(b"z" * 999))
    assert c.checkExists().forPath(x.root + "/z").getDataLength() < 100
    eq(from_bytes(c.getData().decompressed().forPath(x.root + "/z")),
       b"z" * 999)


def t_set_and_delete(x):
    c = x.client()
    path = x.root + "/n"
    c.create().creatingParentsIfNeeded().forPath(path + "/kid/kid")
    eq(c.setData().withVersion(0).forPath(path, byte_array(b"1"))
       .getVersion(), 1)
    raises("BadVersionException", c.setData().withVersion(0).forPath, path,
           byte_array(b"2"))
    c.setData().idempotent().withVersion(1).forPath(path, byte_array(b"2"))
    c.setData().idempotent().withVersion(1).forPath(path, byte_array(b"2"))
    raises("NotEmptyException", c.delete().forPath, path)
    raises("BadVersionException", c.delete().withVersion(7).forPath,
           path + "/kid/kid")
    c.delete().guaranteed().deletingChildrenIfNeeded().forPath(path)
    raises("NoNodeException", c.delete().forPath, path)
    c.delete().quietly().forPath(path)
    c.delete().idempotent().forPath(path)


def t_transaction(x):
    c, path = x.client(), x.root + "/t"
    c.create().creatingParentsIfNeeded().forPath(path, byte_array(b"0"))
    op = c.transactionOp()
    got = c.transaction().forOperations([
        op.check().withVersion(0).forPath(path),
        op.create().forPath(path + "/a", byte_array(b"a")),
        op.create().withMode(modes().EPHEMERAL_SEQUENTIAL).forPath(
            path + "/s-", byte_array(b"s")),
        op.setData().withVersion(0).forPath(path, byte_array(b"1")),
        op.delete().forPath(path + "/a")])
    eq([str(r.getType()) for r in got],
       ["CHECK", "CREATE", "CREATE", "SET_DATA", "DELETE"])
    eq(got.get(2).getResultPath(), path + "/s-0000000001")
    eq(got.get(3).getResultStat().getVersion(), 1)
    e = raises("NoNodeException", c.transaction().forOperations, [
        op.setData().forPath(path, byte_array(b"never")),
        op.delete().forPath(path + "/nothing"),
        op.create().forPath(path + "/b")])
    eq([r.getErr() if hasattr(r, "getErr") else 0 for r in e.getResults()],
       [0, -101, -2])
    eq(from_bytes(c.getData().forPath(path)), b"1")


def t_transaction_old_style(x):
    c, path = x.client(), x.root + "/t"
    c.create().creatingParentsIfNeeded().forPath(path)
    t = c.inTransaction().create().forPath(path + "/a").and_()
    t = t.setData().forPath(path, byte_array(b"x")).and_()
    eq(t.commit().size(), 2)


def t_transaction_in_background(x):
    c, path = x.client(), x.root + "/t"
    op = c.transactionOp()
    got, done = [], threading.Event()

    def result(client, e):
        got.append((str(e.getType()), e.getResultCode(),
                    e.getOpResults().size()))
        done.set()
    c.transaction().inBackground(callback(result)).forOperations([
        op.create().forPath(x.root), op.create().forPath(path)])
    assert done.wait(WAIT)
    eq(got, [("TRANSACTION", 0, 2)])


def callback(f):
    return implement("org.apache.curator.framework.api.BackgroundCallback",
                     processResult=f)


def t_background(x):
    c, path = x.client(), x.root + "/n"
    got = []

    def result(client, e):
        got.append((str(e.getType()), e.getResultCode(), str(e.getPath())))
    cb = callback(result)
    c.create().creatingParentsIfNeeded().inBackground(cb).forPath(path)
    wait_for(lambda: len(got) == 1, "create")
    c.create().inBackground(cb).forPath(path)
    c.setData().inBackground(cb).forPath(path, byte_array(b"1"))
    c.getData().inBackground(cb).forPath(path)
    c.checkExists().inBackground(cb).forPath(path)
    c.getChildren().inBackground(cb).forPath(x.root)
    c.getACL().inBackground(cb).forPath(path)
    c.sync().inBackground(cb).forPath(path)
    c.delete().inBackground(cb).forPath(path)
    wait_for(lambda: len(got) == 9, "all of them")
    eq(got, [("CREATE", 0, path), ("CREATE", -110, path),
             ("SET_DATA", 0, path), ("GET_DATA", 0, path),
             ("EXISTS", 0, path), ("CHILDREN", 0, x.root),
             ("GET_ACL", 0, path), ("SYNC", 0, path), ("DELETE", 0, path)])


def t_acl(x):
    owner, other = x.client(auth=b"u:p"), x.client()
    ids = java("org.apache.zookeeper.ZooDefs$Ids")
    path = x.root + "/secret"
    owner.create().creatingParentsIfNeeded().withACL(
        ids.CREATOR_ALL_ACL).forPath(path, byte_array(b"x"))
    eq(from_bytes(owner.getData().forPath(path)), b"x")
    raises("NoAuthException", other.getData().forPath, path)
    raises("NoAuthException", other.setData().forPath, path)
    eq(str(owner.getACL().forPath(path).get(0).getId().getScheme()),
       "digest")
    owner.setACL().withVersion(0).withACL(ids.OPEN_ACL_UNSAFE).forPath(path)
    eq(from_bytes(other.getData().forPath(path)), b"x")
    raises("BadVersionException",
           owner.setACL().withVersion(0).withACL(ids.OPEN_ACL_UNSAFE)
           .forPath, path)


def fence(c):
    """When this is over, all events sent before now have been handed out:
    one thread of the client's does both."""
    done = threading.Event()
    c.sync().inBackground(callback(lambda client, e: done.set())).forPath("/")
    assert done.wait(WAIT)


def watcher(seen):
    def process(e):
        if e.getPath() is not None:
            seen.append((str(e.getType()), str(e.getPath())))
    return implement("org.apache.curator.framework.api.CuratorWatcher",
                     process=process)


def t_watches(x):
    c, other, path = x.client(), x.client(), x.root + "/w"
    other.create().creatingParentsIfNeeded().forPath(path)
    seen = []
    w = watcher(seen)
    c.getData().usingWatcher(w).forPath(path)
    c.getChildren().usingWatcher(w).forPath(path)
    c.checkExists().usingWatcher(w).forPath(path + "/no")
    other.create().forPath(path + "/no")
    other.setData().forPath(path, byte_array(b"1"))
    other.setData().forPath(path, byte_array(b"2"))
    want = {("NodeCreated", path + "/no"), ("NodeChildrenChanged", path),
            ("NodeDataChanged", path)}
    wait_for(lambda: len(seen) >= 3, lambda: "three: %r" % seen)
    fence(c)
    eq((len(seen), set(seen)), (3, want), "one-shot events")


def t_add_and_remove_watches(x):
    c, other, path = x.client(), x.client(), x.root + "/w"
    other.create().creatingParentsIfNeeded().forPath(path)
    mode = java("org.apache.zookeeper.AddWatchMode")
    kind = java("org.apache.zookeeper.Watcher$WatcherType")
    seen = []
    w = watcher(seen)
    c.watchers().add().withMode(mode.PERSISTENT_RECURSIVE).usingWatcher(w) \
        .forPath(path)
    other.create().forPath(path + "/a")
    other.delete().forPath(path + "/a")
    wait_for(lambda: seen == [("NodeCreated", path + "/a"),
                              ("NodeDeleted", path + "/a")],
             lambda: "%r" % seen)
    del seen[:]
    c.watchers().remove(w).ofType(kind.Any).forPath(path)
    other.create().forPath(path + "/b")
    fence(c)
    eq(seen, [("PersistentWatchRemoved", path)], "a removed watch's events")
    del seen[:]
    raises("NoWatcherException", c.watchers().removeAll().ofType(kind.Any)
           .forPath, path)
    c.getData().usingWatcher(w).forPath(path)
    raises("NoWatcherException", c.watchers().remove(w).ofType(kind.Children)
           .forPath, path)
    c.watchers().removeAll().ofType(kind.Data).forPath(path)
    other.setData().forPath(path, byte_array(b"1"))
    fence(c)
    eq(seen, [("DataWatchRemoved", path)], "a removed watch's events")


def t_watcher_removing_client(x):
    c, other, path = x.client(), x.client(), x.root + "/w"
    other.create().creatingParentsIfNeeded().forPath(path)
    seen = []
    removing = c.newWatcherRemoveCuratorFramework()
    removing.getData().usingWatcher(watcher(seen)).forPath(path)
    removing.getChildren().usingWatcher(watcher(seen)).forPath(x.root)
    removing.removeWatchers()
    want = {("DataWatchRemoved", path), ("ChildWatchRemoved", x.root)}
    wait_for(lambda: len(seen) == 2, lambda: "two to be removed: %r" % seen)
    other.setData().forPath(path, byte_array(b"1"))
    other.create().forPath(x.root + "/kid")
    fence(c)
    eq((len(seen), set(seen)), (2, want), "events of removed watches")


def t_namespace(x):
    name = x.root[1:]
    a, plain = x.client(namespace=name), x.client()
    eq(a.create().creatingParentsIfNeeded().forPath("/in/side"), "/in/side")
    assert plain.checkExists().forPath(x.root + "/in/side") is not None
    b = plain.usingNamespace(name + "/in")
    eq(list(b.getChildren().forPath("/")), ["side"])
    eq(sorted(plain.getChildren().forPath(x.root)), ["in"])


def t_schema(x):
    schema = curator("framework.schema.Schema")
    s = schema.builder(x.root + "/fixed").canBeDeleted(False).sequential(
        java(schema.class_.getName() + "$Allowance").CANNOT).build()
    set_ = curator("framework.schema.SchemaSet")(
        java("java.util.Collections").singletonList(s), True)
    import control
    c = x.close(curator("framework.CuratorFrameworkFactory").builder()
                .connectString(control.send("address"))
                .retryPolicy(curator("retry.RetryOneTime")(100))
                .schemaSet(set_).build())
    c.start()
    c.create().creatingParentsIfNeeded().forPath(x.root + "/fixed")
    raises("SchemaViolation", c.delete().forPath, x.root + "/fixed")
    c.create().forPath(x.root + "/free")
    c.delete().forPath(x.root + "/free")


def t_config(x):
    c = x.client()
    eq(from_bytes(c.getConfig().forEnsemble()), b"")
    raises("ReconfigDisabledException",
           c.reconfig().joining(["server.9=h:1:2;3"]).forEnsemble)


def state_log(c):
    log = []
    c.getConnectionStateListenable().addListener(implement(
        "org.apache.curator.framework.state.ConnectionStateListener",
        stateChanged=lambda client, state: log.append(str(state))))
    return log


def t_connection_states(x):
    """Suspended and reconnected by a restart, session and ephemeral kept.
    (LOST may come between: Curator's own clock says so.)"""
    c = x.client(session_ms=40000, start=False)
    log = state_log(c)
    c.start()
    wait_for(lambda: log == ["CONNECTED"], "the first connection")
    path = c.create().creatingParentsIfNeeded().withMode(
        modes().EPHEMERAL).forPath(x.root + "/e")
    sid = c.getZookeeperClient().getZooKeeper().getSessionId()
    x.restart_server(lambda: wait_for(lambda: "SUSPENDED" in log, "the end"))
    wait_for(lambda: log[-1] == "RECONNECTED",
             lambda: "the reconnect: %r" % log)
    eq(c.checkExists().forPath(path).getEphemeralOwner(), sid)
    eq([s for s in log if s != "LOST"],
       ["CONNECTED", "SUSPENDED", "RECONNECTED"])


def t_session_lost(x):
    c, other = x.client(), x.client()
    log = state_log(c)
    path = c.create().creatingParentsIfNeeded().withMode(
        modes().EPHEMERAL).forPath(x.root + "/e")
    kill_session(c)
    wait_for(lambda: log and log[-1] == "RECONNECTED" and "LOST" in log,
             lambda: "the new session: %r" % log)
    wait_for(lambda: other.checkExists().forPath(path) is None, "its end")


def t_guaranteed_delete(x):
    """Asked for while the server is away, done when it is back."""
    c = x.client()
    path = x.root + "/g"
    c.create().creatingParentsIfNeeded().forPath(path)
    done = threading.Event()

    def ask():
        c.delete().guaranteed().inBackground(
            callback(lambda client, e: done.set())).forPath(path)
    x.restart_server(ask)
    wait_for(lambda: x.any_client().checkExists().forPath(path) is None,
             "it to be deleted")


def t_retry_through_restart(x):
    """A call made while the server is away is tried until it is back."""
    from base import Background
    c = x.client()
    c.create().creatingParentsIfNeeded().forPath(x.root + "/n")
    waiting = []

    def ask():
        waiting.append(Background(
            lambda: c.setData().forPath(x.root + "/n", byte_array(b"late"))))
    x.restart_server(ask)
    waiting[0].result()
    eq(from_bytes(c.getData().forPath(x.root + "/n")), b"late")


def t_getting_big(x):
    c = x.client()
    big = bytes(range(256)) * 3900
    c.create().creatingParentsIfNeeded().forPath(x.root + "/big",
                                                 byte_array(big))
    eq(from_bytes(c.getData().forPath(x.root + "/big")), big)


def t_ensure(x):
    c = x.client()
    e = curator("framework.EnsureContainers")(c, x.root + "/a/b/c")
    e.ensure()
    c.newNamespaceAwareEnsurePath(x.root + "/d/e").ensure(
        c.getZookeeperClient())
    eq(sorted(c.getChildren().forPath(x.root)), ["a", "d"])
