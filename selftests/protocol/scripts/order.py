# SPDX-License-Identifier: GPL-2.0-or-later
"""One client's requests are answered in the order they were sent."""

import threading

from zktest import wire
from zktest.transcript import eq


def t_pipeline(t):
    """Reads between writes, all sent at once: each sees those before it."""
    a = t.made_root("a")
    p = t.root + "/x"
    sent = []
    for i in range(100):
        data = b"%d" % i
        sent.append(a.send(wire.CREATE, wire.b_create(p, data)))
        sent.append(a.send(wire.GET_DATA, wire.b_path_watch(p)))
        sent.append(a.send(wire.SET_DATA, wire.b_set_data(p, data + b"'")))
        sent.append(a.send(wire.GET_DATA, wire.b_path_watch(p)))
        sent.append(a.send(wire.SYNC, wire.b_path(p)))
        sent.append(a.send(wire.DELETE, wire.b_path_int(p, 1)))
        sent.append(a.send(wire.EXISTS, wire.b_path_watch(p)))
        sent.append(a.send(wire.GET_CHILDREN, wire.b_path_watch(t.root)))
    got = [a.reply() for _ in sent]
    eq([r.xid for r in got], sent)
    last = 0
    for i in range(100):
        r = got[8 * i:8 * i + 8]
        eq([x.err for x in r], [0] * 6 + [wire.NO_NODE, 0], "round %d" % i)
        eq(r[1].data, b"%d" % i)
        eq(r[3].data, b"%d'" % i)
        eq(r[7].children, [])
        for x in r:
            assert x.zxid >= last, "zxids go back"
            last = x.zxid


def t_pipeline_of_failures(t):
    a = t.made_root("a")
    p = t.root + "/x"
    ops = [(wire.DELETE, wire.b_path_int(p, -1), wire.NO_NODE),
           (wire.CREATE, wire.b_create(p), 0),
           (wire.CREATE, wire.b_create(p), wire.NODE_EXISTS),
           (wire.SET_DATA, wire.b_set_data(p, b"", 1), wire.BAD_VERSION),
           (wire.SET_DATA, wire.b_set_data(p, b"", 0), 0),
           (wire.SET_DATA, wire.b_set_data(p, b"", 1), 0),
           (wire.GET_DATA, wire.b_path_watch(p + "/no"), wire.NO_NODE),
           (wire.DELETE, wire.b_path_int(p, 1), wire.BAD_VERSION),
           (wire.CREATE, wire.b_create("bad"), wire.BAD_ARGUMENTS),
           (wire.DELETE, wire.b_path_int(p, 2), 0),
           (wire.EXISTS, wire.b_path_watch(p), wire.NO_NODE)]
    xids = [a.send(op, body) for op, body, _ in ops]
    for (_, _, err), xid in zip(ops, xids):
        r = a.reply()
        eq((r.xid, r.err), (xid, err))


def t_watch_order_in_pipeline(t):
    """An event comes after the replies before it, before those after it."""
    a = t.made_root("a")
    p = t.root
    a.send(wire.GET_DATA, wire.b_path_watch(p, True))
    a.send(wire.SET_DATA, wire.b_set_data(p, b"1"))
    a.send(wire.GET_DATA, wire.b_path_watch(p, True))
    a.send(wire.SET_DATA, wire.b_set_data(p, b"2"))
    a.send(wire.GET_DATA, wire.b_path_watch(p))
    eq(a.recv().data, b"root")
    eq(a.recv(), (3, 3, p))
    eq(a.recv().stat.version, 1)
    eq(a.recv().data, b"1")
    eq(a.recv(), (3, 3, p))
    eq(a.recv().stat.version, 2)
    eq(a.recv().data, b"2")


def t_event_before_new_data(t):
    """Another's change: whoever reads it has had the event of it."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    for i in range(50):
        b.get(p, watch=True)
        a.set(p, b"%d" % i)
        b.c.send(wire.GET_DATA, wire.b_path_watch(p), xid=1000 + i)
        f = wire.Frame(b.c.recv_frame())
        eq(f.xid, -1, "the event, before the reply that shows the change")
        eq(wire.event(f), (3, 3, p))
        f = wire.Frame(b.c.recv_frame())
        eq((f.xid, f.body[4:4 + len(str(i))]), (1000 + i, b"%d" % i))


def t_event_never_late(t):
    """The same while another connection writes without pause."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root
    stop = threading.Event()
    writer = wire.Client(t.server.host, t.server.port)
    errors = []

    def write():
        i = 0
        try:
            while not stop.is_set():
                i += 1
                if writer.call(wire.SET_DATA,
                               wire.b_set_data(p, b"%d" % i)).err:
                    errors.append("write failed")
                    return
        except Exception as e:
            errors.append(repr(e))

    th = threading.Thread(target=write)
    th.start()
    try:
        watched = None
        for xid in range(1, 1500):
            want_watch = watched is None
            b.c.send(wire.GET_DATA, wire.b_path_watch(p, want_watch), xid)
            had = False
            while True:
                f = wire.Frame(b.c.recv_frame())
                if f.xid == -1:
                    had = True
                    continue
                break
            r = wire.In(f.body)
            r.buffer()
            version = r.stat().version
            if want_watch:
                watched = version
            elif had:
                watched = None
            else:
                eq(version, watched, "a change was read before its event")
    finally:
        stop.set()
        th.join(60)
        writer.close_session()
    eq(errors, [])
    # the writes' number differs from run to run: only the end is compared
    del t.lines[:]
    eq(a.exists(p).err, 0)
    del t.lines[:]
    t.say("no change was read before its event")


def t_interleaved_clients(t):
    """Writes of several clients: one order, each client's own kept."""
    a = t.made_root("a")
    clients = [t.client("c%d" % i) for i in range(4)]
    n = 50
    for c in clients:
        for i in range(n):
            c.c.send(wire.CREATE, wire.b_create(
                "%s/%s-%02d-" % (t.root, c.name, i), flags=wire.SEQ))
    seen = {}
    for c in clients:
        last = -1
        for i in range(n):
            f = c.c.reply()
            eq(f.err, 0)
            name = wire.In(f.body).string()
            num = int(name[-10:])
            assert num > last, "%s after %d" % (name, last)
            last = num
            assert num not in seen, "number %d twice" % num
            seen[num] = f.zxid
    eq(sorted(seen), list(range(4 * n)))
    zxids = [seen[k] for k in sorted(seen)]
    eq(zxids, sorted(zxids), "numbers and zxids in one order")
    eq(a.exists(t.root).stat.num_children, 4 * n)


def t_slow_reader(t):
    """Answers of 20 MB to a client that does not read: others are served,
    and all of it comes in order in the end."""
    a = t.made_root("a")
    b = t.client("b")
    big = t.root + "/big"
    a.create(big, b"z" * 500000)
    n = 40
    for i in range(n):
        b.c.send(wire.GET_DATA, wire.b_path_watch(big), xid=100 + i)
    for i in range(20):
        eq(a.set(t.root, b"%d" % i).err, 0)
    for i in range(n):
        f = wire.Frame(b.c.recv_frame())
        eq((f.xid, f.err, len(f.body)), (100 + i, 0, 500000 + 4 + 68))
