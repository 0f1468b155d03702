# SPDX-License-Identifier: GPL-2.0-or-later
"""The memory held for clients is bounded, whatever they do: daemon/client/internal.h
says by what. Each bound is driven to here; the figures allow for twice as much."""
import os
import socket
import struct
import threading
import time

from zktest import proc, wire
from target import Target, send

CHILDREN = 60000
HOLD = 10               # seconds, and some more for each MB
NAME = "n" * 180        # with 60000: a list of 11 MB


def make_children(t, path="/huge", count=CHILDREN):
    c = t.client()
    assert not c.call(wire.CREATE, wire.b_create(path)).err
    for first in range(0, count, 3000):
        ops = [(wire.CREATE, wire.b_create("%s/%s%06d" % (path, NAME, i)))
               for i in range(first, first + 3000)]
        assert not c.call(wire.MULTI, wire.b_multi(ops)).err
    c.close_session()


def pump(sock, data, seconds=3):
    """Sends until the server has taken nothing for a while."""
    sock.settimeout(seconds)
    sent = 0
    try:
        while True:
            sent += sock.send(data)
    except OSError:
        return sent


def unread_replies():
    """Reads are asked for and never taken: reading from the client stops."""
    with Target() as t:
        c = t.client()
        c.call(wire.CREATE, wire.b_create("/d", bytes(100000)))
        before = t.rss()
        frame = struct.pack(">ii", 1, wire.GET_DATA) + wire.b_path_watch("/d")
        for watch in (False, True):
            frame = struct.pack(">ii", 1, wire.GET_DATA) + wire.b_path_watch("/d", watch)
            clients = [t.client() for _ in range(3)]
            for x in clients:
                pump(x.sock, (struct.pack(">i", len(frame)) + frame) * 2000, 0.3)
            assert t.rss() - before < 100, "%d MB" % (t.rss() - before)
            for x in clients:
                x.close()
        c.close()


def partial_frames():
    """100 clients with all but the last byte of the largest request."""
    with Target() as t:
        before = t.rss()
        clients = [t.client() for _ in range(100)]
        for c in clients:
            send(c, struct.pack(">i", 0xfffff) + bytes(0xfffff - 1))
        t.w.go_on()
        assert t.rss() - before < 300, "%d MB" % (t.rss() - before)
        for c in clients:
            c.close()
        proc.wait_for(lambda: t.rss() - before < 60, 60, "memory to be given back")


def auth_without_end():
    """Identities are added until no more are taken; each is held once."""
    with Target() as t:
        before = t.rss()
        c = t.client()
        failed = 0
        for i in range(3000):
            c.send(wire.AUTH, wire.b_auth("digest", b"u%d:" % i + bytes(1000)), xid=-4)
        try:
            for i in range(3000):
                failed = failed or c.reply().err
        except wire.Closed:
            failed = failed or -1
        assert failed, "3000 identities are taken"
        c.close()
        assert t.rss() - before < 30, "%d MB" % (t.rss() - before)


def big_multis():
    """A multi of as many parts as fit, good and bad, and multiReads of as many."""
    with Target(extendedTypesEnabled="true") as t:
        c = t.client()
        c.call(wire.CREATE, wire.b_create("/d", bytes(1000000)))
        before = t.rss()
        parts = [(wire.CHECK, wire.b_path_int("/d", 0))] * 40000
        body = wire.b_multi(parts)
        assert len(body) < 0xfffff - 8
        assert c.call(wire.MULTI, body).err == 0
        bad = wire.b_multi(parts[:-1] + [(wire.CHECK, wire.b_path_int("/d", 7))])
        assert c.call(wire.MULTI, bad).err == 0
        # 50 GB, if it were answered
        reads = wire.b_multi([(wire.GET_DATA, wire.b_path_watch("/d"))] * 50000)
        c.send(wire.MULTI_READ, reads)
        try:
            c.reply()
        except wire.Closed:
            pass
        else:
            raise AssertionError("50 GB came")
        c.close()
        t.logged("cannot answer a read")
        proc.wait_for(lambda: t.rss() - before < 100, 60, "memory to be given back")


def huge_set_watches():
    """setWatches as large as a frame, again and again, of the same paths."""
    with Target() as t:
        c = t.client()
        paths = ["/w%06d" % i for i in range(60000)]
        body = wire.b_set_watches(1 << 40, [], paths, [])
        assert len(body) < 0xfffff - 8
        assert c.call(wire.SET_WATCHES, body, xid=-8).err == 0
        before = t.rss()
        for _ in range(20 if Target.kind == "memory" else 3):
            assert c.call(wire.SET_WATCHES, body, xid=-8).err == 0
        assert t.rss() - before < 30, "%d MB" % (t.rss() - before)
        c.close()


def fetch_list(c):
    """Takes a list's reply, not keeping it: (error, number of names)."""
    scratch = bytearray(1 << 20)
    head = b""
    c.sock.settimeout(300)
    while len(head) < 24:
        part = c.sock.recv(24 - len(head))
        if not part:
            return "closed", len(head)
        head += part
    length, _, _, err, n = struct.unpack(">iiqii", head)
    left = length - 20
    while left:
        got = c.sock.recv_into(scratch, min(left, len(scratch)))
        if not got:
            return "closed", left
        left -= got
    return err, n


class Fetch(threading.Thread):
    """A client that takes its list as it comes: who does not, while others wait, is
    closed after HOLD seconds.  One that is, as the machine is that slow, asks again."""

    def __init__(self, t, c, watch):
        super().__init__(daemon=True)
        self.t, self.c, self.watch = t, c, watch
        self.got = None
        self.start()

    def run(self):
        try:
            for _ in range(10):
                begun = time.monotonic()
                self.got = fetch_list(self.c)
                if self.got[0] != "closed" or time.monotonic() - begun < HOLD:
                    break
                self.c = self.t.client()
                self.c.send(wire.GET_CHILDREN, wire.b_path_watch("/huge", self.watch))
        except OSError as e:
            self.got = str(e)


def long_lists():
    """60 clients ask for a list of 11 MB at once, 660 MB in all, without and with a
    watch: each gets it, in turn.  (Fewer where each takes ten times as long.)"""
    many = 10 if os.environ.get("SAN") == "thread" else 60
    with Target() as t:
        make_children(t)
        before = t.rss()
        for watch in (False, True):
            clients = [t.client() for _ in range(many)]
            for c in clients:
                c.send(wire.GET_CHILDREN, wire.b_path_watch("/huge", watch))
            fetches = [Fetch(t, c, watch) for c in clients]
            t.w.go_on()
            peak = t.rss()
            for f in fetches:
                while f.is_alive():
                    f.join(0.1)
                    peak = max(peak, t.rss())
                assert f.got == (0, CHILDREN), f.got
                f.c.close()
            assert peak - before < 450, "%d MB, watch %s" % (peak - before, watch)
        t.logged(["a long answer", "/huge"])


def list_behind_write():
    """In its place among the same client's requests."""
    # longer than what is sent unasked, in any case
    n = CHILDREN if Target.kind == "memory" else 12000
    with Target() as t:
        make_children(t, count=n)
        c = t.client()
        c.send(wire.CREATE, wire.b_create("/huge/last"))
        c.send(wire.GET_CHILDREN, wire.b_path_watch("/huge", True))
        c.send(wire.DELETE, wire.b_path_int("/huge/last", -1))
        c.send(wire.GET_CHILDREN2, wire.b_path_watch("/huge"))
        c.send(wire.PING, xid=-2)
        assert c.reply().err == 0
        assert struct.unpack(">i", c.reply().body[:4])[0] == n + 1
        assert c.reply().err == 0
        assert len(c.events) == 1 and c.events[0][0] == wire.EV_CHILD, c.events
        assert struct.unpack(">i", c.reply().body[:4])[0] == n
        assert c.reply().xid == -2
        c.close()


def lists_not_fetched():
    """Who asks for long lists and does not fetch them gives way to who does."""
    with Target() as t:
        make_children(t)
        idle = [t.client() for _ in range(40)]
        for c in idle:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.send(wire.GET_CHILDREN, wire.b_path_watch("/huge"))
        c = t.client()
        c.send(wire.GET_CHILDREN, wire.b_path_watch("/huge"))
        assert fetch_list(c) == (0, CHILDREN)
        t.logged("does not fetch its answer")
        for x in idle + [c]:
            x.close()


TESTS = [
    ("replies that nobody takes", unread_replies),
    ("the largest requests, all but a byte", partial_frames),
    ("identities without end", auth_without_end),
    ("multis of as many parts as there can be", big_multis),
    ("setWatches as long as a frame", huge_set_watches),
    ("long lists for many at once", long_lists),
    ("a long list behind a write", list_behind_write),
    ("long lists that nobody fetches", lists_not_fetched),
]
WAITING = [lists_not_fetched]
# Not replies that nobody takes: QEMU's user network keeps to itself that the client
# went, and goes on taking the answers, slowly.
KERNEL = [t for t in TESTS if t[1] in (
    big_multis, huge_set_watches, list_behind_write)]
