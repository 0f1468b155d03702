# SPDX-License-Identifier: GPL-2.0-or-later
"""Curator's locks and semaphores."""

import threading

from base import (SHORT, WAIT, Background, byte_array, eq, implement,
                  java, kill_session, recipe, units, wait_for)


def mutex(x, c, path=None):
    return recipe("locks.InterProcessMutex")(c, path or x.root + "/lock")


def t_mutex(x):
    a, b = mutex(x, x.client()), mutex(x, x.client())
    a.acquire()
    a.acquire()
    assert a.isAcquiredInThisProcess() and a.isOwnedByCurrentThread()
    assert not b.acquire(SHORT, units()), "two have it"
    got = Background(b.acquire)
    wait_for(lambda: a.getParticipantNodes().size() == 2, "b to wait")
    a.release()
    assert not got.done(), "released once of twice"
    a.release()
    got.result()
    assert b.isAcquiredInThisProcess() and not a.isAcquiredInThisProcess()


def t_mutex_excludes(x):
    """Six threads on three clients: nobody is in there with another."""
    clients = [x.client() for _ in range(3)]
    inside, most, done = [0], [0], [0]

    def work(c):
        lock = mutex(x, c)
        for _ in range(8):
            assert lock.acquire(WAIT * 1000, units())
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            done[0] += 1
            inside[0] -= 1
            lock.release()
    for t in [Background(work, clients[i % 3]) for i in range(6)]:
        t.result()
    eq((most[0], done[0]), (1, 48))


def t_mutex_is_fair(x):
    lock = mutex(x, x.client())
    lock.acquire()
    order, waiting = [], []

    def work(n, c):
        m = mutex(x, c)
        m.acquire()
        order.append(n)
        m.release()
    for n in range(4):
        waiting.append(Background(work, n, x.client()))
        wait_for(lambda: lock.getParticipantNodes().size() == n + 2,
                 "%d to queue" % n)
    lock.release()
    for w in waiting:
        w.result()
    eq(order, [0, 1, 2, 3])


def t_mutex_of_the_dead(x):
    """The holder's session ends: the next one has the lock."""
    ca, cb = x.client(), x.client()
    a, b = mutex(x, ca), mutex(x, cb)
    a.acquire()
    got = Background(b.acquire)
    wait_for(lambda: b.getParticipantNodes().size() == 2, "b to wait")
    kill_session(ca)
    got.result()
    eq(cb.getChildren().forPath(x.root + "/lock").size(), 1)


def t_mutex_through_crash(x):
    """kill -9 and restart: the holder has it still, the waiter waits on."""
    ca, cb = x.client(), x.client()
    a, b = mutex(x, ca), mutex(x, cb)
    a.acquire()
    got = Background(b.acquire)
    wait_for(lambda: b.getParticipantNodes().size() == 2, "b to wait")
    x.crash_server()
    wait_for(lambda: ca.checkExists().forPath(x.root) is not None, "a")
    eq(ca.getChildren().forPath(x.root + "/lock").size(), 2)
    assert not got.done(), "two have it"
    a.release()
    got.result()


def t_mutex_revoked(x):
    ca, cb = x.client(), x.client()
    a = mutex(x, ca)
    asked = threading.Event()
    a.makeRevocable(implement(
        "org.apache.curator.framework.recipes.locks.RevocationListener",
        revocationRequested=lambda lock: asked.set()))
    a.acquire()
    node = list(a.getParticipantNodes())[0]
    recipe("locks.Revoker").attemptRevoke(cb, node)
    assert asked.wait(WAIT), "the holder is not told"


def t_semaphore_mutex(x):
    cls = recipe("locks.InterProcessSemaphoreMutex")
    a, b = (cls(x.client(), x.root + "/lock") for _ in range(2))
    a.acquire()
    assert not a.acquire(SHORT, units()), "it is not reentrant"
    got = Background(b.acquire)
    Background(a.release).result()      # any thread may
    got.result()
    assert b.isAcquiredInThisProcess()


def t_semaphore_v2(x):
    cls = recipe("locks.InterProcessSemaphoreV2")
    a, b = (cls(x.client(), x.root + "/sem", 3) for _ in range(2))
    a.setNodeData(b"who")
    leases = a.acquire(2)
    eq(from_lease(list(leases)[0]), b"who")
    third = b.acquire()
    assert b.acquire(SHORT, units()) is None, "a fourth of three"
    eq(a.getParticipantNodes().size(), 3)
    got = Background(b.acquire, 2)
    a.returnAll(leases)
    eq(got.result().size(), 2)
    b.returnLease(third)


def from_lease(lease):
    from base import from_bytes
    return from_bytes(lease.getData())


def t_semaphore_v2_count_grows(x):
    c = x.client()
    count = x.close(recipe("shared.SharedCount")(c, x.root + "/count", 1))
    count.start()
    sem = recipe("locks.InterProcessSemaphoreV2")(c, x.root + "/sem", count)
    sem.acquire()
    assert sem.acquire(SHORT, units()) is None
    got = Background(sem.acquire)
    other = x.close(recipe("shared.SharedCount")(
        x.client(), x.root + "/count", 1))
    other.start()
    other.setCount(2)
    got.result()


def t_semaphore_old(x):
    cls = recipe("locks.InterProcessSemaphore")
    a, b = (cls(x.client(), x.root + "/sem", 2) for _ in range(2))
    one, two = a.acquire(), b.acquire()
    assert b.acquire(SHORT, units()) is None
    got = Background(b.acquire)
    a.returnLease(one)
    b.returnAll([got.result(), two])


def t_read_write(x):
    cls = recipe("locks.InterProcessReadWriteLock")
    a, b = (cls(x.client(), x.root + "/rw", byte_array(b"me"))
            for _ in range(2))
    a.readLock().acquire()
    assert b.readLock().acquire(WAIT * 1000, units()), "two readers"
    b.readLock().release()
    assert not b.writeLock().acquire(SHORT, units()), "a writer beside them"
    got = Background(b.writeLock().acquire)
    wait_for(lambda: b.writeLock().getParticipantNodes().size() == 1, "b")
    a.readLock().release()
    got.result()
    assert not a.readLock().acquire(SHORT, units()), "a reader beside b"


def t_read_write_downgrade(x):
    cls = recipe("locks.InterProcessReadWriteLock")
    a, b = (cls(x.client(), x.root + "/rw") for _ in range(2))
    a.writeLock().acquire()
    a.readLock().acquire()
    a.writeLock().release()
    assert b.readLock().acquire(WAIT * 1000, units())
    assert not b.writeLock().acquire(SHORT, units())


def t_multi_lock(x):
    a, b = x.client(), x.client()
    paths = java("java.util.ArrayList")([x.root + "/one", x.root + "/two"])
    all_ = recipe("locks.InterProcessMultiLock")(a, paths)
    two = mutex(x, b, paths[1])
    two.acquire()
    assert not all_.acquire(SHORT, units()), "one of the two is taken"
    one = mutex(x, b, paths[0])
    assert one.acquire(WAIT * 1000, units()), "it kept the other one"
    one.release()
    two.release()
    all_.acquire()
    assert not Background(one.acquire, SHORT, units()).result()
    all_.release()


def t_locker(x):
    lock = mutex(x, x.client())
    held = recipe("locks.Locker")(lock, WAIT * 1000, units())
    assert lock.isAcquiredInThisProcess()
    held.close()
    assert not lock.isAcquiredInThisProcess()
