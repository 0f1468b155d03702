# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that lie: zkern must say so and end, whatever comes."""

import random
import socket
import struct
import threading

from cli import CONNECTION, TIMEOUT, Cli, check

HELLO = struct.pack(">iiqi16sb", 0, 10000, 0x1234, 16, b"p" * 16, 0)
STAT = bytes(68)


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def reply(xid, body=b"", err=0, zxid=1):
    return frame(struct.pack(">iqi", xid, zxid, err) + body)


class Liar:
    """Greets with hello, and answers each request with what answer(xid, op)
    gives (None: hang up; b"": silence)."""

    def __init__(self, answer, hello=frame(HELLO)):
        self.answer = answer
        self.hello = hello
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(s,), daemon=True).start()

    @staticmethod
    def request(f):
        head = f.read(4)
        return f.read(struct.unpack(">i", head)[0]) if len(head) == 4 else b""

    def talk(self, s):
        with s, s.makefile("rb") as f:
            try:
                self.request(f)
                s.sendall(self.hello)
                while True:
                    r = self.request(f)
                    if len(r) < 8:
                        return
                    a = self.answer(*struct.unpack(">ii", r[:8]))
                    if a is None:
                        return
                    s.sendall(a)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def ends_well(liar, *commands, codes=(CONNECTION, TIMEOUT), timeout="1"):
    """Each ends by itself with an error and one line about it."""
    try:
        for args in commands:
            z = Cli("--tcp", liar.address, "--timeout", timeout)
            status, out, err = z.run(*args)
            check(status in codes, "zkern %s: exit %d: %s%s" %
                  (args, status, out, err))
            check(err.startswith("zkern: ") and err.count("\n") == 1, err)
    finally:
        liar.close()


READS = (["get", "/a"], ["ls", "/a"], ["stat", "/a"])
WRITES = (["create", "/a", "x"], ["set", "/a", "x"])


def bad_hello(server, z):
    for hello in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", frame(b""),
                  frame(HELLO[:20]), b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff",
                  frame(HELLO[:16] + struct.pack(">i", 2 ** 31 - 1)),
                  frame(struct.pack(">iiqi", 0, 0, 0, -1))):
        ends_well(Liar(lambda xid, op: b"", hello), ["get", "/a"])


def bad_frames(server, z):
    for a in (None, b"", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", frame(b""),
              frame(b"\0" * 15), b"\0\0\0\x40" + b"x"):
        ends_well(Liar(lambda xid, op, a=a: a), ["get", "/a"])


def bad_xid(server, z):
    ends_well(Liar(lambda xid, op: reply(xid + 1)), ["get", "/a"])
    # Late answers of long ago, for ever.
    ends_well(Liar(lambda xid, op: reply(xid - 1) * 3), ["get", "/a"])


def bad_bodies(server, z):
    for body in (b"", b"\0" * 3, struct.pack(">i", 2 ** 31 - 1),
                 struct.pack(">i", -2), struct.pack(">i", -2 ** 31),
                 struct.pack(">ii", 2 ** 31 - 1, 2 ** 31 - 1) + STAT[:56],
                 struct.pack(">i", 5) + b"abc"):
        ends_well(Liar(lambda xid, op, body=body: reply(xid, body)),
                  *READS, *WRITES)


def bad_events(server, z):
    for body in (b"", struct.pack(">iii", 1, 3, 2 ** 31 - 1),
                 struct.pack(">iii", 1, 3, -5)):
        ends_well(Liar(lambda xid, op, body=body: reply(-1, body)),
                  ["get", "/a"])


def flood_of_events(server, z):
    """Events that nobody takes are bounded."""
    event = reply(-1, struct.pack(">iii", 1, 3, 2) + b"/a") * 100000
    ends_well(Liar(lambda xid, op: event), ["get", "/a"], codes=(11,),
              timeout="60")


def mutated(server, z):
    """Good answers with bytes changed: any end but a crash or a hang."""
    seed = random.randrange(1 << 32)
    rnd = random.Random(seed)

    def answer(xid, op):
        good = {4: struct.pack(">i", 3) + b"abc" + STAT, 3: STAT,
                12: struct.pack(">ii", 1, 1) + b"n" + STAT,
                15: struct.pack(">i", 2) + b"/a" + STAT, 5: STAT}
        a = bytearray(reply(xid, good.get(op, b"")))
        for _ in range(rnd.randrange(1, 4)):
            a[rnd.randrange(len(a))] = rnd.choice((0, 1, 127, 128, 255))
        return bytes(a)
    liar = Liar(answer)
    try:
        for i in range(60):
            args = rnd.choice(READS + WRITES)
            status, out, err = Cli("--tcp", liar.address, "--timeout",
                                   "0.3").run(*args)
            check(0 <= status <= 11, "seed %d, run %d: zkern %s: %d %s" %
                  (seed, i, args, status, err))
    finally:
        liar.close()


TESTS = [bad_hello, bad_frames, bad_xid, bad_bodies, bad_events,
         flood_of_events, mutated]
