# SPDX-License-Identifier: GPL-2.0-or-later
"""The limits that zoo.cfg sets."""
import struct
import time

from zktest import proc, wire
from target import WAIT, Target, closed, send

THROTTLED = -127


def refused(t):
    """Whether another connection is closed instead of served."""
    c = t.conn()
    try:
        c.send_frame(wire.connect_request(6000))
        c.recv_frame(WAIT)
    except wire.Closed:
        return True
    finally:
        c.close()
    return False


def per_address():
    with Target(maxClientCnxns="3") as t:
        held = [t.client(), t.client()]
        assert refused(t) and refused(t)
        t.logged(["refusing /" + t.s.client_ip, "maxClientCnxns"])
        held[0].close()
        proc.wait_for(lambda: not refused(t), WAIT, "room")
        held[1].close()

        def rejected():
            try:
                return int(t.s.mntr().get("connection_rejected", 0)) >= 2
            except OSError:     # refused itself: those closed are not gone yet
                return False
        proc.wait_for(rejected, WAIT, "the figure of those refused")


def in_all():
    with Target(maxCnxns="2") as t:
        held = t.client()
        assert refused(t)
        t.logged("maxCnxns")
        held.close()
        proc.wait_for(lambda: not refused(t), WAIT, "room")


def connect_throttle():
    """A bucket of 5 tokens that gets one more in four seconds: one for the witness."""
    begin = time.monotonic()
    with Target(connection_throttle_tokens="5", connection_throttle_fill_time="4000") as t:
        got = [refused(t) for _ in range(12)]
        more = (time.monotonic() - begin) // 4 + 1
        assert got[:4] == [False] * 4, got
        assert got.count(False) <= 4 + more, (got, more)
        proc.wait_for(lambda: refused(t), WAIT, "an empty bucket")
        t.logged("connection_throttle_tokens")
        proc.wait_for(lambda: not refused(t), WAIT, "another token")


def connect_weights():
    """With weights, 4 tokens are 12: the witness's session and three more."""
    with Target(connection_throttle_tokens="4", connection_throttle_fill_time="1000000",
                connection_throttle_weight_enabled="true") as t:
        assert [refused(t) for _ in range(5)] == [False] * 3 + [True] * 2


def large_requests():
    """Two requests of 60 kB do not fit in 100 kB, one does, and small ones always."""
    with Target(largeRequestThreshold="50000", largeRequestMaxBytes="100000") as t:
        c = t.client()
        for _ in range(3):
            assert c.call(wire.CREATE, wire.b_create("/l", bytes(60000))).err in (
                0, wire.NODE_EXISTS)
        send(c, b"\0\1\x90\0" + bytes(1000))     # 102400 bytes
        closed(c, "a request larger than all may be")
        t.logged("largeRequestMaxBytes")


def request_throttle():
    """One request at the core at a time for all: slow, but all are answered."""
    with Target(request_throttle_max_requests="1") as t:
        clients = [t.client() for _ in range(4)]
        for c in clients:
            for _ in range(30):
                c.send(wire.CREATE, wire.b_create("/t-", b"", flags=wire.SEQ))
        for c in clients:
            for i in range(30):
                f = c.reply()
                assert f.xid == i + 1 and not f.err, (f.xid, f.err)
            c.close()


def own_timeout():
    """createSession is not for clients: 3.8 would let it give its session any timeout,
    beyond maxSessionTimeout (selftests/protocol, malformed.py)."""
    with Target() as t:
        for ms in (1000000000, -5, 0):
            c = t.client()
            f = c.call(-10, struct.pack(">i", ms))
            assert (f.err, f.zxid) == (-6, -1), (f.err, f.zxid)
            closed(c, "a session that gives itself %d ms" % ms)


def throttled_ops():
    """Who waits longer than a ms for a place is told so; pings and the end of a session
    are not refused."""
    t = Target(request_throttle_max_requests="1", throttled_op_wait_time="1")
    try:
        clients = [t.client() for _ in range(8)]
        end = time.monotonic() + 2 * WAIT
        seen = set()
        while THROTTLED not in seen and time.monotonic() < end:
            for c in clients:
                for _ in range(50):
                    c.send(wire.CREATE, wire.b_create("/t-", b"", flags=wire.SEQ))
            for c in clients:
                last = 0
                for _ in range(50):
                    f = c.reply()
                    assert f.xid > last, "out of order"
                    last = f.xid
                    seen.add(f.err)
                    assert f.err in (0, THROTTLED) and (not f.err or not f.body), f.err
        assert THROTTLED in seen, seen
        for c in clients:
            c.close_session()
    finally:
        t.s.remove()


TESTS = [
    ("createSession gives a client no timeout of its own", own_timeout),
    ("maxClientCnxns", per_address),
    ("maxCnxns", in_all),
    ("connection_throttle_tokens", connect_throttle),
    ("connection_throttle_weight_enabled", connect_weights),
    ("largeRequestMaxBytes", large_requests),
    ("request_throttle_max_requests", request_throttle),
    ("throttled_op_wait_time", throttled_ops),
]
KERNEL = [t for t in TESTS if t[1] in (per_address, request_throttle)]
