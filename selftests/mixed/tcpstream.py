# SPDX-License-Identifier: GPL-2.0-or-later
"""What witness.py wrote, as the bytes of TCP connections and the messages in them.

messages(file) gives, in the order in which they were whole on the wire:

  Packet  of a quorum port; up: from the learner to its leader
  Vote    of an election port
  Hole    bytes that the receiver has and the witness has not, or bytes that are no
          message: nothing more comes of that direction of that connection; with port 0:
          frames of any connection
"""

import struct
from collections import namedtuple

import witness

Packet = namedtuple("Packet", "t link frm to up type zxid data")
Vote = namedtuple("Vote", "t link frm to state leader zxid round epoch")
Hole = namedtuple("Hole", "t link frm to port why")

LOOKING, FOLLOWING, LEADING, OBSERVING = range(4)

PROPOSAL, ACK, COMMIT = 2, 3, 4
COMMITANDACTIVATE, NEWLEADER, FOLLOWERINFO, UPTODATE = 9, 10, 11, 12
DIFF, TRUNC, SNAP, OBSERVERINFO = 13, 14, 15, 16
LEADERINFO, ACKEPOCH = 17, 18
NAMES = {1: "REQUEST", 2: "PROPOSAL", 3: "ACK", 4: "COMMIT", 5: "PING",
         6: "REVALIDATE", 7: "SYNC", 8: "INFORM", 9: "COMMITANDACTIVATE",
         10: "NEWLEADER", 11: "FOLLOWERINFO", 12: "UPTODATE", 13: "DIFF",
         14: "TRUNC", 15: "SNAP", 16: "OBSERVERINFO", 17: "LEADERINFO",
         18: "ACKEPOCH", 19: "INFORMANDACTIVATE"}

TREE_END = b"\x00\x00\x00\nBenWasHere"
MASK = 0xffffffff
SYN, FIN, RST, ACKED = 2, 1, 4, 16
MANY = 64 << 20         # bytes of a message that would be none


class Bad(Exception):
    """These bytes are no message."""


def packet(b, at):
    """A QuorumPacket: (type, zxid, data, its end), or None: not whole."""
    if len(b) - at < 16:
        return None
    kind, zxid, n = struct.unpack_from(">iQi", b, at)
    if kind not in NAMES or n > MANY:
        raise Bad("type %d, length %d" % (kind, n))
    at += 16
    data = None
    if n >= 0:
        if len(b) - at < n:
            return None
        data = bytes(b[at:at + n])
        at += n
    if len(b) - at < 4:
        return None
    ids, = struct.unpack_from(">i", b, at)
    at += 4
    for _ in range(max(0, ids) * 2):
        if len(b) - at < 4:
            return None
        n, = struct.unpack_from(">i", b, at)
        at += 4 + max(0, n)
    return None if len(b) < at else (kind, zxid, data, at)


class Direction:
    """One direction of a connection. buf: bytes that are in order and not taken yet."""

    def __init__(self, isn, link, frm, to, port, dialled):
        self.isn, self.next = isn, (isn + 1) & MASK
        self.link, self.frm, self.to = link, frm, to
        self.port, self.dialled = port, dialled
        self.early = {}
        self.buf = bytearray()
        self.dead = False
        self.tree = False       # what comes is a tree
        self.hello = dialled and port == witness.ELECTION_PORT

    def add(self, seq, data):
        self.early[seq] = max(self.early.get(seq, b""), data, key=len)
        again = True
        while again:
            again = False
            for s in sorted(self.early, key=lambda s: (s - self.next) & MASK):
                late = (self.next - s) & MASK
                if late >= 1 << 31:             # not yet
                    continue
                d = self.early.pop(s)
                if len(d) > late:
                    self.buf += d[late:]
                    self.next = (self.next + len(d) - late) & MASK
                    again = True

    def missed(self, ack):
        """True: the other side has more than was seen. (FIN is one more.)"""
        ahead = (ack - self.next) & MASK
        return 1 < ahead < 1 << 31

    def _votes(self, t):
        at, b = 0, self.buf
        while True:
            if self.hello:
                if len(b) < 20:
                    break
                n, = struct.unpack_from(">i", b, 16)
                if not 0 <= n <= 2048:
                    raise Bad("a hello of %d bytes" % n)
                if len(b) < 20 + n:
                    break
                at, self.hello = 20 + n, False
            if len(b) - at < 4:
                break
            n, = struct.unpack_from(">i", b, at)
            if not 28 <= n <= 1 << 19:
                raise Bad("a notification of %d bytes" % n)
            if len(b) - at - 4 < n:
                break
            epoch = None
            state, leader, zxid, rnd = struct.unpack_from(">iQQQ", b, at + 4)
            if n >= 36:
                epoch, = struct.unpack_from(">q", b, at + 32)
            yield Vote(t, self.link, self.frm, self.to, state, leader, zxid, rnd, epoch)
            at += 4 + n
        del b[:at]

    def _packets(self, t):
        at, b = 0, self.buf
        while True:
            if self.tree:
                end = b.find(TREE_END, at)
                if end < 0:
                    at = max(at, len(b) - len(TREE_END))
                    break
                at, self.tree = end + len(TREE_END), False
            got = packet(b, at)
            if got is None:
                break
            kind, zxid, data, at = got
            self.tree = kind == SNAP
            yield Packet(t, self.link, self.frm, self.to, self.dialled, kind, zxid, data)
        del b[:at]

    def take(self, t):
        try:
            yield from (self._votes if self.port == witness.ELECTION_PORT
                        else self._packets)(t)
        except Bad as e:
            self.dead = True
            yield self.hole(t, str(e))

    def hole(self, t, why):
        self.dead = True
        return Hole(t, self.link, self.frm, self.to, self.port, why)


def frames(f):
    """(seconds, frame) of a pcap file; one that was cut off ends there."""
    if len(f.read(24)) < 24:
        return
    while True:
        h = f.read(16)
        if len(h) < 16:
            return
        sec, nsec, n, _ = struct.unpack("<IIII", h)
        data = f.read(n)
        if len(data) < n:
            return
        yield sec + nsec / 1e9, data


def segments(f):
    """(t, source, its port, destination, its port, seq, ack, flags, data); who they
    are is the last byte of their addresses. None: some were not seen."""
    for t, b in frames(f):
        if not b:
            yield None
            continue
        ip = 14
        tcp = ip + (b[ip] & 15) * 4
        end = ip + struct.unpack_from(">H", b, ip + 2)[0]
        if end == ip:           # larger than the field holds
            end = len(b)
        sport, dport, seq, ack, off, flags = struct.unpack_from(">HHIIBB", b, tcp)
        yield (t, b[ip + 15], sport, b[ip + 19], dport, seq, ack, flags,
               b[tcp + (off >> 4) * 4:end])


def messages(f):
    live, links = {}, 0
    ports = (witness.QUORUM_PORT, witness.ELECTION_PORT)
    for s in segments(f):
        if s is None:
            yield Hole(0, 0, 0, 0, 0, "frames were not seen")
            continue
        t, a, sport, b, dport, seq, ack, flags, data = s
        key, back = (a, sport, b, dport), (b, dport, a, sport)
        # the side that dialled has the port of its own
        dialled = dport in ports
        port = dport if dialled else sport
        d, r = live.get(key), live.get(back)
        if flags & SYN:
            if d is None or d.isn != seq:
                if dialled:
                    links += 1
                    link = links
                else:
                    link = r.link if r else 0
                live[key] = d = Direction(seq, link, a, b, port, dialled)
            seq = (seq + 1) & MASK
        if d is None:
            if data:
                live[key] = d = Direction(seq, 0, a, b, port, dialled)
                yield d.hole(t, "its begin was not seen")
            continue
        if r and flags & ACKED and not r.dead and r.missed(ack):
            yield r.hole(t, "%d bytes were not seen" % ((ack - r.next) & MASK))
        if data and not d.dead:
            d.add(seq, data)
            yield from d.take(t)
