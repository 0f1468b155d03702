# SPDX-License-Identifier: GPL-2.0-or-later
"""Curator's elections and barriers."""

import threading

from base import (SHORT, WAIT, Background, curator, eq, implement, java,
                  kill_session, recipe, units, wait_for)


def latch(x, c, name, log=None, **kw):
    it = recipe("leader.LeaderLatch")(c, x.root + "/latch", name)
    if log is not None:
        it.addListener(implement(
            recipe("leader.LeaderLatchListener"),
            isLeader=lambda: log.append(name),
            notLeader=lambda: log.append("not " + name)))
    it.start()
    return x.close(it)


def t_latch(x):
    log = []
    a = latch(x, x.client(), "a", log)
    assert a.await_(WAIT * 1000, units())
    b = latch(x, x.client(), "b", log)
    c = latch(x, x.client(), "c", log)
    wait_for(lambda: c.getParticipants().size() == 3, "three to stand")
    eq([p.hasLeadership() for p in (a, b, c)], [True, False, False])
    eq(c.getLeader().getId(), "a")
    eq(sorted(p.getId() for p in c.getParticipants()), ["a", "b", "c"])
    a.close(java("org.apache.curator.framework.recipes.leader."
                 "LeaderLatch$CloseMode").NOTIFY_LEADER)
    # close() deletes the node before it calls its own listener: the next may
    # lead, and say so, before a says that it does not. Nearly always that is
    # b; but who finds that the node before its own went before it could watch
    # that one stands anew, behind c.
    eq([n for n in log if n not in "bc"], ["a", "not a"])
    wait_for(lambda: b.hasLeadership() or c.hasLeadership(), "the next to lead")
    first, last = (b, c) if b.hasLeadership() else (c, b)
    wait_for(lambda: first.getId() in log, lambda: "the listeners: %r" % log)
    assert log[0] == "a" and len(log) == 3, log
    assert not last.hasLeadership()
    first.close()
    assert last.await_(WAIT * 1000, units())


def t_latch_of_the_dead(x):
    ca, log = x.client(), []
    a = latch(x, ca, "a", log)
    assert a.await_(WAIT * 1000, units())
    b = latch(x, x.client(), "b", log)
    wait_for(lambda: b.getParticipants().size() == 2, "b to stand")
    kill_session(ca)
    assert b.await_(WAIT * 1000, units())
    wait_for(lambda: not a.hasLeadership(), "a to learn of it")
    wait_for(lambda: b.getParticipants().size() == 2, "a to stand again")


def t_latch_through_restart(x):
    log = []
    a = latch(x, x.client(), "a", log)
    assert a.await_(WAIT * 1000, units())
    x.restart_server(lambda: wait_for(lambda: not a.hasLeadership(),
                                      "a to lose it"))
    wait_for(a.hasLeadership, "a to have it again")
    wait_for(lambda: len(log) >= 3 and log[-1] == "a",
             lambda: "the listener: %r" % log)
    eq(log, ["a", "not a"] * (len(log) // 2) + ["a"])


def selector(x, c, name, lead):
    """A LeaderSelector; lead(name) is its leadership."""
    it = recipe("leader.LeaderSelector")(c, x.root + "/select", implement(
        recipe("leader.LeaderSelectorListener"),
        takeLeadership=lambda client: lead(name),
        stateChanged=lambda client, state: None))
    it.setId(name)
    return x.close(it)


def t_selector(x):
    order = []
    go = {n: threading.Event() for n in "abc"}

    def lead(name):
        order.append(name)
        go[name].wait(WAIT)
    all_ = {}
    for n in "abc":
        all_[n] = selector(x, x.client(), n, lead)
        all_[n].start()
        wait_for(lambda: all_[n].getParticipants().size() == len(all_),
                 n + " to stand")
    wait_for(lambda: order == ["a"], "a to lead")
    assert all_["a"].hasLeadership() and not all_["b"].hasLeadership()
    eq(all_["c"].getLeader().getId(), "a")
    go["a"].set()
    wait_for(lambda: order == ["a", "b"], "b to lead")
    go["b"].set()
    wait_for(lambda: order == ["a", "b", "c"], "c to lead")
    go["c"].set()
    wait_for(lambda: not all_["c"].hasLeadership(), "c to be done")


def t_selector_requeues(x):
    order = []
    sel = {}

    def lead(name):
        order.append(name)
    for n in "ab":
        sel[n] = selector(x, x.client(), n, lead)
        sel[n].autoRequeue()
        sel[n].start()
    wait_for(lambda: order.count("a") > 2 and order.count("b") > 2,
             "both to lead again and again")


def t_selector_interrupted(x):
    began, ended = threading.Event(), threading.Event()
    sleep = java("java.lang.Thread").sleep

    def lead(name):
        began.set()
        try:
            sleep(WAIT * 1000)
        finally:
            ended.set()
    s = selector(x, x.client(), "a", lead)
    s.start()
    assert began.wait(WAIT)
    s.interruptLeadership()
    assert ended.wait(WAIT)


def t_barrier(x):
    cls = recipe("barriers.DistributedBarrier")
    a, b, c = (cls(x.client(), x.root + "/barrier") for _ in range(3))
    b.waitOnBarrier()                   # there is none yet
    a.setBarrier()
    assert not b.waitOnBarrier(SHORT, units())
    waiting = [Background(p.waitOnBarrier) for p in (b, c)]
    a.removeBarrier()
    for w in waiting:
        w.result()


def t_double_barrier(x):
    cls = recipe("barriers.DistributedDoubleBarrier")
    all_ = [cls(x.client(), x.root + "/double", 3) for _ in range(3)]
    entering = [Background(p.enter) for p in all_[:2]]
    third = x.client()
    wait_for(lambda: third.checkExists().forPath(x.root + "/double") and
             third.getChildren().forPath(x.root + "/double").size() == 2,
             "two at the door")
    assert not any(e.done() for e in entering), "in before the third"
    all_[2].enter()
    for e in entering:
        e.result()
    leaving = [Background(p.leave) for p in all_[:2]]
    wait_for(lambda: len([n for n in third.getChildren().forPath(
        x.root + "/double") if n != "ready"]) <= 3, "them to go")
    all_[2].leave()
    for e in leaving:
        e.result()


def t_double_barrier_times_out(x):
    b = recipe("barriers.DistributedDoubleBarrier")(
        x.client(), x.root + "/double", 2)
    assert not b.enter(SHORT, units()), "one of two is not enough"


def t_after_connection(x):
    """AfterConnectionEstablished runs once the client is connected."""
    c = x.client(start=False)
    ran = threading.Event()
    f = recipe("AfterConnectionEstablished")
    c.start()
    f.execute(c, implement("java.lang.Runnable", run=ran.set))
    assert ran.wait(WAIT)
    assert c.getState() == curator("framework.imps.CuratorFrameworkState") \
        .STARTED
