# SPDX-License-Identifier: GPL-2.0-or-later
"""Curator's shared values and counters."""

from base import (Background, byte_array, curator, eq, from_bytes,
                  implement, java, recipe, units, wait_for)


def retry():
    return curator("retry.RetryNTimes")(10, 10)


def t_shared_count(x):
    cls = recipe("shared.SharedCount")
    a, b = (x.close(cls(x.client(), x.root + "/count", 7)) for _ in range(2))
    seen = []
    b.addListener(implement(
        recipe("shared.SharedCountListener"),
        countHasChanged=lambda count, new: seen.append(int(new)),
        stateChanged=lambda client, state: None))
    a.start()
    b.start()
    eq((a.getCount(), b.getCount()), (7, 7))
    old = b.getVersionedValue()
    a.setCount(8)
    wait_for(lambda: seen == [8], "b's listener")
    eq(b.getCount(), 8)
    assert not b.trySetCount(old, 100), "an old version is good enough"
    assert b.trySetCount(b.getVersionedValue(), 9)
    wait_for(lambda: a.getCount() == 9, "a to see 9")


def t_shared_count_through_crash(x):
    cls = recipe("shared.SharedCount")
    a, b = (x.close(cls(x.client(), x.root + "/count", 0)) for _ in range(2))
    a.start()
    b.start()
    a.setCount(1)
    wait_for(lambda: b.getCount() == 1, "b to see 1")
    x.crash_server()
    wait_for(lambda: tries(lambda: a.setCount(2)), "a to write again")
    wait_for(lambda: b.getCount() == 2, "b to see 2: its watch is lost")


def tries(f):
    """True once f does not fail for want of a connection."""
    import jpype
    try:
        f()
        return True
    except jpype.JException as e:
        assert "ConnectionLoss" in type(e).__name__, e
        return False


def t_shared_value(x):
    cls = recipe("shared.SharedValue")
    a, b = (x.close(cls(x.client(), x.root + "/value", byte_array(b"seed")))
            for _ in range(2))
    seen = []
    b.getListenable().addListener(implement(
        recipe("shared.SharedValueListener"),
        valueHasChanged=lambda v, new: seen.append(from_bytes(new)),
        stateChanged=lambda client, state: None))
    a.start()
    b.start()
    old = b.getVersionedValue()
    a.setValue(byte_array(b"one"))
    wait_for(lambda: seen == [b"one"], "b's listener")
    assert not b.trySetValue(old, byte_array(b"lost"))
    assert b.trySetValue(b.getVersionedValue(), byte_array(b""))
    wait_for(lambda: from_bytes(a.getValue()) == b"", "a to see it")


def check_number(x, make, box):
    """What DistributedAtomicInteger and -Long have in common; box makes the
    Java object of a number."""
    a, b = make(x.client()), make(x.client())
    assert a.initialize(box(5)) and not b.initialize(box(6))
    eq(int(a.get().postValue()), 5)
    r = a.increment()
    eq((bool(r.succeeded()), int(r.preValue()), int(r.postValue())),
       (True, 5, 6))
    eq(int(b.decrement().postValue()), 5)
    eq(int(b.add(box(10)).postValue()), 15)
    eq(int(a.subtract(box(5)).postValue()), 10)
    assert not a.compareAndSet(box(9), box(1)).succeeded()
    assert a.compareAndSet(box(10), box(1)).succeeded()
    assert b.trySet(box(2)).succeeded()
    a.forceSet(box(0))

    def work(n):
        done = 0
        while done < 10:
            done += bool(n.increment().succeeded())
    for t in [Background(work, n) for n in (a, b, make(x.client()))]:
        t.result()
    eq(int(a.get().postValue()), 30)
    r = a.increment()
    assert r.getStats().getOptimisticTries() >= 1


def t_atomic_integer(x):
    cls = recipe("atomic.DistributedAtomicInteger")
    check_number(x, lambda c: cls(c, x.root + "/n", retry()),
                 java("java.lang.Integer").valueOf)


def t_atomic_long(x):
    cls = recipe("atomic.DistributedAtomicLong")
    check_number(x, lambda c: cls(c, x.root + "/n", retry()),
                 java("java.lang.Long").valueOf)


def t_atomic_long_with_lock(x):
    """No optimistic try at all: every change is under the lock."""
    lock = recipe("atomic.PromotedToLock").builder() \
        .lockPath(x.root + "/lock").retryPolicy(retry()) \
        .timeout(60000, units()).build()
    never = curator("retry.RetryNTimes")(0, 0)
    cls = recipe("atomic.DistributedAtomicLong")
    check_number(x, lambda c: cls(c, x.root + "/n", never, lock),
                 java("java.lang.Long").valueOf)


def t_atomic_value(x):
    cls = recipe("atomic.DistributedAtomicValue")
    a, b = (cls(x.client(), x.root + "/v", retry()) for _ in range(2))
    assert a.initialize(byte_array(b"one"))
    assert a.compareAndSet(byte_array(b"one"), byte_array(b"two")).succeeded()
    assert not b.compareAndSet(byte_array(b"one"),
                               byte_array(b"three")).succeeded()
    r = b.trySet(byte_array(b"three"))
    eq((from_bytes(r.preValue()), from_bytes(r.postValue())),
       (b"two", b"three"))
    a.forceSet(byte_array(b"four"))
    eq(from_bytes(b.get().postValue()), b"four")


def t_cached_numbers(x):
    c = x.client()
    for name, of in (("CachedAtomicLong", "DistributedAtomicLong"),
                     ("CachedAtomicInteger", "DistributedAtomicInteger")):
        n = recipe("atomic." + of)(c, x.root + "/" + of, retry())
        one = recipe("atomic." + name)(n, 10)
        two = recipe("atomic." + name)(n, 10)
        got = [int(p.next().postValue()) for p in (one, one, two, one, two)]
        eq(len(set(got)), 5, "numbers drawn")
        eq(int(n.get().postValue()), 20)
