# SPDX-License-Identifier: GPL-2.0-or-later
"""Serving readers without a quorum: two of three voters are stopped, and come back."""

import json
import signal
import urllib.request

from kazoo.client import KazooClient, KeeperState
from kazoo.exceptions import NotReadOnlyCallError
from zktest import proc, wire
from zktest.cond import LONG, Wrong, check, client, until
from zktest.server import MAX_TIMEOUT
from zktest.tap import Skip

from scene import NOT_READ_ONLY, UPGRADES, data, upgrades


def refused(server, **kwargs):
    """Is a connection closed without an answer?"""
    try:
        wire.Client(server.host, server.port, **kwargs).close()
        return False
    except wire.Closed:
        return True


def reader(server, **kwargs):
    """A client that is content with reading."""
    return wire.Client(server.host, server.port, read_only=True, **kwargs)


def command(server, name):
    """What the administration's server answers."""
    url = "http://127.0.0.1:%s/commands/%s" % (server.extra["admin.serverPort"], name)
    with urllib.request.urlopen(url, timeout=LONG) as f:
        return json.load(f)


# -- a quorum is there

def with_quorum(x):
    """A client that is content with reading gets all there is."""
    for s in x.ens:
        c = client(s, read_only=True)
        check(c.session.read_only is False and c.session.size == 37, "the flag on", s.number)
        check(s.four_letter("isro") == "rw", "isro on", s.number)
        f = c.call(wire.CREATE, wire.b_create("/of%d" % s.number, b"%d" % s.number))
        check(f.err == 0, "create on", s.number, f.err)
        c.close_session()
    s = [s for s in x.ens if upgrades(s)][0]
    x.kept = client(s, timeout=MAX_TIMEOUT, read_only=True)
    f = x.kept.call(wire.CREATE, wire.b_create("/eph", b"e", flags=wire.EPHEMERAL))
    check(f.err == 0, "create an ephemeral", f.err)
    x.zxid = f.zxid
    x.ens.wait_equal()


# -- there is none

def lose_quorum(x):
    """Servers that find no leader serve readers: a voter, and the observer."""
    x.alone = [x.ens.others()[0], x.ens[4]]
    if x.alone[0] is x.ens[4]:
        x.alone[0] = x.ens.others()[1]
    for s in x.voters():
        if s not in x.alone:
            s.kill()
    for s in x.alone:
        until("server %d to serve readers" % s.number, lambda: s.four_letter("isro") == "ro")


def words(x):
    """What such a server says of itself."""
    for s in x.alone:
        for word in ("srvr", "stat"):
            text = s.four_letter(word)
            check("\nREAD-ONLY mode; serving only read-only clients\n" in text, text)
            check("\nMode: read-only\n" in text, text)
        m = s.mntr()
        check(m["server_state"] == "read-only", s.number, m["server_state"])
        check("peer_state" not in m and "quorum_size" not in m, s.number, m)
        check(m["global_sessions"] == "1" and m["local_sessions"] == "0", s.number, m)
        text = s.four_letter("conf")
        check("peerType=" in text and "membership" not in text, s.number, text)
        if s.kind == "apache":
            continue    # Debian's has no administration's server
        check(command(s, "is_read_only")["read_only"] is True, "is_read_only")
        check(command(s, "srvr")["read_only"] is True, "read_only of srvr")
        check(command(s, "monitor")["server_state"] == "read-only", "server_state")
        check(command(s, "leader")["error"] == "server is not initialized", "leader")
        got = command(s, "zabstate")
        check(got["voting"] is False and got["zabstate"] == "", got)


def who_is_let_in(x):
    """Not those who would write, nor sessions that the ensemble knows."""
    for s in x.alone:
        check(refused(s), "a writer on", s.number)
        check(refused(s, read_only=None), "an old client on", s.number)
        check(refused(s, read_only=True, last_zxid=x.zxid + 1), "the future on", s.number)
        check(refused(s, sid=x.kept.sid, passwd=x.kept.passwd, read_only=True),
              "a known session on", s.number)
        check(refused(s, sid=x.kept.sid, passwd=b"\1" * 16, read_only=True),
              "a known session with a wrong password on", s.number)
        c = reader(s, sid=12345, passwd=b"\1" * 16)
        check((c.session.timeout, c.sid, c.session.read_only) == (0, 0, True),
              "an unknown session on", s.number, c.session.timeout, c.sid)
        check(c.recv_all() == b"", "more for an unknown session")
        c = reader(s, last_zxid=x.zxid)
        check((c.session.timeout, c.session.read_only, c.session.size) == (30000, True, 37),
              "a reader on", s.number, c.session.timeout, c.session.read_only)
        check(c.sid >> 56 == s.number and c.sid != x.kept.sid, "its id", hex(c.sid))
        check(s.mntr()["local_sessions"] == "1", "sessions of", s.number)
        c.close_session()


def reads(x):
    """All that was committed is there; watches and identities are taken."""
    for s in x.alone:
        c = reader(s)
        for t in x.ens:
            check(data(c, "/of%d" % t.number) == b"%d" % t.number, "/of%d" % t.number)
        check(data(c, "/eph") == b"e", "an ephemeral of a session that is not here")
        f = c.call(wire.GET_CHILDREN, wire.b_path_watch("/", True))
        check(f.err == 0 and f.zxid == x.zxid, "children", f.err, hex(f.zxid), hex(x.zxid))
        check(c.call(wire.EXISTS, wire.b_path_watch("/none", True)).err == wire.NO_NODE,
              "exists")
        check(c.call(wire.AUTH, wire.b_auth("digest", b"joe:x"), wire.XID_AUTH).err == 0,
              "auth")
        f = c.call(wire.MULTI_READ, wire.b_multi(
            [(wire.GET_DATA, wire.b_path_watch("/eph"))]))
        check(f.err == 0, "multiRead", f.err)
        check(c.call(wire.GET_EPHEMERALS, wire.b_path("/")).err == 0, "getEphemerals")
        check(c.call(wire.WHO_AM_I).err == 0, "whoAmI")
        check(c.call(wire.PING, xid=wire.XID_PING).zxid == x.zxid, "ping")
        check(c.call(wire.ADD_WATCH, wire.b_path_int("/eph", wire.MODE_RECURSIVE)).err == 0,
              "addWatch")
        check(s.mntr()["watch_count"] == "4", "watches of", s.number)
        c.close_session()


def writes(x):
    """Whatever is no read is answered NOTREADONLY, whether it parses or not."""
    ops = [
        (wire.CREATE, wire.b_create("/y")),
        (wire.CREATE, wire.b_create("/y", flags=wire.EPHEMERAL)),
        (wire.CREATE, b"\0\0"),
        (wire.CREATE2, wire.b_create("/y")),
        (wire.CREATE_CONTAINER, wire.b_create("/y", flags=wire.CONTAINER)),
        (wire.CREATE_TTL, wire.b_create_ttl("/y")),
        (wire.DELETE, wire.b_path_int("/eph", -1)),
        (wire.DELETE_CONTAINER, wire.b_path("/eph")),
        (wire.SET_DATA, wire.b_set_data("/none", b"")),
        (wire.SET_ACL, wire.b_set_acl("/eph", wire.OPEN_ACL)),
        (wire.CHECK, wire.b_path_int("/eph", 0)),
        (wire.MULTI, wire.b_multi([(wire.CHECK, wire.b_path_int("/eph", 0))])),
        (wire.MULTI, wire.b_multi([])),
        (wire.SYNC, wire.b_path("/eph")),
        (wire.RECONFIG, b""),
    ]
    for s in x.alone:
        c = reader(s)
        for op, body in ops:
            f = c.call(op, body)
            check((f.err, f.zxid, f.body) == (NOT_READ_ONLY, x.zxid, b""), "operation", op,
                  "on", s.number, f.err, hex(f.zxid), f.body)
        check(data(c, "/eph") == b"e", "the connection lives")
        c.close_session()
        c = reader(s, timeout=1000)
        f = c.call(99)
        check(f.err == wire.UNIMPLEMENTED and c.recv_all() == b"", "operation 99", f.err)


def readers_sessions(x):
    """They are resumed, closed, and expire, on this server alone."""
    for s in x.alone:
        old = reader(s)
        c = reader(s, sid=old.sid, passwd=old.passwd, timeout=20000)
        check((c.sid, c.session.timeout, c.session.read_only) == (old.sid, 20000, True),
              "resumed on", s.number)
        check(old.recv_all() == b"", "its older connection")
        bad = reader(s, sid=c.sid, passwd=b"\1" * 16)
        check(bad.session.timeout == 0, "a wrong password on", s.number)
        c = reader(s, sid=c.sid, passwd=c.passwd)
        check(c.session.timeout, "it lives on")
        for other in x.alone:
            if other is not s:
                bad = reader(other, sid=c.sid, passwd=c.passwd)
                check(bad.session.timeout == 0, "it is known to", other.number)
        f = c.call(wire.CLOSE_SESSION)
        check((f.err, f.zxid, f.body) == (0, x.zxid, b""), "close", f.err, hex(f.zxid))
        check(c.recv_all() == b"", "more behind a close")
        gone = reader(s, sid=c.sid, passwd=c.passwd)
        check(gone.session.timeout == 0, "a closed session on", s.number)
        silent, left = reader(s, timeout=1000), reader(s, timeout=1000)
        left.close()
        check(silent.recv_all() == b"", "a silent client is told something")
        until("sessions to expire", lambda: s.mntr()["local_sessions"] == "0")
        for c in (silent, left):
            gone = reader(s, sid=c.sid, passwd=c.passwd)
            check(gone.session.timeout == 0, "an expired session on", s.number)


def started_alone(x):
    """One that is started without a quorum serves what its files hold."""
    s = x.alone[0]
    s.kill()
    s.spawn()
    until("server %d to serve readers" % s.number,
          lambda: s.serving() and s.four_letter("isro") == "ro")
    c = reader(s, last_zxid=x.zxid)
    check(data(c, "/eph") == b"e", "what it had before")
    check(c.call(wire.SET_DATA, wire.b_set_data("/eph", b"")).err == NOT_READ_ONLY, "a write")
    c.close_session()
    check(refused(s, sid=x.kept.sid, passwd=x.kept.passwd, read_only=True), "a known session")


def with_kazoo(x):
    """A client library that knows of such servers (as its own TestReadOnlyMode)."""
    hosts = ",".join(s.address for s in x.alone)
    x.kazoo = KazooClient(hosts=hosts, read_only=True, timeout=MAX_TIMEOUT / 1000)
    x.kazoo.start(timeout=LONG)
    check(x.kazoo.client_state == KeeperState.CONNECTED_RO, x.kazoo.client_state)
    check(x.kazoo.get("/eph")[0] == b"e", "get")
    try:
        x.kazoo.create("/fred")
        raise Wrong("a write")
    except NotReadOnlyCallError:
        pass


# -- and again there is one

def quorum_returns(x):
    """Readers' connections are closed, their sessions gone; others' go on."""
    readers = [(s, reader(s, timeout=MAX_TIMEOUT)) for s in x.alone]
    for s, c in readers:
        check(c.call(wire.GET_CHILDREN, wire.b_path_watch("/", True)).err == 0, "a watch")
    for s in x.ens:
        if not s.alive():
            # so that later tests have a leader that does what the last one did not
            s.extra[UPGRADES] = "false" if upgrades(s) else "true"
            s.spawn()
    for s, c in readers:
        check(c.recv_all() == b"", "a reader is told something")
    for s in x.ens:
        until("server %d to serve all" % s.number, lambda: s.four_letter("isro") == "rw")
        check(s.mode() in ("leader", "follower", "observer"), "mode", s.mode())
    if x.kazoo:
        until("kazoo to find out", lambda: x.kazoo.client_state == KeeperState.CONNECTED)
        x.kazoo.stop()
        x.kazoo.close()
    for s, c in readers:
        c = client(s, sid=c.sid, passwd=c.passwd, read_only=True)
        check((c.session.timeout, c.session.read_only) == (0, False), "a reader's session on",
              s.number)
    c = client(x.ens[4], sid=x.kept.sid, passwd=x.kept.passwd, read_only=True,
               timeout=MAX_TIMEOUT)
    check((c.sid, c.session.read_only) == (x.kept.sid, False), "the ensemble's session",
          c.sid, c.session.read_only)
    check(c.call(wire.SET_DATA, wire.b_set_data("/eph", b"f")).err == 0, "a write")
    c.close_session()
    c = client(x.ens[4])
    check(data(c, "/eph") is None, "its ephemeral")
    c.close_session()


def uncommitted(x):
    """A leader that lost the others does not show what they did not acknowledge."""
    lead = x.ens.leader()
    if lead.kind == "apache":
        raise Skip("3.8 shows what it has logged")
    others = [s for s in x.ens if s is not lead]
    c = client(lead)
    check(c.call(wire.CREATE, wire.b_create("/sure", b"")).err == 0, "create")
    for s in others:
        proc.pause(s.proc)
    try:
        c.send(wire.CREATE, wire.b_create("/unsure", b""))
        until("the leader to be alone", lambda: lead.four_letter("isro") == "ro")
        check(c.recv_all() == b"", "an answer")
        r = reader(lead)
        check(data(r, "/sure") is not None and data(r, "/unsure") is None,
              "what is not committed is shown")
    finally:
        for s in others:
            s.proc.send_signal(signal.SIGCONT)
    for s in x.ens:
        until("server %d to serve all" % s.number, lambda: s.four_letter("isro") == "rw")


TESTS = [
    ("a reader where there is a quorum", with_quorum),
    ("no quorum: readers are served", lose_quorum),
    ("what such a server says", words),
    ("who is let in", who_is_let_in),
    ("what is read", reads),
    ("writes are refused", writes),
    ("sessions of readers", readers_sessions),
    ("started without a quorum", started_alone),
    ("kazoo reads", with_kazoo),
    ("a quorum again", quorum_returns),
    ("what is not committed", uncommitted),
]


