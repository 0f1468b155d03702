# SPDX-License-Identifier: GPL-2.0-or-later
"""The four-letter words that monitoring lives by."""

import struct

from zktest import wire
from zktest.transcript import eq
from zktest.wire import Conn


def t_ruok(t):
    got = t.server.four_letter("ruok")
    t.say(repr(got))
    eq(got, "imok")


def t_isro(t):
    got = t.server.four_letter("isro")
    t.say(repr(got))
    eq(got, "rw")


def _fields(text):
    return dict(line.split(": ", 1) for line in text.splitlines()
                if ": " in line)


def t_srvr(t):
    a = t.made_root("a")
    n0 = int(_fields(t.server.four_letter("srvr"))["Node count"])
    z = a.create(t.root + "/x").zxid
    f = _fields(t.server.four_letter("srvr"))
    t.say(str(sorted(f)))
    eq(int(f["Zxid"], 16), z)
    eq(f["Mode"], "standalone")
    eq(int(f["Node count"]), n0 + 1)
    assert int(f["Connections"]) >= 2
    assert int(f["Received"]) > 0 and int(f["Sent"]) > 0
    assert len(f["Latency min/avg/max"].split("/")) == 3
    assert f["Zookeeper version"].startswith("3."), f["Zookeeper version"]


def t_stat(t):
    t.client("a")
    text = t.server.four_letter("stat")
    f = _fields(text)
    t.say(str(sorted(k for k in f if not k.startswith(" "))))
    eq(f["Mode"], "standalone")
    assert "Clients:" in text
    assert " /%s:" % t.server.client_ip in text


def t_mntr(t):
    a = t.made_root("a")
    m0 = t.server.mntr()
    a.create(t.root + "/abc", b"12345")
    a.create(t.root + "/e", flags=wire.EPHEMERAL)
    a.get(t.root, watch=True)
    a.children(t.root, watch=True)
    m = t.server.mntr()
    need = ("version server_state avg_latency max_latency min_latency "
            "packets_received packets_sent num_alive_connections "
            "outstanding_requests znode_count watch_count ephemerals_count "
            "approximate_data_size global_sessions uptime").split()
    missing = [k for k in need if k not in m]
    eq(missing, [], "keys")
    eq(m["server_state"], "standalone")

    def more(k):
        d = float(m[k]) - float(m0[k])
        t.say("%s +%d" % (k, d))
        return d
    eq(more("znode_count"), 2)
    eq(more("ephemerals_count"), 1)
    eq(more("watch_count"), 2)
    eq(more("global_sessions"), 0)
    eq(more("approximate_data_size"),
       len(t.root + "/abc") + 5 + len(t.root + "/e"))


def t_unknown_word(t):
    """Read as a frame's length, which is too long."""
    conn = Conn(t.server.host, t.server.port)
    conn.send_raw(b"abcd")
    eq(conn.recv_all(), b"")
    conn.close()
    t.say("closed")


def t_word_with_newline(t):
    """nc sends one."""
    conn = Conn(t.server.host, t.server.port)
    conn.send_raw(b"ruok\n")
    got = conn.recv_all()
    t.say(repr(got))
    eq(got, b"imok")
    conn.close()


def t_word_after_handshake(t):
    """In a session it is a length as any other."""
    a = t.client("a")
    a.c.send_raw(b"ruok")
    assert a.closed()


def t_word_in_pieces(t):
    conn = Conn(t.server.host, t.server.port)
    for b in b"ruok":
        conn.send_raw(struct.pack("B", b))
    eq(conn.recv_all(), b"imok")
    conn.close()
    t.say("imok")
