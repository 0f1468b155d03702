# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether what clients saw of an ensemble is what ZooKeeper promises.

A history is a list of Op, one for each request of any client, on registers
(nodes that each write gives a value never used before).  Every answer of a
server carries a zxid, every node the zxid and number of its last write; so
the order that the ensemble agreed on is in the history itself, and checking
is a matter of looking, not of searching:

 W1 a write's zxid is its own, and within a node versions follow zxids;
 W2 a write that was answered before another was sent has the lower zxid
    (writes are linearizable);
 W3 versions of a node leave no gap that writes of unknown outcome, which may
    have happened, cannot fill;
 R1 a read gives a value that was written (or the first one), with the zxid
    and version of that write;
 R2 it is not of the future: a write sent after the read was answered;
 S1 a session never goes back: what it reads is never older than what it
    has written or read before, on whatever server;
 S2 after a sync a read has at least all that was answered, to anybody,
    before the sync was sent, in the epoch of whoever answered it or before
    (a leader that is deposed and does not know it yet answers as well:
    ZooKeeper's sync asks no quorum);
 L  a read that its server promised to be fresh has all that was answered, to
    anybody, before it was sent;
 F  at the end every write that was acknowledged is in each server's tree, or
    a later one of the same node is.
"""

import bisect
from collections import namedtuple, defaultdict

# kind: "write", "read", "sync"; sent, done: seconds of one clock (done None:
# outcome unknown); value, version, mzxid: of a read, or what a write made
# (None if unknown), of a sync mzxid alone: what its answer bore; session: counts up with each new session of a client.
# fresh: a read of a server with zkern.linearizableReads. server: the number of whose
# answer it is, if that is known.
Op = namedtuple("Op", "client session kind key sent done value version mzxid "
                "fresh server", defaults=(False, None))


EPOCH_MAX = 1 << 31


class Violation(Exception):
    pass


def fail(rule, fmt, *args):
    raise Violation("%s: %s" % (rule, fmt % args))


def known_writes(history):
    """By key: {mzxid: Op} of writes whose outcome is known."""
    out = defaultdict(dict)
    seen = {}
    for op in history:
        if op.kind != "write" or op.done is None:
            continue
        if op.mzxid in seen:
            fail("W1", "zxid 0x%x was given twice: %s and %s", op.mzxid,
                 seen[op.mzxid], op)
        seen[op.mzxid] = op
        out[op.key][op.mzxid] = op
    return out


def learn_from_reads(history, writes):
    """What reads tell of writes whose outcome their client did not learn:
    {(key, value): (mzxid, version)}."""
    unknown = {(op.key, op.value) for op in history
               if op.kind == "write" and op.done is None}
    learnt = {}
    for op in history:
        if op.kind != "read" or op.done is None or \
                (op.key, op.value) not in unknown:
            continue
        got = (op.mzxid, op.version)
        if learnt.setdefault((op.key, op.value), got) != got:
            fail("R1", "%s of %s was seen with %s and with %s", op.value,
                 op.key, learnt[(op.key, op.value)], got)
        if op.mzxid in writes[op.key]:
            fail("R1", "%s and %s share a zxid", op,
                 writes[op.key][op.mzxid])
    return learnt


def check_versions(history, writes, learnt):
    by_key = defaultdict(list)
    unknown = defaultdict(int)
    for key, ops in writes.items():
        by_key[key] += [(z, op.version) for z, op in ops.items()]
    for (key, _), (z, v) in learnt.items():
        by_key[key].append((z, v))
    for op in history:
        if op.kind == "write" and op.done is None and \
                (op.key, op.value) not in learnt:
            unknown[op.key] += 1
    for key, pairs in by_key.items():
        pairs.sort()
        last, missing = 0, 0
        for z, v in pairs:
            if v <= last:
                fail("W1", "%s: version %d (zxid 0x%x) is not after %d", key,
                     v, z, last)
            missing += v - last - 1
            last = v
        if missing > unknown[key]:
            fail("W3", "%s: %d versions are nobody's, %d writes are of "
                 "unknown outcome", key, missing, unknown[key])


def check_real_time(history):
    """W2, over all keys: zxids are one order for all."""
    done = sorted((op for op in history
                   if op.kind == "write" and op.done is not None),
                  key=lambda op: op.done)
    sent = sorted(done, key=lambda op: op.sent)
    best, i = None, 0
    for op in sent:
        while i < len(done) and done[i].done < op.sent:
            if best is None or done[i].mzxid > best.mzxid:
                best = done[i]
            i += 1
        if best is not None and best.mzxid > op.mzxid:
            fail("W2", "%s was answered before %s was sent", best, op)


def check_reads(history, writes, learnt):
    unknown = {(op.key, op.value): op for op in history
               if op.kind == "write" and op.done is None}
    known = {(op.key, op.value): op for ops in writes.values()
             for op in ops.values()}
    for op in history:
        if op.kind != "read" or op.done is None or op.version == 0:
            continue
        w = known.get((op.key, op.value))
        if w is not None and (w.mzxid, w.version) != (op.mzxid, op.version):
            fail("R1", "%s is of %s", op, w)
        if w is None:
            w = unknown.get((op.key, op.value))
        if w is None:
            fail("R1", "%s: nobody wrote that", op)
        if w.sent > op.done:
            fail("R2", "%s was read before it was sent by %s", op, w)


def check_sessions(history):
    """S1: by key, within a session, the zxid of what it knows only grows.
    A session's operations are in the history in their order."""
    seen = {}
    for op in history:
        if op.done is None or op.kind == "sync":
            continue
        at = (op.client, op.session, op.key)
        before = seen.get(at)
        if before is not None and op.mzxid < before.mzxid:
            fail("S1", "after %s came %s", before, op)
        seen[at] = op


class Answered:
    """Writes of one node that were answered, by epoch, so that the highest
    zxid of those answered before a moment is found quickly."""

    def __init__(self):
        self.epochs = defaultdict(list)     # epoch: [(done, zxid)]

    def add(self, op):
        self.epochs[op.mzxid >> 32].append((op.done, op.mzxid))

    def settle(self):
        for pairs in self.epochs.values():
            pairs.sort()
            best = 0
            for i, (done, z) in enumerate(pairs):
                best = max(best, z)
                pairs[i] = (done, best)

    def highest(self, before, epoch):
        best = 0
        for e, pairs in self.epochs.items():
            i = bisect.bisect_left(pairs, (before,))
            if e <= epoch and i:
                best = max(best, pairs[i - 1][1])
        return best


def answered(history):
    """{key: Answered}"""
    acked = defaultdict(Answered)
    for op in history:
        if op.kind == "write" and op.done is not None:
            acked[op.key].add(op)
    for a in acked.values():
        a.settle()
    return acked


def check_fresh(history):
    """L: whoever the leader was."""
    acked = answered(history)
    for op in history:
        if op.kind != "read" or op.done is None or not op.fresh:
            continue
        must = acked[op.key].highest(op.sent, EPOCH_MAX)
        if op.mzxid < must:
            fail("L", "%s lacks zxid 0x%x", op, must)


def check_syncs(history):
    """S2: the read that follows a sync of the same client and session."""
    acked = answered(history)
    last_sync = {}
    for op in history:
        who = (op.client, op.session)
        if op.kind == "sync" and op.done is not None:
            last_sync[who] = op
        s = last_sync.get(who)
        if op.kind != "read" or op.done is None or s is None:
            continue
        must = acked[op.key].highest(
            s.sent, s.mzxid >> 32 if s.mzxid is not None else EPOCH_MAX)
        if op.mzxid < must:
            fail("S2", "%s after %s lacks zxid 0x%x", op, s, must)


def lost(history, trees):
    """Zxids of writes that were answered, or read by somebody, and are not in the past of
    what has a later zxid and no higher version, or of a tree at the end. In order."""
    pairs = defaultdict(set)
    for op in history:
        if op.kind != "sync" and op.done is not None and op.version:
            pairs[op.key].add((op.mzxid, op.version))
    for tree in trees:
        for key, (_, version, mzxid) in tree.items():
            pairs[key].add((mzxid, version))
            pairs[key].add((EPOCH_MAX << 32, version + 1))
    out = []
    for seen in pairs.values():
        least = float("inf")            # version, of all later zxids
        for zxid, version in sorted(seen, reverse=True):
            if version >= least:
                out.append(zxid)
            least = min(least, version)
    return sorted(set(out))


def check(history):
    """Raises Violation, or gives the number of operations looked at."""
    writes = known_writes(history)
    learnt = learn_from_reads(history, writes)
    check_versions(history, writes, learnt)
    check_real_time(history)
    check_reads(history, writes, learnt)
    check_sessions(history)
    check_syncs(history)
    check_fresh(history)
    return len(history)


def check_end(history, trees):
    """F: trees is [{key: (value, version, mzxid)}], one for each server."""
    for tree in trees[1:]:
        if tree != trees[0]:
            fail("F", "two servers differ: %s", sorted(
                k for k in set(tree) | set(trees[0])
                if tree.get(k) != trees[0].get(k))[:5])
    for key, ops in known_writes(history).items():
        last = max(ops)
        value, version, mzxid = trees[0].get(key, (None, -1, -1))
        if mzxid < last:
            fail("F", "%s is lost, %s has zxid 0x%x", ops[last], key, mzxid)
        if mzxid in ops and (value, version) != (ops[mzxid].value,
                                                 ops[mzxid].version):
            fail("F", "%s holds %r, version %d instead of %s", key, value,
                 version, ops[mzxid])
