# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that are none."""
import random
import socket
import struct
import time

from zktest import proc, wire
from target import WAIT, Target, closed, send

PROBES = [      # what it sends, what the log calls it
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), "a TLS hello"),
    (b"GET / HTTP/1.0\r\n\r\n", "HTTP"),
    (b"POST /x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP"),
    (b"OPTIONS / RTSP/1.0\r\n\r\n", "HTTP or RTSP"),
    (b"\r\n\r\n", "an empty line"),
    (b"HELP\r\n", "a scanner's HELP"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
    (b"EHLO scanner\r\n", "SMTP"),
    (b"\x03\x00\x00\x0b\x06\xe0\x00\x00\x00\x00\x00", "RDP"),
    (b"\x05\x04\x00\x01\x02\x80\x05\x01\x00\x03", "no protocol that we know"),
    (b"*1\r\n$4\r\nPING\r\n", "Redis"),
    (b"JRMI\x00\x02K", "Java RMI"),
    (b"hello, is anybody there?", "text"),
    (b"\x00\x00\x00\x85\xffSMB" + b"\1" * (0x85 - 4), "SMB"),
    (b"\x80\x00\x00\x28" + bytes(40), "no protocol that we know"),      # RPC
    (b"\xff\xff\xff\xff", "no protocol that we know"),
    (b"\x7f\xff\xff\xff", "no protocol that we know"),
    (b"\x00\x10\x00\x00", "no protocol that we know"),  # one byte too many
    (b"\x00\x00\x00\x00", "no protocol that we know"),
    (b"\x00\x00\x00\x04abcd", "no protocol that we know"),
]


def known_probes():
    """Each is closed at once, with its line."""
    with Target() as t:
        for data, name in PROBES:
            c = t.conn()
            address = "%s:%d" % c.sock.getsockname()
            send(c, data)
            closed(c, name)
            lines = [n for n in t.log().splitlines() if address in n]
            assert len(lines) <= 1, lines
        for data, name in PROBES[:2] + PROBES[6:7] + PROBES[12:14] + PROBES[15:16]:

            def said():
                # a line a second at most: until it is this one's turn
                c = t.conn()
                address = "%s:%d" % c.sock.getsockname()
                send(c, data)
                closed(c, name)
                time.sleep(0.2)
                return [n for n in t.log().splitlines()
                        if address in n and "looks like " + name in n]
            proc.wait_for(said, WAIT, "a log line about %s" % name)


def bad_lengths():
    """After the handshake: closed, the session's others live."""
    with Target() as t:
        for n in (-1, -2 ** 31, 2 ** 31 - 1, 1048576, 0, 7):
            c = t.client()
            send(c, struct.pack(">i", n) + bytes(8))
            closed(c, n)
        t.logged(["closing /" + t.s.client_ip, "a frame of"])


def cut_frames():
    """Valid requests cut at each place, then an end, or then garbage."""
    rnd = random.Random(7)
    frame = struct.pack(">ii", 1, wire.MULTI) + wire.b_multi([
        (wire.CREATE, wire.b_create("/x", b"y")), (wire.CHECK, wire.b_path_int("/x", 0))])
    whole = struct.pack(">i", len(frame)) + frame
    with Target() as t:
        for cut in range(1, len(whole), 5):
            c = t.client()
            send(c, whole[:cut])
            if cut % 2:
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                  struct.pack("ii", 1, 0))
            c.close()
            c = t.client()
            # garbage whose lengths are none, whatever is taken for one
            send(c, whole[:cut] + bytes(rnd.randrange(128, 256) for _ in range(2000)))
            c.sock.settimeout(WAIT)
            try:
                while c.sock.recv(65536):
                    pass
            except ConnectionResetError:
                pass
            c.close()


def random_bytes():
    rnd = random.Random(11)
    with Target() as t:
        for i in range(300):
            c = t.client() if i % 2 else t.conn()
            send(c, rnd.randbytes(rnd.randrange(1, 3000)))
            c.close()


def floods():
    """Thousands of connects that say nothing, or a byte; all at once."""
    begin = time.monotonic()
    with Target(**{"nio.sessionlessCnxnTimeout": "1000"}) as t:
        for _ in range(3):
            conns = []
            for i in range(400):
                c = t.conn()
                if i % 2:
                    send(c, b"\0")
                conns.append(c)
            t.w.go_on()
            for c in conns[:200]:
                c.close()
            for c in conns[200:]:
                closed(c, "an idle one")
        for _ in range(2000):
            with socket.create_connection((t.s.host, t.s.port), WAIT):
                pass
        lines = t.logged("no connect request in 1000 ms")
        took = time.monotonic() - begin
        assert len(lines) < 20 + took, "%d lines in %d s" % (len(lines), took)


def slow_drip():
    """A byte now and then keeps nobody: not before the session, nor, where no whole
    request ever comes, after its timeout."""
    with Target(**{"nio.sessionlessCnxnTimeout": "1000"}) as t:
        first, later = t.conn(), t.client(timeout=1000)
        live = {first, later}
        send(first, b"\0\0\0\x2d")
        send(later, b"\0\0\1\0")
        end = time.monotonic() + 2 * WAIT
        while live and time.monotonic() < end:
            for c in list(live):
                c.sock.settimeout(0.05)
                try:
                    c.sock.sendall(b"\0")
                    if c.sock.recv(10) == b"":
                        live.remove(c)
                except socket.timeout:
                    pass
                except OSError:
                    live.remove(c)
        assert not live, "%d live on their drops" % len(live)
        first.close()
        later.close()


def gone_with_requests():
    """Clients that go, hard and soft, with requests at the core."""
    with Target() as t:
        for i in range(60):
            c = t.client()
            for k in range(50):
                c.send(wire.CREATE, wire.b_create("/g-", b"", flags=wire.EPHEMERAL_SEQ))
                c.send(wire.GET_CHILDREN, wire.b_path_watch("/", True))
            if i % 3 == 0:
                c.send(wire.CLOSE_SESSION)
            if i % 2:
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                  struct.pack("ii", 1, 0))
            c.close()


TESTS = [
    ("what scanners send is closed and named", known_probes),
    ("lengths that are none", bad_lengths),
    ("requests cut anywhere, then garbage", cut_frames),
    ("random bytes", random_bytes),
    ("floods of connections", floods),
    ("a slow drip", slow_drip),
    ("clients that go with requests under way", gone_with_requests),
]
KERNEL = [t for t in TESTS if t[1] in (bad_lengths, gone_with_requests)]
