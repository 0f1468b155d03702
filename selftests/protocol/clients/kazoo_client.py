# SPDX-License-Identifier: GPL-2.0-or-later
"""kazoo, the Python client: its operations, watches and recipes, and its
reconnecting to a server that was killed and started again."""

import logging
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (BadVersionError, NoAuthError, NodeExistsError,
                              NoNodeError, NotEmptyError, RolledBackError,
                              RuntimeInconsistency)
from kazoo.retry import KazooRetry
from kazoo.security import make_acl, make_digest_acl

from zktest.proc import wait_for
from zktest.transcript import eq

logging.getLogger("kazoo").setLevel(logging.CRITICAL)

WAIT = 120


class Clients:
    """Started kazoo clients that all end with the with block."""

    def __init__(self, server):
        self.server = server
        self.all = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for zk in self.all:
            zk.stop()
            zk.close()

    def new(self, timeout=20, **kw):
        zk = KazooClient(
            hosts=self.server.address, timeout=timeout,
            connection_retry=KazooRetry(max_tries=-1, delay=0.1,
                                        max_delay=1), **kw)
        zk.start(WAIT)
        self.all.append(zk)
        return zk


def raises(exc, func, *args, **kw):
    try:
        func(*args, **kw)
    except exc:
        return
    raise AssertionError("%s not raised" % exc.__name__)


def t_kazoo_operations(server):
    with Clients(server) as clients:
        zk = clients.new()
        p = "/kazoo-operations"
        eq(zk.create(p + "/a/b", b"v", makepath=True), p + "/a/b")
        raises(NodeExistsError, zk.create, p + "/a/b")
        raises(NoNodeError, zk.create, p + "/x/y")
        raises(NotEmptyError, zk.delete, p + "/a")
        data, stat = zk.get(p + "/a/b")
        eq((data, stat.version, stat.dataLength), (b"v", 0, 1))
        st = zk.set(p + "/a/b", b"w", version=0)
        eq(st.version, 1)
        raises(BadVersionError, zk.set, p + "/a/b", b"x", version=0)
        eq(zk.exists(p + "/no"), None)
        raises(NoNodeError, zk.get, p + "/no")
        eq(zk.create(p + "/s-", sequence=True), p + "/s-0000000001")
        e = zk.create(p + "/e", ephemeral=True)
        eq(zk.exists(e).ephemeralOwner, zk.client_id[0])
        path, stat = zk.create(p + "/i", b"123", include_data=True)
        eq((path, stat.data_length), (p + "/i", 3))
        eq(sorted(zk.get_children(p)), ["a", "e", "i", "s-0000000001"])
        kids, stat = zk.get_children(p, include_data=True)
        eq((len(kids), stat.numChildren), (4, 4))
        eq(zk.sync(p), p)
        zk.ensure_path(p + "/deep/er/and/deeper")
        zk.delete(p + "/deep", recursive=True)
        eq(zk.exists(p + "/deep"), None)
        zk.create(p + "/ünï", "日本".encode())
        eq(zk.get(p + "/ünï")[0].decode(), "日本")


def t_kazoo_acl(server):
    with Clients(server) as clients:
        zk = clients.new()
        p = "/kazoo-acl"
        zk.ensure_path(p)
        mine = make_digest_acl("user", "pw", all=True)
        zk.create(p + "/x", b"secret", acl=[mine])
        raises(NoAuthError, zk.get, p + "/x")
        other = clients.new(auth_data=[("digest", "user:pw")])
        eq(other.get(p + "/x")[0], b"secret")
        eq(other.get_acls(p + "/x")[0], [mine])
        other.set_acls(p + "/x", [mine, make_acl("world", "anyone",
                                                 read=True)])
        eq(zk.get(p + "/x")[0], b"secret")
        raises(NoAuthError, zk.set, p + "/x", b"")
        zk.add_auth("digest", "user:pw")
        zk.set(p + "/x", b"")


def t_kazoo_transaction(server):
    with Clients(server) as clients:
        zk = clients.new()
        p = "/kazoo-transaction"
        zk.ensure_path(p)
        tr = zk.transaction()
        tr.create(p + "/a", b"1")
        tr.check(p + "/a", 0)
        tr.set_data(p + "/a", b"2")
        tr.create(p + "/b")
        tr.delete(p + "/b")
        r = tr.commit()
        eq(r[0], p + "/a")
        eq(r[2].version, 1)
        eq(zk.get_children(p), ["a"])
        tr = zk.transaction()
        tr.create(p + "/c")
        tr.delete(p + "/no")
        tr.create(p + "/d")
        r = tr.commit()
        eq([type(x) for x in r],
           [RolledBackError, NoNodeError, RuntimeInconsistency])
        eq(zk.get_children(p), ["a"])


def t_kazoo_watches(server):
    with Clients(server) as clients:
        zk, other = clients.new(), clients.new()
        p = "/kazoo-watches"
        zk.ensure_path(p)
        values, kids = [], []

        @zk.DataWatch(p)
        def on_data(data, stat):
            values.append(data)

        @zk.ChildrenWatch(p)
        def on_kids(children):
            kids.append(sorted(children))

        for i in range(20):
            other.set(p, b"%d" % i)
            wait_for(lambda: values[-1] == b"%d" % i, WAIT, "data %d" % i,
                     0.005)
        other.create(p + "/a")
        wait_for(lambda: kids[-1] == ["a"], WAIT, "a child", 0.005)
        other.delete(p + "/a")
        wait_for(lambda: kids[-1] == [], WAIT, "no child", 0.005)


def t_kazoo_lock(server):
    """Two clients count under one lock: nothing is lost."""
    with Clients(server) as clients:
        p = "/kazoo-lock"
        total = [0]
        errors = []

        def work(zk, name):
            try:
                lock = zk.Lock(p, name)
                for _ in range(25):
                    with lock:
                        n = total[0]
                        zk.exists(p)
                        total[0] = n + 1
            except Exception as e:
                errors.append(repr(e))

        threads = [threading.Thread(target=work, args=(clients.new(), str(i)))
                   for i in range(3)]
        for th in threads:
            th.start()
        for th in threads:
            th.join(WAIT)
        eq(errors, [])
        eq(total[0], 75)


def t_kazoo_counter(server):
    with Clients(server) as clients:
        zks = [clients.new() for _ in range(3)]
        errors = []

        def work(zk):
            try:
                c = zk.Counter("/kazoo-counter")
                for _ in range(20):
                    c += 1
            except Exception as e:
                errors.append(repr(e))

        threads = [threading.Thread(target=work, args=(z,)) for z in zks]
        for th in threads:
            th.start()
        for th in threads:
            th.join(WAIT)
        eq(errors, [])
        eq(zks[0].Counter("/kazoo-counter").value, 60)


def t_kazoo_election(server):
    """The leader's session ends: the next candidate leads."""
    with Clients(server) as clients:
        order = []
        go = {"a": threading.Event(), "b": threading.Event()}
        zks = {n: clients.new() for n in "ab"}

        def lead(name):
            order.append(name)
            go[name].wait(WAIT)

        def run(name):
            try:
                zks[name].Election("/kazoo-election", name).run(lead, name)
            except Exception as e:
                if name == "b":
                    order.append(repr(e))

        a = threading.Thread(target=run, args=("a",))
        a.start()
        wait_for(lambda: order == ["a"], WAIT, "a to lead", 0.01)
        b = threading.Thread(target=run, args=("b",))
        b.start()
        watcher = clients.new()
        wait_for(lambda: len(watcher.Election(
            "/kazoo-election", "x").contenders()) == 2, WAIT, "b to stand")
        eq(order, ["a"])
        zks["a"].stop()
        go["a"].set()
        wait_for(lambda: order == ["a", "b"], WAIT, "b to lead", 0.01)
        go["b"].set()
        a.join(WAIT)
        b.join(WAIT)


def t_kazoo_survives_restart(server):
    """kill -9 and restart: the session, its ephemerals and its watches stay,
    and what was acknowledged is there."""
    with Clients(server) as clients:
        zk = clients.new(timeout=40)
        p = "/kazoo-restart"
        zk.ensure_path(p)
        zk.create(p + "/e", b"mine", ephemeral=True)
        zk.set(p, b"before")
        session = zk.client_id
        states, values, kids = [], [], []
        zk.add_listener(states.append)
        zk.DataWatch(p)(lambda data, stat: values.append(data))
        zk.ChildrenWatch(p)(lambda names: kids.append(sorted(names)))
        server.restart(crash=True)
        wait_for(lambda: zk.state == KazooState.CONNECTED and
                 KazooState.SUSPENDED in states, WAIT, "the reconnect")
        assert KazooState.LOST not in states, states
        eq(zk.client_id, session)
        eq(zk.get(p)[0], b"before")
        eq(zk.exists(p + "/e").ephemeralOwner, session[0])
        other = clients.new()
        other.set(p, b"after")
        other.create(p + "/new")
        wait_for(lambda: values[-1] == b"after", WAIT, "the new data")
        wait_for(lambda: kids[-1] == ["e", "new"], WAIT, "the new child")
        zk.stop()
        wait_for(lambda: not other.exists(p + "/e"), WAIT,
                 "the ephemeral's end")
