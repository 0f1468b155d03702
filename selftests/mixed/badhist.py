# SPDX-License-Identifier: GPL-2.0-or-later
"""The checker's own test: a good history passes, each way in which it can be
spoilt is found, by the rule that it breaks."""

import random

from check import Op, Violation, check, check_end


def good(seed, n=400):
    """A history of an ideal ensemble: writes take effect at a moment between
    sending and answer, reads see a server that lags behind."""
    rnd = random.Random(seed)
    now, zxid, value = 0.0, 0x100000000, 0
    state = {}                          # key: [(zxid, version, value)]
    seen = {}                           # client: zxid
    ops = []
    for _ in range(n):
        client, key = rnd.randrange(5), "/k%d" % rnd.randrange(4)
        now += rnd.random()
        sent, now = now, now + rnd.random()
        log = state.setdefault(key, [(0, 0, "")])
        kind = rnd.choice(("write", "write", "read", "read", "sync"))
        if kind == "write":
            zxid, value = zxid + 1, value + 1
            lost = rnd.random() < 0.1
            entry = (zxid, log[-1][1] + 1, "v%d" % value)
            if not lost or rnd.random() < 0.5:
                log.append(entry)
            if lost:
                ops.append(Op(client, 0, kind, key, sent, None, entry[2],
                              None, None))
                continue
            seen[client] = zxid
            ops.append(Op(client, 0, kind, key, sent, now, entry[2],
                          entry[1], entry[0]))
        elif kind == "sync":
            seen[client] = zxid
            ops.append(Op(client, 0, kind, key, sent, now, None, None, None))
        else:
            least = seen.get(client, 0)
            new = [e for e in log if e[0] >= least]
            old = [e for e in log if e[0] <= least]
            z, v, val = rnd.choice((old[-1:] or log[:1]) + new)
            seen[client] = max(least, z)
            ops.append(Op(client, 0, kind, key, sent, now, val, v, z))
    tree = {k: (v[-1][2], v[-1][1], v[-1][0]) for k, v in state.items()}
    return ops, tree


def some(ops, kind, rnd, more=lambda o: True):
    return rnd.choice([i for i, o in enumerate(ops) if o.kind == kind and
                       o.done is not None and o.version != 0 and more(o)])


def spoil_lost(ops, tree, rnd):
    """An acknowledged write is nowhere."""
    key, (_, version, mzxid) = rnd.choice(sorted(tree.items()))
    mine = [o for o in ops if o.kind == "write" and o.key == key and
            o.done is not None]
    last = max(mine, key=lambda o: o.mzxid)
    tree[key] = ("v0", last.version - 1, last.mzxid - 1)


def spoil_zxid(ops, tree, rnd):
    """One zxid for two writes."""
    a = some(ops, "write", rnd)
    b = some(ops, "write", rnd, lambda o: o.mzxid != ops[a].mzxid)
    ops[b] = ops[b]._replace(mzxid=ops[a].mzxid)


def spoil_order(ops, tree, rnd):
    """A write that was answered long ago has the higher zxid."""
    i = some(ops, "write", rnd, lambda o: o.sent < 100)
    ops[i] = ops[i]._replace(mzxid=ops[i].mzxid + 10000)


def spoil_version(ops, tree, rnd):
    """A version that no write made."""
    i = max((i for i, o in enumerate(ops) if o.kind == "write" and
             o.done is not None), key=lambda i: ops[i].version)
    ops[i] = ops[i]._replace(version=ops[i].version + 1000)


def spoil_value(ops, tree, rnd):
    """A value out of nowhere."""
    i = some(ops, "read", rnd)
    ops[i] = ops[i]._replace(value="never")


def spoil_future(ops, tree, rnd):
    """Read before it was written."""
    i = some(ops, "read", rnd)
    ops[i] = ops[i]._replace(sent=-2.0, done=-1.0)


def spoil_session(ops, tree, rnd):
    """A client reads what is older than what it knows."""
    for _ in range(10000):
        j = some(ops, "read", rnd)
        i = some(ops, "read", rnd, lambda o: o.client == ops[j].client and
                 o.key == ops[j].key)
        if i < j and ops[i].mzxid > 0 and ops[i].mzxid < ops[j].mzxid:
            ops.append(ops[i]._replace(sent=1e6, done=1e6 + 1))
            return
    raise AssertionError("no such pair")


def spoil_sync(ops, tree, rnd):
    """After a sync a new client reads what is old."""
    i = some(ops, "read", rnd, lambda o: o.mzxid < max(
        w.mzxid for w in ops if w.kind == "write" and w.key == o.key and
        w.done is not None))
    ops.append(Op(77, 0, "sync", ops[i].key, 1e6, 1e6 + 1, None, None, None))
    ops.append(ops[i]._replace(client=77, sent=1e6 + 2, done=1e6 + 3))


def spoil_fresh(ops, tree, rnd):
    """A read that was to be fresh gives what is old."""
    i = some(ops, "read", rnd, lambda o: o.mzxid < max(
        w.mzxid for w in ops if w.kind == "write" and w.key == o.key and
        w.done is not None))
    ops.append(ops[i]._replace(client=77, sent=1e6, done=1e6 + 1, fresh=True))


def spoil_differ(ops, tree, rnd):
    """One server's tree is another's."""
    return [dict(tree, **{"/k0": ("other", 1, 1)})]


SPOILT = [
    ("F", spoil_lost), ("W1", spoil_zxid), ("W2", spoil_order),
    ("W3", spoil_version), ("R1", spoil_value), ("R2", spoil_future),
    ("S1", spoil_session), ("S2", spoil_sync), ("L", spoil_fresh), ("F", spoil_differ),
]


def judge(ops, tree, others=()):
    try:
        check(ops)
        check_end(ops, [tree] + list(others))
    except Violation as e:
        return str(e)
    return ""


def run(tap):
    wrong = [s for s in range(50) if judge(*good(s))]
    tap.ok(not wrong, "checker: 50 good histories pass",
           "seed %s: %s" % (wrong[:1], judge(*good(wrong[0]))
                            if wrong else ""))
    for rule, spoil in SPOILT:
        missed = []
        for seed in range(20):
            ops, tree = good(seed)
            others = spoil(ops, tree, random.Random(seed)) or ()
            said = judge(ops, tree, others)
            # what breaks one rule may break an earlier one as well
            if not said:
                missed.append(seed)
        tap.ok(not missed, "checker: %s (%s)" % (
            spoil.__doc__.rstrip("."), rule), "missed with seeds %s" % missed)
