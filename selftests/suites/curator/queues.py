# SPDX-License-Identifier: GPL-2.0-or-later
"""Curator's queues."""

import time

from base import (SHORT, WAIT, byte_array, eq, from_bytes, implement, recipe,
                  units, wait_for)


def serializer():
    return implement(
        recipe("queue.QueueSerializer"),
        serialize=lambda item: byte_array(str(item).encode()),
        deserialize=lambda data: from_bytes(data).decode())


def consumer(got, fail=()):
    """Puts what comes into got; fails once for each of fail."""
    fail = list(fail)

    def consume(item):
        if item in fail:
            fail.remove(item)
            raise RuntimeError("no " + item)
        got.append(str(item))
    return implement(recipe("queue.QueueConsumer"), consumeMessage=consume,
                     stateChanged=lambda client, state: None)


def builder(x, c, got, **kw):
    return recipe("queue.QueueBuilder").builder(
        c, got if got is None else consumer(got, **kw), serializer(),
        x.root + "/q")


def test_items(n=20):
    return ["item%02d" % i for i in range(n)]


def t_queue(x):
    got = []
    out = x.close(builder(x, x.client(), None).buildQueue())
    out.start()
    into = x.close(builder(x, x.client(), got).buildQueue())
    into.start()
    for i in test_items():
        out.put(i)
    assert out.flushPuts(WAIT * 1000, units())
    wait_for(lambda: len(got) >= 20, "all of them")
    eq(got, test_items())


def t_queue_of_many(x):
    """Two consumers with a lock path: each item comes to one of them."""
    got = [[], []]
    queues = []
    for g in got:
        q = x.close(builder(x, x.client(), g).lockPath(
            x.root + "/locks").buildQueue())
        q.start()
        queues.append(q)
    for i in test_items(60):
        queues[0].put(i)
    wait_for(lambda: len(got[0]) + len(got[1]) >= 60, "all of them")
    eq(sorted(got[0] + got[1]), test_items(60))


def t_queue_item_fails(x):
    """With a lock path, an item whose consumer fails comes again."""
    got = []
    q = x.close(builder(x, x.client(), got, fail=["item01"]).lockPath(
        x.root + "/locks").buildQueue())
    q.setErrorMode(recipe("queue.ErrorMode").REQUEUE)
    q.start()
    for i in test_items(3):
        q.put(i)
    wait_for(lambda: len(got) >= 3, "all of them")
    eq(sorted(got), test_items(3))


def t_queue_multi(x):
    """putMulti: many in one node."""
    got = []
    q = x.close(builder(x, x.client(), got).buildQueue())
    q.start()
    left = test_items(5)
    q.putMulti(implement(recipe("queue.MultiItem"),
                         nextItem=lambda: left.pop(0) if left else None))
    wait_for(lambda: len(got) >= 5, "all of them")
    eq(got, test_items(5))


def t_queue_through_crash(x):
    """Nothing is under way at the crash: a queue that lost the reply to its
    lock's creation waits for ever, which is Curator's own affair."""
    got = []
    c = x.client()
    q = x.close(builder(x, c, got).lockPath(x.root + "/locks").buildQueue())
    q.start()
    for i in test_items(10):
        q.put(i)
    wait_for(lambda: len(got) == 10, "ten")
    for path in ("/q", "/locks"):
        wait_for(lambda: not c.getChildren().forPath(x.root + path),
                 "their end")
    x.crash_server()
    for i in test_items(20)[10:]:
        wait_for(lambda: c.getZookeeperClient().isConnected(), "the server")
        q.put(i)
    wait_for(lambda: set(got) == set(test_items(20)), lambda: "all: %r" % got)


def t_bounded_queue(x):
    """maxItems: a put waits until there is room."""
    out = x.close(builder(x, x.client(), None).maxItems(2).putInBackground(
        False).buildQueue())
    out.start()
    assert out.put("a", WAIT * 1000, units())
    assert out.put("b", WAIT * 1000, units())
    wait_for(lambda: not out.put("c", SHORT, units()), "it to be full")


def t_id_queue(x):
    got = []
    a = x.close(builder(x, x.client(), None).buildIdQueue())
    a.start()
    a.put("one", "id1")
    a.put("two", "id2")
    assert a.flushPuts(WAIT * 1000, units())
    eq((a.remove("id1"), a.remove("id1")), (1, 0))
    b = x.close(builder(x, x.client(), got).buildIdQueue())
    b.start()
    wait_for(lambda: got, "the other one")
    eq(got, ["two"])


def t_priority_queue(x):
    got = []
    c = x.client()
    a = x.close(builder(x, c, None).buildPriorityQueue(0))
    a.start()
    for n, prio in ((1, 30), (2, -5), (3, 10), (4, 0)):
        a.put("p%d" % prio, prio)
    assert a.flushPuts(WAIT * 1000, units())
    wait_for(lambda: c.getChildren().forPath(x.root + "/q").size() == 4, "4")
    b = x.close(builder(x, x.client(), got).buildPriorityQueue(1))
    b.start()
    wait_for(lambda: len(got) == 4, "all of them")
    eq(got, ["p-5", "p0", "p10", "p30"])


def t_delay_queue(x):
    got = []
    a = x.close(builder(x, x.client(), None).buildDelayQueue())
    a.start()
    c = x.client()
    now = int(time.time() * 1000)
    a.put("late", now + 2000)
    a.put("past", now - 1000)
    assert a.flushPuts(WAIT * 1000, units())
    b = x.close(builder(x, c, got).buildDelayQueue())
    b.start()
    wait_for(lambda: len(got) == 2, "both")
    eq(got, ["past", "late"])
    assert time.time() * 1000 >= now + 2000, "too soon"


def t_simple_queue(x):
    cls = recipe("queue.SimpleDistributedQueue")
    a, b = (cls(x.client(), x.root + "/q") for _ in range(2))
    assert a.peek() is None and a.poll() is None
    for i in range(3):
        assert a.offer(byte_array(b"%d" % i))
    eq(from_bytes(b.peek()), b"0")
    eq(from_bytes(b.element()), b"0")
    eq([from_bytes(v) for v in (b.take(), b.remove(), a.poll())],
       [b"0", b"1", b"2"])
    assert a.poll(SHORT, units()) is None
    from base import Background
    waiting = Background(b.take)
    a.offer(byte_array(b"last"))
    eq(from_bytes(waiting.result()), b"last")


def t_blocking_consumer(x):
    c = x.client()
    bridge = recipe("queue.BlockingQueueConsumer")(implement(
        "org.apache.curator.framework.state.ConnectionStateListener",
        stateChanged=lambda client, state: None))
    q = x.close(recipe("queue.QueueBuilder").builder(
        c, bridge, serializer(), x.root + "/q").buildQueue())
    q.start()
    for i in test_items(3):
        q.put(i)
    eq([str(bridge.take()) for _ in range(3)], test_items(3))


def t_queue_sharder(x):
    c, got = x.client(), []

    def allocate(client, path):
        return recipe("queue.QueueBuilder").builder(
            client, consumer(got), serializer(), path).buildQueue()
    policies = recipe("queue.QueueSharderPolicies").builder() \
        .newQueueThreshold(2).thresholdCheckMs(1).build()
    s = x.close(recipe("queue.QueueSharder")(
        c, implement(recipe("queue.QueueAllocator"), allocateQueue=allocate),
        x.root + "/shards", x.root + "/leader", policies))
    s.start()
    for i in test_items(40):
        s.getQueue().put(i)
    wait_for(lambda: len(got) >= 40, "all of them")
    eq(sorted(got), test_items(40))
    assert s.getShardQty() >= 1
