# SPDX-License-Identifier: GPL-2.0-or-later
"""blame.py's own test: made-up ensembles of which each server is known to have kept its
word or not; and tcpstream.py's: messages that come in pieces, twice, and not at all."""

import io
import random
import struct

import blame
import tcpstream as ts
import witness


def z(epoch, n):
    return epoch << 32 | n


class Story:
    """What servers say, a message after the other. Links are numbered by who tells."""

    def __init__(self):
        self.t = 0.0
        self.said = []

    def _add(self, kind, *args):
        self.t += 1
        self.said.append(kind(self.t, *args))

    def up(self, link, learner, leader, kind, zxid, data=None):
        self._add(ts.Packet, link, learner, leader, True, kind, zxid, data)

    def down(self, link, learner, leader, kind, zxid, data=None):
        self._add(ts.Packet, link, leader, learner, False, kind, zxid, data)

    def vote(self, server, zxid, epoch, rnd):
        self._add(ts.Vote, 99, server, 1, ts.LOOKING, server, zxid, rnd, epoch)

    def hole(self, frm, to):
        self._add(ts.Hole, 98, frm, to, witness.QUORUM_PORT, "made up")

    def join(self, link, learner, leader, epoch, own, last, history=(), op=ts.DIFF,
             acks=True):
        """A learner that has last, in its epoch own, comes to the leader of epoch and
        is sent op and history."""
        self.up(link, learner, leader, ts.FOLLOWERINFO, z(own, 0))
        self.down(link, learner, leader, ts.LEADERINFO, z(epoch, 0))
        self.up(link, learner, leader, ts.ACKEPOCH, last, struct.pack(">i", own))
        end = max((last,) + tuple(history)) if op == ts.DIFF else history[0]
        self.down(link, learner, leader, op, end)
        for zxid in history[op != ts.DIFF:]:
            self.down(link, learner, leader, ts.PROPOSAL, zxid)
            self.down(link, learner, leader, ts.COMMIT, zxid)
        self.down(link, learner, leader, ts.NEWLEADER, z(epoch, 0))
        if acks:
            self.up(link, learner, leader, ts.ACK, z(epoch, 0))
            self.down(link, learner, leader, ts.UPTODATE, 0)

    def write(self, link, learner, leader, zxid, acked=True):
        self.down(link, learner, leader, ts.PROPOSAL, zxid)
        if acked:
            self.up(link, learner, leader, ts.ACK, zxid)
        self.down(link, learner, leader, ts.COMMIT, zxid)


def begin():
    """Three servers, 3 leads epoch 1, 1 and 2 follow and have 1:4."""
    s = Story()
    s.join(1, 1, 3, 1, 0, 0)
    s.join(2, 2, 3, 1, 0, 0)
    for n in range(1, 5):
        s.write(1, 1, 3, z(1, n))
        s.write(2, 2, 3, z(1, n))
    return s


def good(s):
    """3 goes, 2 leads, 3 comes back and has lost what nobody acknowledged."""
    s.join(3, 1, 2, 2, 1, z(1, 4))
    s.write(3, 1, 2, z(2, 1))
    s.join(4, 3, 2, 2, 1, z(1, 5), (z(1, 4), z(2, 1)), ts.TRUNC)
    s.join(5, 1, 3, 3, 2, z(2, 1))


def good_lag(s):
    """One that lags behind is sent what it lacks, and its tree anew."""
    s.join(3, 1, 2, 2, 1, z(1, 4))
    for n in range(1, 9):
        s.write(3, 1, 2, z(2, n))
    s.join(4, 3, 2, 2, 1, z(1, 4), [z(2, n) for n in range(1, 9)])
    s.join(5, 3, 2, 2, 2, z(2, 8), (z(2, 9), z(2, 10)), ts.SNAP)


def good_snap(s):
    """One acknowledges what no quorum did, and is told to have another tree."""
    s.write(1, 1, 3, z(1, 5))
    s.join(3, 1, 2, 2, 1, z(1, 5), (z(1, 4),), ts.SNAP)
    s.join(4, 1, 2, 3, 2, z(1, 4))


def good_late(s):
    """A message on its way for long comes after what was said since."""
    s.join(3, 1, 2, 2, 1, z(1, 4), acks=False)
    s.join(4, 1, 2, 2, 1, z(1, 4))
    s.down(4, 1, 2, ts.PROPOSAL, z(2, 1))
    s.up(4, 1, 2, ts.ACK, z(2, 1))
    s.up(3, 1, 2, ts.ACKEPOCH, z(1, 3), struct.pack(">i", 1))
    s.up(1, 1, 3, ts.ACK, z(1, 9))
    s.join(5, 1, 2, 3, 2, z(2, 1))


def good_hole(s):
    """It says less than it promised, and what it was told was not all seen."""
    s.hole(3, 1)
    s.join(3, 1, 2, 2, 1, z(1, 3), (z(1, 4),))


def bad_ack(s):
    """A follower forgets a PROPOSAL that it acknowledged."""
    s.join(3, 1, 2, 2, 1, z(1, 3), (z(1, 4),))
    return {(blame.FORGOTTEN, 1)}, [z(1, 4)]


def bad_newleader(s):
    """A follower acknowledges NEWLEADER and leads without what came before it."""
    s.join(3, 1, 3, 2, 1, z(1, 4), (z(1, 5), z(1, 6)))
    s.vote(1, z(1, 4), 2, 7)
    s.join(4, 2, 1, 3, 1, z(1, 4))
    return {(blame.FORGOTTEN, 1), (blame.HOLLOW, 1)}, [z(1, 5), z(1, 6)]


def bad_hollow(s):
    """A follower has the epoch and not its history, and acknowledged nothing."""
    s.join(3, 1, 3, 2, 1, z(1, 4), (z(1, 5), z(1, 6)), acks=False)
    s.join(4, 1, 2, 3, 2, z(1, 4))
    return {(blame.HOLLOW, 1)}, [z(1, 6)]


def bad_leader(s):
    """A leader forgets what it counted its own acknowledgement for."""
    s.write(1, 1, 3, z(1, 5))
    s.join(3, 3, 2, 2, 1, z(1, 4))
    return {(blame.FORGOTTEN, 3)}, [z(1, 5)]


def bad_cut(s):
    """A leader cuts off what it had acknowledged as a follower."""
    s.join(3, 1, 2, 2, 1, z(1, 4), (z(1, 2),), ts.TRUNC)
    return {(blame.FORGOTTEN, 2)}, [z(1, 3), z(1, 4)]


def bad_hasty(s):
    """A leader commits what nobody acknowledged."""
    s.write(1, 1, 3, z(1, 5), acked=False)
    return {(blame.HASTY, 3)}, []


def bad_uptodate(s):
    """A leader is established by nobody but itself."""
    s.join(3, 1, 2, 2, 1, z(1, 4), acks=False)
    s.down(3, 1, 2, ts.UPTODATE, 0)
    return {(blame.HASTY, 2)}, []


def bad_uncut(s):
    """One cuts off what it was told to, and shows it to a client all the same."""
    s.join(3, 3, 2, 2, 1, z(1, 6), (z(1, 4),), ts.TRUNC)
    return {(blame.UNCUT, 3)}, [z(1, 6)]


GOOD = (good, good_lag, good_snap, good_late, good_hole)
BAD = (bad_ack, bad_newleader, bad_hollow, bad_leader, bad_cut, bad_hasty, bad_uptodate,
       bad_uncut)


def told(story, kinds="aaa"):
    s = begin()
    expect = story(s)
    lost = expect[1] if expect else []
    seen = [blame.Sighting(3, s.t + 1, zxid, False) for zxid in lost
            ] if story is bad_uncut else []
    return blame.inquest(s.said, kinds, lost, seen), expect


def judge(tap):
    for story in GOOD:
        q, _ = told(story)
        tap.ok(not q.verdicts, "blame: nobody: %s" % story.__doc__.rstrip("."),
               [v.text for v in q.verdicts])
    for story in BAD:
        q, (expect, lost) = told(story)
        found = {(v.kind, v.server) for v in q.verdicts}
        ok = found == expect and all(blame.culprits(q, lost).values())
        # proven to be Apache's: not if another's word is broken, or more is lost
        guilty = next(iter(expect))[1]
        ok = ok and bool(blame.apaches(q, lost)) == bool(lost)
        ok = ok and not blame.apaches(q, lost + [z(9, 9)])
        q.hear(ts.Hole(0, 0, 0, 0, 0, "made up"))
        ok = ok and not blame.apaches(q, lost)
        ok = ok and not blame.apaches(told(story, "".join(
            "m" if n == guilty else "a" for n in (1, 2, 3)))[0], lost)
        tap.ok(ok, "blame: %s" % story.__doc__.rstrip("."),
               "%s instead of %s\n%s" % (found, expect, "\n".join(
                   v.text for v in q.verdicts)))


# ---------------------------------------------------------------- bytes

def quorum_packet(kind, zxid, data=None):
    b = struct.pack(">iQi", kind, zxid, -1 if data is None else len(data))
    return b + (data or b"") + struct.pack(">i", -1)


def segment(a, sport, b, dport, seq, ack, flags, data=b""):
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq & ts.MASK, ack & ts.MASK, 5 << 4,
                      flags, 0, 0, 0) + data
    ip = struct.pack(">BBHHHBBH4B4B", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0,
                     10, 99, 0, a, 10, 99, 0, b)
    return b"\0" * 12 + b"\x08\x00" + ip + tcp


PACKETS = [(11, z(3, 0), b"12345678"), (18, z(3, 7), b"\0\0\0\3"), (3, z(4, 0), None),
           (5, 0, b""), (1, 2 ** 64 - 1, b"x" * 3000), (3, z(4, 1), None)]


def wire(rnd, lose=False):
    """A learner's PACKETS to leader 3 in segments of any size, some of them twice or
    before others, and SNAP with a tree in the other direction."""
    isn, back = rnd.choice((1000, ts.MASK - 500)), 77
    up = b"".join(quorum_packet(*p) for p in PACKETS)
    down = quorum_packet(ts.SNAP, z(4, 9)) + b"\0" * 100 + ts.TREE_END + \
        quorum_packet(ts.NEWLEADER, z(4, 0), b"")
    parts, at = [], 0
    while at < len(up):
        n = rnd.randint(1, 400)
        parts.append((at, up[at:at + n]))
        at += n
    for i in range(len(parts) - 1):
        if rnd.random() < 0.3:
            parts[i], parts[i + 1] = parts[i + 1], parts[i]
        if rnd.random() < 0.3:
            parts.append(parts[i])
    if lose:
        first = rnd.choice(parts)
        parts = [p for p in parts if p != first]
    frames = [segment(1, 5555, 3, 2888, isn, 0, ts.SYN),
              segment(3, 2888, 1, 5555, back, isn + 1, ts.SYN | ts.ACKED)]
    frames += [segment(1, 5555, 3, 2888, isn + 1 + at, back + 1, ts.ACKED, d)
               for at, d in parts]
    frames += [segment(3, 2888, 1, 5555, back + 1 + i, isn + 1 + len(up), ts.ACKED,
                       down[i:i + 50]) for i in range(0, len(down), 50)]
    return io.BytesIO(witness.head() + b"".join(
        witness.frame(100 + i, 0, f) for i, f in enumerate(frames)))


def votes():
    """An election connection that server 1 opened to 2."""
    hello = struct.pack(">qqi", -65536, 1, 9) + b"1.2.3.4:5"
    body = struct.pack(">iQQQQi", ts.LOOKING, 1, z(2, 3), 8, 2, 2) + b"\0\0\0\0"
    mine = struct.pack(">i", len(body)) + body
    old = struct.pack(">iiQQQ", 28, ts.LEADING, 2, z(1, 1), 5)
    return io.BytesIO(witness.head() + b"".join(witness.frame(1, 0, f) for f in (
        segment(1, 4444, 2, 3888, 10, 0, ts.SYN),
        segment(2, 3888, 1, 4444, 20, 11, ts.SYN | ts.ACKED),
        segment(1, 4444, 2, 3888, 11, 21, ts.ACKED, hello + mine[:7]),
        segment(1, 4444, 2, 3888, 11 + len(hello) + 7, 21, ts.ACKED, mine[7:]),
        segment(2, 3888, 1, 4444, 21, 11, ts.ACKED, old))))


def uncut(tap):
    """What is seen of what was cut off is no proof if somebody's write was answered, if it
    was seen elsewhere, before, or if it was sent again."""
    def blamed(*seen, again=False):
        s = begin()
        bad_uncut(s)
        if again:
            s.down(3, 3, 2, ts.PROPOSAL, z(1, 6))
        s.t += 10
        return blame.inquest(s.said, "aaa", [z(1, 6)], [
            blame.Sighting(server, s.t if late else 1.0, z(1, 6), write)
            for server, late, write in seen]).verdicts
    read, write, other, early = (3, 1, 0), (3, 1, 1), (1, 1, 0), (3, 0, 0)
    tap.ok(blamed(read) and not blamed(read, write) and not blamed(read, other) and
           not blamed(early, read) and not blamed(read, again=True),
           "blame: what was cut off and is seen, and what is no proof of that")


def decode(tap):
    bad = []
    for seed in range(50):
        got = list(ts.messages(wire(random.Random(seed))))
        up = [(m.type, m.zxid, m.data) for m in got if isinstance(m, ts.Packet) and m.up]
        down = [(m.type, m.zxid) for m in got if isinstance(m, ts.Packet) and not m.up]
        if up != PACKETS or down != [(ts.SNAP, z(4, 9)), (ts.NEWLEADER, z(4, 0))] or \
                any((m.link, m.frm + m.to) != (1, 4) for m in got):
            bad.append(seed)
    tap.ok(not bad, "blame: packets are read from segments as they come", bad)
    bad = []
    for seed in range(50):
        got = list(ts.messages(wire(random.Random(seed), True)))
        up = [(m.type, m.zxid, m.data) for m in got if isinstance(m, ts.Packet) and m.up]
        holes = [m for m in got if isinstance(m, ts.Hole)]
        if up != PACKETS[:len(up)] or len(holes) != 1 or (holes[0].frm,
                                                          holes[0].to) != (1, 3):
            bad.append(seed)
    tap.ok(not bad, "blame: what was not seen is told", bad)
    f = votes()
    f.seek(0, io.SEEK_END)
    f.write(witness.frame(0, 0, b""))
    f.seek(0)
    *got, hole = ts.messages(f)
    tap.ok(isinstance(hole, ts.Hole) and not hole.port, "blame: frames that were dropped",
           hole)
    want = [(1, 2, ts.LOOKING, 1, z(2, 3), 8, 2), (2, 1, ts.LEADING, 2, z(1, 1), 5, None)]
    tap.ok([m[2:] for m in got] == want, "blame: votes are read", got)


def run(tap):
    judge(tap)
    uncut(tap)
    decode(tap)
