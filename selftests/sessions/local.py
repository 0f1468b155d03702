# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions that are one server's alone, and become the ensemble's with an ephemeral:
on the leader, a follower, the observer, whether that is allowed there or not."""

from zktest import wire
from zktest.cond import check, client, until
from zktest.jute import In
from zktest.server import MAX_TIMEOUT

from scene import EPHEMERAL_ON_LOCAL, data, upgrades

EPH = wire.EPHEMERAL


def sessions(server):
    """How many are local, and how many are not."""
    m = server.mntr()
    return int(m["local_sessions"]), int(m["global_sessions"])


def other(x, server):
    return [s for s in x.ens if s is not server][0]


def resume(server, c, **kwargs):
    """Go on with a session on a server; 0 as its timeout: it does not know it."""
    return client(server, sid=c.sid, passwd=c.passwd, timeout=MAX_TIMEOUT, **kwargs)


def none_left(x):
    for s in x.ens:
        until("server %d to have no sessions" % s.number, lambda: sessions(s) == (0, 0))


def no_transaction(x):
    """A session begins and ends without one; it is not known elsewhere."""
    c = client(x.ens.leader())
    check(c.call(wire.CREATE, wire.b_create("/first")).err == 0, "create")
    c.close_session()
    x.ens.wait_equal()
    for s in x.ens:
        c = client(s, timeout=MAX_TIMEOUT)
        zxid = c.call(wire.PING, xid=wire.XID_PING).zxid
        check(c.sid >> 56 == s.number, "its id", hex(c.sid))
        check(sessions(s) == (1, 0), "sessions of", s.number, sessions(s))
        check(sessions(other(x, s)) == (0, 0), "of another one")
        bad = resume(other(x, s), c)
        check((bad.session.timeout, bad.sid) == (0, 0), "known to another one")
        bad = client(s, sid=c.sid, passwd=b"\1" * 16)
        check(bad.session.timeout == 0, "a wrong password")
        again = resume(s, c)
        check(again.sid == c.sid and again.session.timeout == MAX_TIMEOUT, "resumed on",
              s.number, again.sid)
        check(c.recv_all() == b"", "its older connection")
        f = again.call(wire.CLOSE_SESSION)
        check((f.err, f.zxid, f.body) == (0, zxid, b""), "close", f.err, hex(f.zxid))
        check(again.recv_all() == b"", "more behind the end")
        bad = resume(s, c)
        check(bad.session.timeout == 0, "a closed session")
        check(sessions(s) == (0, 0), "sessions of", s.number, sessions(s))


def writes(x):
    """It may do all but make ephemerals; requests keep their order."""
    for s in x.ens:
        c = client(s)
        p = "/l%d" % s.number
        ops = [
            (wire.CREATE, wire.b_create(p, b"0")),
            (wire.SET_DATA, wire.b_set_data(p, b"1")),
            (wire.GET_DATA, wire.b_path_watch(p)),
            (wire.CREATE2, wire.b_create(p + "/s-", flags=wire.SEQ)),
            (wire.MULTI, wire.b_multi([(wire.CREATE, wire.b_create(p + "/m")),
                                       (wire.DELETE, wire.b_path_int(p + "/m", -1))])),
            (wire.SYNC, wire.b_path(p)),
            (wire.DELETE, wire.b_path_int(p + "/s-0000000000", -1)),
            (wire.CREATE_CONTAINER, wire.b_create(p + "/c", flags=wire.CONTAINER)),
            (wire.SET_ACL, wire.b_set_acl(p, wire.OPEN_ACL)),
            (wire.CLOSE_SESSION, b""),
        ]
        for op, body in ops:
            c.send(op, body)
        for i, (op, _) in enumerate(ops, 1):
            f = c.reply()
            check((f.xid, f.err) == (i, 0), "operation", op, "on", s.number, f.xid, f.err)
            check(op != wire.GET_DATA or In(f.body).buffer() == b"1", "read after write")
        check(c.recv_all() == b"", "more behind the end")
    none_left(x)


def expires(x):
    """Who is silent, or gone, is forgotten."""
    silent, pings = [], []
    for s in x.ens:
        silent.append(client(s, timeout=1000))
        client(s, timeout=1000).close()
    for s, c in zip(x.ens, silent):
        check(c.recv_all() == b"", "a silent client is told something")
        check(resume(s, c).session.timeout == 0, "an expired session on", s.number)
    none_left(x)


def upgraded(x, s, c, paths):
    """The session is the ensemble's: it moves, its ephemerals go with its end."""
    for t in x.ens:
        until("server %d to know the session" % t.number, lambda: sessions(t) == (0, 1))
    c.close()
    moved = resume(other(x, s), c)
    check(moved.sid == c.sid, "resumed elsewhere", moved.sid)
    moved.call(wire.SYNC, wire.b_path("/"))
    for p in paths:
        check(data(moved, p) is not None, p, "is not there")
    moved.close_session()
    none_left(x)
    for t in x.ens:
        r = client(t)
        for p in paths:
            check(data(r, p) is None, p, "is left on", t.number)
        r.close_session()


def upgrade(x):
    """Its first ephemeral makes a session the ensemble's; watches stay."""
    ways = [
        ("/e", wire.CREATE, lambda p: wire.b_create(p, flags=EPH)),
        ("/e", wire.CREATE2, lambda p: wire.b_create(p, flags=EPH)),
        ("/s0000000000", wire.CREATE, lambda p: wire.b_create("%s" % p[:-10],
                                                              flags=wire.EPHEMERAL_SEQ)),
        ("/e", wire.MULTI, lambda p: wire.b_multi([
            (wire.CREATE, wire.b_create(p[:-1] + "p")),
            (wire.DELETE, wire.b_path_int(p[:-1] + "p", -1)),
            (wire.CREATE, wire.b_create(p, flags=EPH))])),
    ]
    for s in x.ens:
        if not upgrades(s):
            continue
        for n, (name, op, body) in enumerate(ways):
            c = client(s, timeout=MAX_TIMEOUT)
            top = "/u%s%d" % (c.sid, n)
            f = c.call(wire.CREATE, wire.b_create(top))
            check(f.err == 0, "create", f.err)
            zxid = f.zxid
            check(c.call(wire.GET_CHILDREN, wire.b_path_watch(top, True)).err == 0, "watch")
            c.send(op, body(top + name))
            c.send(wire.CREATE, wire.b_create(top + "/f", flags=EPH))
            for i in (3, 4):
                f = c.reply()
                check((f.xid, f.err) == (i, 0), "ephemeral", op, "on", s.number, f.err)
            check(f.zxid == zxid + 3, "createSession has no zxid", hex(zxid), hex(f.zxid))
            check([e[2] for e in c.events] == [top], "events", c.events)
            upgraded(x, s, c, [top + name, top + "/f"])


def upgrade_alone(x):
    """So does one that fails; so does not a multi that is malformed."""
    for s in x.ens:
        if not upgrades(s):
            continue
        c = client(s, timeout=MAX_TIMEOUT)
        bad = wire.b_multi([(wire.CREATE, wire.b_create("/bad", flags=EPH))])
        check(c.call(wire.MULTI, bad[:-9] + b"\0\0\0\x05\0").err == wire.MARSHALLING,
              "a malformed multi")
        check(c.call(wire.CREATE, wire.b_create("/bad", flags=99)).err ==
              wire.BAD_ARGUMENTS, "no such mode")
        check(c.call(wire.CREATE, wire.b_create("/bad", flags=EPH)[:-1]).err ==
              wire.MARSHALLING, "a malformed create")
        check(sessions(s) == (1, 0), "sessions of", s.number, sessions(s))
        f = c.call(wire.CREATE, wire.b_create("/none/e", flags=EPH))
        check(f.err == wire.NO_NODE, "create below nothing", f.err)
        upgraded(x, s, c, [])


def refuse(x):
    """Where they may not be upgraded, ephemerals are refused; a part of a multi by who
    knows why: the leader's own sessions are refused as such, others it does not know."""
    for s in x.ens:
        if upgrades(s):
            continue
        c = client(s, timeout=MAX_TIMEOUT)
        for op in (wire.CREATE, wire.CREATE2):
            for p in ("/r", "/none/r", "r", "/"):
                f = c.call(op, wire.b_create(p, flags=EPH))
                check((f.err, f.body) == (EPHEMERAL_ON_LOCAL, b""), "ephemeral", p, "on",
                      s.number, f.err)
        f = c.call(wire.CREATE, wire.b_create("/r", flags=99))
        check(f.err == wire.BAD_ARGUMENTS, "no such mode", f.err)
        f = c.call(wire.MULTI, wire.b_multi([
            (wire.CREATE, wire.b_create("/r")),
            (wire.CREATE, wire.b_create("/r/e", flags=EPH)),
            (wire.DELETE, wire.b_path_int("/r", -1))]))
        r, errs = In(f.body), []
        for _ in range(3):
            check((r.int(), r.bool()) == (-1, False), "a part of a multi")
            errs.append(r.int())
            r.int()
        want = EPHEMERAL_ON_LOCAL if s.mode() == "leader" else wire.SESSION_EXPIRED
        check(f.err == 0 and errs == [0, want, wire.RUNTIME_INCONSISTENCY], "multi on",
              s.number, f.err, errs)
        check(data(c, "/r") is None, "a part of it was done")
        check(sessions(s) == (1, 0), "sessions of", s.number, sessions(s))
        check(c.call(wire.CREATE, wire.b_create("/r")).err == 0, "another write")
        check(c.call(wire.DELETE, wire.b_path_int("/r", -1)).err == 0, "another one")
        c.close_session()
    none_left(x)


def dump(x):
    """Each server shows its own sessions, the leader when the others expire."""
    for s in x.ens:
        c = client(s, timeout=MAX_TIMEOUT)
        lines = s.four_letter("dump").splitlines()
        check(lines[0] == "SessionTracker dump:", lines)
        check(lines[1].startswith("Local Session Sets (") and lines[1].endswith(")/(1):"),
              lines)
        check("\t0x%x" % c.sid in lines, hex(c.sid), lines)
        want = "Global Session Sets (0)/(0):" if s.mode() == "leader" else \
            "Global Sessions(0):"
        check([line for line in lines if line.startswith("Global")][0][:14] == want[:14],
              want, lines)
        c.close_session()


TESTS = [
    ("a local session is no transaction", no_transaction),
    ("writes of local sessions", writes),
    ("local sessions expire", expires),
    ("a local session is upgraded", upgrade),
    ("upgraded in vain", upgrade_alone),
    ("ephemerals are refused", refuse),
    ("what is said of local sessions", dump),
]
# with another leader, and the other half of the servers
AGAIN = [("%s, again" % name, f) for name, f in TESTS if f in (upgrade, refuse)]
