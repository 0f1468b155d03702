#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who forgot what it had acknowledged:
blame.py WIRE KINDS [ZXID]...

WIRE is what witness.py saw of an ensemble whose servers 1, 2, ... are of KINDS, a
letter each; every server votes. ZXIDs (hex) are acknowledged writes that are lost.

What a server says binds it. A promise, of all transactions up to a zxid:
  - a follower's ACK of a PROPOSAL;
  - a follower's ACK of NEWLEADER: of what it said it had, with what it was sent before
    NEWLEADER;
  - a leader's COMMIT or UPTODATE while less than a quorum of others has acknowledged
    that: it counted itself.
And it says later what it has, on a new connection and so not out of some queue:
  - a follower's ACKEPOCH;
  - a leader's NEWLEADER: what it sent before it is all that it leads with.
A server that says less than it promised, and was sent no TRUNC or SNAP in between, has
FORGOTTEN. One that says (there, or with a vote for itself) that it is of epoch e and
has less than what the leader of e began e with is HOLLOW: it wins elections that it must
lose. A leader that sends COMMIT or UPTODATE before a quorum has acknowledged is HASTY.
A server that was sent TRUNC, has acknowledged the NEWLEADER behind it, and then shows a
client what it was to cut off has it UNCUT.
What comes of a connection that its server has left behind (it was sent long ago, and
again when the way was free) counts for nothing.
A hole in what was seen between a promise and the words that break it, on a connection on
which a TRUNC or SNAP could have come, makes that no proof.
"""

import os
import struct
import sys
from collections import defaultdict, namedtuple

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import tcpstream as ts  # noqa: E402
import witness  # noqa: E402

# server broke its word as to (low, high]; text says how
Verdict = namedtuple("Verdict", "kind server low high t text")
Promise = namedtuple("Promise", "zxid t text")

FORGOTTEN, HOLLOW, HASTY, UNCUT = "FORGOTTEN", "HOLLOW", "HASTY", "UNCUT"
# A client has seen a transaction: whose answer it was, when he asked (seconds, by the
# wire's clock), whether it was his write
Sighting = namedtuple("Sighting", "server t zxid write")
NAMES = {"a": "Apache", "m": "zkernd"}
NOTHING = Promise(0, 0, "")


def epoch_of(zxid):
    return zxid >> 32


class Link:
    """A learner's connection to its leader."""

    def __init__(self, number, learner, leader):
        self.number, self.learner, self.leader = number, learner, leader
        self.epoch = None
        self.said = None        # ACKEPOCH's zxid
        self.op = None          # of DIFF, TRUNC, SNAP: (type, zxid)
        self.sent = None        # the last PROPOSAL before NEWLEADER
        self.newleader = False

    def whole(self):
        """What the learner has once it acknowledged NEWLEADER, at least."""
        kind, zxid = self.op
        base = self.said if kind == ts.DIFF else zxid
        return max(base or 0, self.sent or 0)

    def led_with(self):
        """What the leader has, that sent that."""
        return max(self.op[1], self.sent or 0)


class Inquest:
    """Hears messages in their order. verdicts, log: texts of all that matters."""

    def __init__(self, kinds):
        self.kinds = kinds
        self.quorum = len(kinds) // 2 + 1
        self.links = {}
        self.promised = defaultdict(lambda: NOTHING)
        self.begun = {}             # epoch: (zxid its leader began it with, t, leader)
        self.acks = defaultdict(dict)       # (leader, epoch): {follower: zxid}
        self.synced = defaultdict(set)      # (leader, epoch): followers
        self.newest = {}            # learner: its last connection
        self.epoch = defaultdict(int)       # server: the last it took part in
        self.claims = set()
        self.cut = {}               # server: least zxid of a TRUNC or SNAP, by epoch
        self.blind = {}             # server: when a hole might have hidden a TRUNC
        self.truncs = defaultdict(list)     # server: (when it had obeyed one, its zxid)
        self.told = defaultdict(list)       # (server, zxid asked for): when it was sent
        self.acked = defaultdict(list)      # zxid asked for: texts
        self.asked = ()
        self.verdicts = []
        self.log = []
        self.start = None
        self.missed = False         # whole connections may have been

    def name(self, n):
        return "server %d (%s)" % (n, NAMES.get(self.kinds[n - 1],
                                                self.kinds[n - 1]))

    def when(self, t):
        return "%.3f" % (t - self.start)

    def note(self, t, text):
        self.log.append("%9s %s" % (self.when(t), text))

    def verdict(self, kind, server, low, high, t, text):
        v = Verdict(kind, server, low, high, t, "%s %s: %s" % (
            kind, self.name(server), text))
        self.verdicts.append(v)
        self.note(t, v.text)

    def promise(self, server, zxid, t, text):
        if zxid > self.promised[server].zxid:
            self.promised[server] = Promise(zxid, t, text)

    def excuse(self, server, zxid, t, text):
        """It was told to have no more than zxid."""
        self.cut.setdefault(server, []).append((t, zxid))
        if self.promised[server].zxid > zxid:
            self.promised[server] = Promise(zxid, t, text)

    def states(self, server, zxid, t, text):
        """It says that zxid is its last."""
        p = self.promised[server]
        if zxid < p.zxid:
            if self.blind.get(server, 0) < p.t:
                self.verdict(FORGOTTEN, server, zxid, p.zxid, t,
                             "%s at %s, and %s" % (p.text, self.when(p.t), text))
            else:
                self.note(t, "%s: %s, and %s, but something was not seen" % (
                    self.name(server), p.text, text))
            self.promised[server] = Promise(zxid, t, text)

    def claims_epoch(self, server, epoch, zxid, t, text):
        begun = self.begun.get(epoch)
        if not begun or zxid >= begun[0] or begun[2] == server:
            return
        if (server, epoch, zxid) in self.claims or self.blind.get(server, 0) >= begun[1]:
            return
        if any(at > begun[1] and z < begun[0] for at, z in self.cut.get(server, ())):
            return
        self.claims.add((server, epoch, zxid))
        self.verdict(HOLLOW, server, zxid, begun[0], t, "%s, and epoch %d begins with 0x%x "
                     "(%s at %s)" % (text, epoch, begun[0], self.name(begun[2]),
                                     self.when(begun[1])))

    # -- what is heard

    def hear(self, m):
        if isinstance(m, ts.Hole) and not m.port:
            self.missed = True
            return
        if self.start is None:
            self.start = m.t
        if isinstance(m, ts.Hole):
            self.hole(m)
        elif isinstance(m, ts.Vote):
            if m.state == ts.LOOKING and m.leader == m.frm and m.epoch is not None:
                self.vote(m)
        else:
            link = self.links.get(m.link)
            if link is None:
                link = self.links[m.link] = Link(m.link, m.frm if m.up else m.to,
                                                 m.to if m.up else m.frm)
            (self.up if m.up else self.down)(link, m)

    def left(self, link, server):
        """Whether server has gone on from there."""
        newest = self.newest.get(server, 0) if server == link.learner else 0
        return link.number < newest or (link.epoch or 0) < self.epoch[server]

    def takes_part(self, server, link):
        self.epoch[server] = max(self.epoch[server], link.epoch or 0)

    def hole(self, m):
        self.note(m.t, "%d -> %d port %d: %s" % (m.frm, m.to, m.port, m.why))
        if m.port == witness.QUORUM_PORT:
            # a leader's word to it, or its own part in what a leader was told
            self.blind[m.to] = self.blind[m.frm] = m.t

    def vote(self, m):
        key = (m.frm, m.zxid, m.round, m.epoch)
        if key not in self.claims:
            self.claims.add(key)
            self.note(m.t, "%d votes for itself: 0x%x, epoch %d, round %d" % (
                m.frm, m.zxid, m.epoch, m.round))
        # it was true once, however old it is
        self.claims_epoch(m.frm, m.epoch, m.zxid, m.t,
                          "voted for itself with epoch %d and 0x%x" % (m.epoch, m.zxid))

    def up(self, link, m):
        who, leader = link.learner, link.leader
        self.newest[who] = max(self.newest.get(who, 0), link.number)
        if m.type in (ts.ACKEPOCH, ts.ACK) and self.left(link, who):
            return
        if m.type == ts.ACKEPOCH:
            link.said = m.zxid
            self.takes_part(who, link)
            epoch, = struct.unpack(">i", m.data) if m.data and len(m.data) == 4 else (-1,)
            self.note(m.t, "%d to %d: ACKEPOCH 0x%x, epoch %d" % (who, leader, m.zxid,
                                                                  epoch))
            text = "told %s that its last is 0x%x" % (self.name(leader), m.zxid)
            self.states(who, m.zxid, m.t, text)
            if epoch >= 0:
                self.claims_epoch(who, epoch, m.zxid, m.t, text +
                                  " and its epoch %d" % epoch)
        elif m.type == ts.ACK:
            self.ack(link, m, (leader, link.epoch))

    def ack(self, link, m, at):
        who = link.learner
        if m.zxid & ts.MASK:
            self.promise(who, m.zxid, m.t, "acknowledged 0x%x to %s" % (
                m.zxid, self.name(link.leader)))
            self.acks[at][who] = max(self.acks[at].get(who, 0), m.zxid)
            if m.zxid in self.asked:
                self.acked[m.zxid].append("%s by %s" % (self.when(m.t), self.name(who)))
        elif link.newleader and link.op and who not in self.synced[at]:
            self.synced[at].add(who)
            if link.op[0] == ts.TRUNC:
                self.truncs[who].append((m.t, link.op[1]))
            zxid = link.whole()
            self.note(m.t, "%d to %d: ACK of NEWLEADER of epoch %s, with 0x%x" % (
                who, link.leader, link.epoch, zxid))
            self.promise(who, zxid, m.t, "acknowledged NEWLEADER of epoch %s, and so "
                         "0x%x, to %s" % (link.epoch, zxid, self.name(link.leader)))

    def others(self, at, zxid):
        """Followers that acknowledged it, or NEWLEADER with it (zxid None)."""
        if zxid is None:
            return len(self.synced[at])
        return sum(z >= zxid for z in self.acks[at].values())

    def counted(self, at, zxid, m, what, whole):
        """The leader holds that a quorum has acknowledged it."""
        leader, others = at[0], self.others(at, zxid)
        if others < self.quorum:
            self.promise(leader, whole, m.t, "sent %s, acknowledged by %d others" % (
                what, others))
        if others + 1 < self.quorum and self.blind.get(leader, 0) == 0:
            self.verdict(HASTY, leader, 0, whole, m.t, "sent %s, acknowledged by %d "
                         "others" % (what, others))

    def seen(self, sightings):
        """What clients have seen that is lost: of which TRUNCs were to cut it off."""
        by = defaultdict(list)
        for s in sightings:
            by[s.zxid].append(s)
        for zxid, some in by.items():
            if any(s.write for s in some):
                continue
            for s in some:
                cuts = [c for c in self.truncs[s.server] if c[0] < s.t]
                if not cuts or cuts[-1][1] >= zxid or \
                        any(cuts[-1][0] < t < s.t for t in self.told[(s.server, zxid)]):
                    break
            else:
                t, cut = cuts[-1]
                self.verdict(UNCUT, s.server, zxid - 1, zxid, s.t, "had obeyed TRUNC 0x%x "
                             "at %s, and showed 0x%x to a client" % (cut, self.when(t), zxid))

    def down(self, link, m):
        if m.type == ts.PROPOSAL and m.zxid in self.asked:
            self.told[(link.learner, m.zxid)].append(m.t)
        if m.type == ts.LEADERINFO:
            link.epoch = epoch_of(m.zxid)
            self.takes_part(link.leader, link)
        elif m.type in (ts.DIFF, ts.TRUNC, ts.SNAP):
            link.op = (m.type, m.zxid)
            self.note(m.t, "%d to %d: %s 0x%x, epoch %s" % (
                link.leader, link.learner, ts.NAMES[m.type], m.zxid, link.epoch))
            if m.type != ts.DIFF:
                self.excuse(link.learner, m.zxid, m.t, "got %s 0x%x from %s" % (
                    ts.NAMES[m.type], m.zxid, self.name(link.leader)))
        elif m.type == ts.PROPOSAL and not link.newleader:
            link.sent = m.zxid
        elif m.type == ts.NEWLEADER and link.op:
            link.newleader = True
            if not self.left(link, link.leader):
                self.lead(link, m)
        elif self.left(link, link.leader):
            return
        elif m.type == ts.UPTODATE and link.op:
            begun = self.begun.get(link.epoch)
            if begun and begun[2] == link.leader:
                self.counted((link.leader, link.epoch), None, m,
                             "UPTODATE of epoch %s, which begins with 0x%x" % (
                                 link.epoch, begun[0]), begun[0])
        elif m.type in (ts.COMMIT, ts.COMMITANDACTIVATE) and link.newleader and \
                epoch_of(m.zxid) == link.epoch:
            self.counted((link.leader, link.epoch), m.zxid, m,
                         "COMMIT of 0x%x" % m.zxid, m.zxid)
            if m.zxid in self.asked:
                self.acked[m.zxid].append("%s COMMIT by %s to %d" % (
                    self.when(m.t), self.name(link.leader), link.learner))

    def lead(self, link, m):
        zxid, leader = link.led_with(), link.leader
        self.note(m.t, "%d to %d: NEWLEADER of epoch %s, after 0x%x" % (
            leader, link.learner, link.epoch, zxid))
        if link.epoch in self.begun:
            return
        self.begun[link.epoch] = (zxid, m.t, leader)
        self.states(leader, zxid, m.t, "led epoch %s with 0x%x" % (link.epoch, zxid))


def inquest(messages, kinds, asked=(), sightings=()):
    """sightings: of those asked for."""
    q = Inquest(kinds)
    q.asked = frozenset(asked)
    for m in messages:
        q.hear(m)
    q.seen(sightings)
    return q


def culprits(q, lost):
    """{lost zxid: verdicts that explain it}. A HASTY leader explains nothing alone."""
    return {z: [v for v in q.verdicts if v.kind != HASTY and v.low < z <= v.high]
            for z in lost}


def apaches(q, lost):
    """The verdicts that show that each lost write was lost by Apache ZooKeeper, and
    that no other server broke its word; else None."""
    if not lost or q.missed or any(q.kinds[v.server - 1] != "a" for v in q.verdicts):
        return None
    found = culprits(q, lost)
    if not all(found.values()):
        return None
    return sorted({v for vs in found.values() for v in vs}, key=lambda v: v.t)


def report(q, lost):
    out = []
    for z in lost:
        out.append("0x%x:" % z)
        out += ["  acknowledged " + a for a in q.acked[z]]
        out += ["  " + v.text for v in culprits(q, [z])[z]] or ["  nobody is to blame"]
    return out


def main(path, kinds, *zxids):
    lost = [int(z, 16) for z in zxids]
    with open(path, "rb") as f:
        q = inquest(ts.messages(f), kinds, lost)
    print("\n".join(q.log))
    print("\n".join(report(q, lost)))
    for v in q.verdicts:
        print(v.text)


if __name__ == "__main__":
    main(*sys.argv[1:])
