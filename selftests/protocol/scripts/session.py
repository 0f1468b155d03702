# SPDX-License-Identifier: GPL-2.0-or-later
"""Handshake, reconnecting, pings, the end of sessions."""

import struct
import time

from zktest import wire
from zktest.server import MAX_TIMEOUT, MIN_TIMEOUT
from zktest.transcript import Closed, eq
from zktest.wire import Conn, connect_request, session_password


def t_fresh_tree(t):
    """What an empty server holds; must run first."""
    c = t.client()
    eq(sorted(c.children("/").children), ["zookeeper"])
    eq(sorted(c.children2("/zookeeper").children), ["config", "quota"])
    st = c.get("/").stat
    eq((st.czxid, st.mzxid, st.ctime, st.mtime, st.version, st.aversion,
        st.ephemeral_owner, st.data_length, st.num_children, st.pzxid),
       (0, 0, 0, 0, 0, 0, 0, 0, 1, 0), "stat of /")
    eq(st.cversion, -1, "cversion of /")
    c.exists("/zookeeper")
    c.get("/zookeeper/quota")
    c.get("/zookeeper/config")
    eq(c.get_acl("/").acl, [(31, "world", "anyone")])
    c.get_acl("/zookeeper")
    c.get_acl("/zookeeper/quota")
    c.get_acl("/zookeeper/config")


def t_connect(t):
    a = t.client("a")
    s = a.session
    eq((s.proto, s.timeout, s.size, s.read_only), (0, 30000, 37, False))
    assert s.sid > 0, "session id %x" % s.sid
    eq(s.passwd, session_password(s.sid), "password")
    b = t.client("b")
    assert b.sid != a.sid, "two sessions with one id"
    eq(b.sid >> 56, a.sid >> 56, "server id in the session id")
    c = t.client("c", read_only=True)
    eq(c.session.read_only, False, "a read-write server's flag")


def t_connect_old_client(t):
    """44 bytes, without the readOnly flag: 36 bytes come back."""
    a = t.client("a", read_only=None)
    eq((a.session.size, a.session.read_only), (36, None))
    eq(a.passwd, session_password(a.sid))
    eq(a.exists("/zookeeper").err, 0)
    a.drop()
    b = a.reconnect("b", read_only=None)
    eq((b.sid, b.session.size), (a.sid, 36))


def t_timeout_clamp(t):
    for want, got in ((0, MIN_TIMEOUT), (1, MIN_TIMEOUT), (-1, MIN_TIMEOUT),
                      (-2 ** 31, MIN_TIMEOUT),
                      (MIN_TIMEOUT - 1, MIN_TIMEOUT),
                      (MIN_TIMEOUT, MIN_TIMEOUT),
                      (MIN_TIMEOUT + 1, MIN_TIMEOUT + 1),
                      (MAX_TIMEOUT - 1, MAX_TIMEOUT - 1),
                      (MAX_TIMEOUT, MAX_TIMEOUT),
                      (MAX_TIMEOUT + 1, MAX_TIMEOUT),
                      (2 ** 31 - 1, MAX_TIMEOUT)):
        c = t.client("a", timeout=want)
        eq(c.session.timeout, got, "timeout for %d" % want)
        # not closed in order: a session of 1 s may end before on a slow
        # machine, and no test may hang on that
        try:
            c.close()
        except Closed:
            t.sessions.pop(c.sid)


def t_new_session_password(t):
    """What a client sends as password for a new session does not matter."""
    for p in (None, b"", b"x", b"p" * 16, b"q" * 40):
        c = t.client("a", passwd=p)
        eq(c.passwd, session_password(c.sid))
        eq(c.close().err, 0)


def t_protocol_version(t):
    """Any version is taken; the answer's is 0."""
    for v in (1, -1, 2 ** 31 - 1):
        conn = Conn(t.server.host, t.server.port)
        conn.send_frame(connect_request(30000, proto=v))
        r = wire.ConnectResponse(conn.recv_frame())
        t.sessions[r.sid] = r.passwd
        t.say("version %d -> %d, %d bytes" % (v, r.proto, r.size))
        eq(r.proto, 0)
        conn.close()


def t_reconnect(t):
    a = t.made_root("a")
    a.create(t.root + "/e", b"", flags=wire.EPHEMERAL)
    a.drop()
    b = a.reconnect("b")
    eq(b.sid, a.sid)
    eq(b.passwd, a.passwd)
    eq(b.exists(t.root + "/e").stat.ephemeral_owner, a.sid)
    eq(b.close().err, 0)
    c = t.client("c")
    eq(c.exists(t.root + "/e").err, wire.NO_NODE)


def t_reconnect_new_timeout(t):
    """A reconnecting client's timeout is negotiated anew."""
    a = t.client("a", timeout=20000)
    a.drop()
    b = a.reconnect("b", timeout=25000)
    eq(b.session.timeout, 25000)


def t_reconnect_zxid_of_the_past(t):
    a = t.made_root("a")
    z = a.zxid()
    a.drop()
    eq(a.reconnect("b", last_zxid=z).sid, a.sid)
    eq(a.reconnect("c", last_zxid=1).sid, a.sid)


def t_reconnect_takes_over(t):
    """The older connection of a session ends when a newer one comes."""
    a = t.client("a")
    b = a.reconnect("b")
    eq(b.sid, a.sid)
    assert a.closed(), "the older connection still stands"
    eq(b.exists("/zookeeper").err, 0)


def t_wrong_password(t):
    a = t.client("a")
    a.drop()
    for p in (b"\0" * 16, b"x" * 16, a.passwd[:15], a.passwd + b"x", b"",
              None):
        b = a.reconnect("b", passwd=p)
        eq((b.sid, b.session.timeout, b.passwd, b.session.size),
           (0, 0, b"\0" * 16, 37))
        assert b.closed()
    b = a.reconnect("b", read_only=None, passwd=b"x" * 16)
    eq(b.session.size, 36)
    assert b.closed()
    eq(a.reconnect("c").sid, a.sid, "the session lives on")


def t_wrong_password_kicks(t):
    """The session's connection ends even if the newcomer is refused."""
    a = t.client("a")
    b = a.reconnect("b", passwd=b"x" * 16)
    eq(b.sid, 0)
    assert b.closed()
    assert a.closed()


def t_unknown_session(t):
    for sid in (0x1234, (1 << 56) | 77, -1, -2 ** 63):
        b = t.client("b", sid=sid, passwd=session_password(sid))
        eq((b.sid, b.session.timeout, b.passwd), (0, 0, b"\0" * 16))
        assert b.closed()


def t_closed_session_is_unknown(t):
    a = t.client("a")
    sid, passwd = a.sid, a.passwd
    a.close()
    b = t.client("b", sid=sid, passwd=passwd)
    eq(b.sid, 0)
    assert b.closed()


def _refused(t, payload, text):
    """Send a first frame; the server closes without an answer."""
    conn = Conn(t.server.host, t.server.port)
    conn.send_frame(payload)
    got = conn.recv_all()
    t.say("%s -> %s, closed" % (text, got.hex() or "nothing"))
    eq(got, b"", text)
    conn.close()


def t_zxid_from_the_future(t):
    a = t.client("a")
    z = a.zxid()
    _refused(t, connect_request(30000, last_zxid=z + 1000), "new session")
    _refused(t, connect_request(30000, last_zxid=2 ** 63 - 1), "new, max")
    _refused(t, connect_request(30000, sid=a.sid, passwd=a.passwd,
                                last_zxid=z + 1000), "own session")
    t.note("and the connection that stood still stands")
    eq(a.exists("/zookeeper").err, 0)
    b = t.client("b", last_zxid=-1)
    assert b.sid


def t_bad_handshakes(t):
    good = connect_request(30000)
    for n in (0, 1, 4, 12, 16, 24, 27, 28, 43):
        _refused(t, good[:n], "first %d bytes" % n)
    _refused(t, struct.pack(">iqiqi", 0, 0, 30000, 0, -2), "password of -2")
    _refused(t, struct.pack(">iqiqi", 0, 0, 30000, 0, 2 ** 31 - 1),
             "password of 2 GB")
    for n in (-1, -2 ** 31, 0x100000, 2 ** 31 - 1):
        conn = Conn(t.server.host, t.server.port)
        conn.send_raw(struct.pack(">i", n))
        got = conn.recv_all()
        t.say("frame length %d -> %s, closed" % (n, got.hex() or "nothing"))
        eq(got, b"")
        conn.close()


def t_handshake_trailing_bytes(t):
    conn = Conn(t.server.host, t.server.port)
    conn.send_frame(connect_request(30000) + b"more")
    r = wire.ConnectResponse(conn.recv_frame())
    t.sessions[r.sid] = r.passwd
    t.say("%d bytes" % r.size)
    eq(r.size, 37)
    conn.close()


def t_handshake_in_pieces(t):
    """One byte at a time, then requests joined into one write."""
    conn = Conn(t.server.host, t.server.port)
    req = connect_request(30000)
    for b in struct.pack(">i", len(req)) + req:
        conn.send_raw(bytes([b]))
    r = wire.ConnectResponse(conn.recv_frame())
    t.sessions[r.sid] = r.passwd
    one = struct.pack(">ii", 1, wire.EXISTS) + wire.b_path_watch("/")
    two = struct.pack(">ii", 2, wire.SYNC) + wire.b_path("/")
    conn.send_raw(b"".join(struct.pack(">i", len(x)) + x for x in (one, two)))
    for xid in (1, 2):
        f = wire.Frame(conn.recv_frame())
        t.say("xid=%d err=%d" % (f.xid, f.err))
        eq((f.xid, f.err), (xid, 0))
    conn.close()


def t_ping(t):
    a = t.client("a")
    r = a.ping()
    eq((r.xid, r.err, r.body), (-2, 0, b""))
    t.note("the reply's xid is -2 whatever was sent")
    a.send(wire.PING, xid=77)
    r = a.reply()
    eq((r.xid, r.err), (-2, 0))
    t.note("bytes after a ping's header do not matter")
    a.send(wire.PING, b"junk", xid=-2)
    eq(a.reply().err, 0)


def t_ping_zxid(t):
    """Pings carry the last zxid."""
    a = t.made_root("a")
    b = t.client("b")
    z = a.create(t.root + "/x").zxid
    eq(b.ping().zxid, z)


def t_ping_keeps_alive(t):
    a = t.made_root("a")
    b = t.client("b", timeout=5000)
    b.create(t.root + "/e", flags=wire.EPHEMERAL)
    end = time.monotonic() + 7
    while time.monotonic() < end:
        time.sleep(0.3)
        f = b.c.call(wire.PING, xid=-2)
        eq(f.err, 0)
    eq(a.exists(t.root + "/e").err, 0, "7 s on, with a timeout of 5 s")


def t_auth_keeps_nothing_alive(t):
    """auth and sasl are no sign of life: a client that sends nothing else
    (as one in a SASL exchange without end) loses its session."""
    a = t.made_root("a")
    a.add_watch(t.root + "/e", wire.MODE_PERSISTENT)
    for name, op, xid, body in (
            ("b", wire.AUTH, wire.XID_AUTH, wire.b_auth("digest", b"u:p")),
            ("c", wire.SASL, 1, struct.pack(">i", 0))):
        b = t.client(name, timeout=2000)
        b.create(t.root + "/e", flags=wire.EPHEMERAL)
        end = time.monotonic() + 60
        try:
            while time.monotonic() < end:
                time.sleep(0.1)
                eq(b.c.call(op, body, xid=xid).err, 0)
            raise AssertionError("alive after 60 s")
        except (Closed, OSError):
            pass
        t.sessions.pop(b.sid)
        eq(a.wait_events(2), [(n, 3, t.root + "/e") for n in (1, 2)])


def t_close_session(t):
    a = t.made_root("a")
    b = t.client("b")
    for i in range(3):
        b.create("%s/e%d" % (t.root, i), flags=wire.EPHEMERAL)
        a.exists("%s/e%d" % (t.root, i), watch=True)
    b.create(t.root + "/p")
    z = a.zxid()
    r = b.close()
    eq((r.err, r.zxid, r.body), (0, z + 1, b""))
    eq(a.wait_events(3, sort=True),
       [(2, 3, "%s/e%d" % (t.root, i)) for i in range(3)])
    eq(sorted(a.children(t.root).children), ["p"])
    t.note("one zxid for all of them")
    eq(a.exists(t.root).stat.pzxid, z + 1)


def t_close_session_ends_pipeline(t):
    """What is sent behind closeSession is not done, and answered with -112
    or not at all (in 3.8 as it happens)."""
    a = t.made_root("a")
    b = t.client("b")
    body = wire.b_create(t.root + "/late")
    close = struct.pack(">ii", 1, wire.CLOSE_SESSION)
    late = struct.pack(">ii", 2, wire.CREATE) + body
    b.c.send_raw(b"".join(struct.pack(">i", len(x)) + x
                          for x in (close, late)))
    f = wire.Frame(b.c.recv_frame())
    eq((f.xid, f.err), (1, 0))
    t.sessions.pop(b.sid)
    try:
        f = wire.Frame(b.c.recv_frame())
        eq((f.xid, f.err, f.body), (2, wire.SESSION_EXPIRED, b""))
        b.c.recv_frame()
        raise AssertionError("a third frame")
    except Closed:
        pass
    eq(a.exists(t.root + "/late").err, wire.NO_NODE)
    del t.lines[:]


def t_expiry(t):
    timeout = 2 * MIN_TIMEOUT
    a = t.made_root("a")
    a.add_watch(t.root + "/e", wire.MODE_PERSISTENT)
    b = t.client("b", timeout=timeout)
    begin = time.monotonic()
    b.create(t.root + "/e", flags=wire.EPHEMERAL)
    eq(a.wait_events(2), [(n, 3, t.root + "/e") for n in (1, 2)])
    took = time.monotonic() - begin
    assert took > timeout / 1000 - 0.3, "expired after %g s" % took
    assert b.closed(), "the connection outlives its session"
    t.sessions.pop(b.sid)
    c = b.reconnect("c")
    eq((c.sid, c.session.timeout), (0, 0))
    assert c.closed()


def t_expiry_without_connection(t):
    a = t.made_root("a")
    a.add_watch(t.root + "/e", wire.MODE_PERSISTENT)
    b = t.client("b", timeout=2 * MIN_TIMEOUT)
    b.create(t.root + "/e", flags=wire.EPHEMERAL)
    b.drop()
    t.sessions.pop(b.sid)
    eq(a.wait_events(2), [(n, 3, t.root + "/e") for n in (1, 2)])
    st = a.exists(t.root).stat
    eq(st.num_children, 0)


def t_drop_keeps_session(t):
    """A cut connection ends nothing before the timeout."""
    a = t.made_root("a")
    b = t.client("b", timeout=20000)
    b.create(t.root + "/e", flags=wire.EPHEMERAL)
    b.drop()
    time.sleep(1.5)
    eq(a.exists(t.root + "/e").err, 0)
