# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scanner, or worse, does to the HTTP ports and the words: bounded,
and clients do not notice."""

import os
import socket
import threading

from zktest import wire
from zktest.proc import wait_for
from zktest.transcript import eq

from http_commands import get


def works(s):
    """A client comes, writes, reads, and a word is answered."""
    c = s.made.client()
    s.made.ok(c, wire.SET_DATA, wire.b_set_data("/app", b"works"))
    s.made.ok(c, wire.GET_DATA, wire.b_path_watch("/app"))
    c.close_session()
    eq(s.four_letter("ruok"), "imok")


def dial(port):
    return socket.create_connection(("127.0.0.1", port), 30)


def serves(s):
    try:
        return get(s, "/commands/ruok")[0] == 200 and \
            get(s, "/metrics", port=s.metrics)[0] == 200
    except OSError:
        return False


def resident_kb(s):
    with open("/proc/%d/status" % s.proc.pid) as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def t_hostile_junk(s):
    junk = [b"\0" * 1000, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
            os.urandom(5000), b"GET\r\n\r\n", b"GET /commands/ruok\r\n",
            b"GET /commands/%00%ff HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET " + b"/x" * 100000 + b" HTTP/1.1\r\n\r\n",
            b"POST /commands/ruok HTTP/1.1\r\nContent-Length: 99999999999\r\n"
            b"Host: x\r\n\r\n" + b"x" * 100000,
            b"GET /commands/mntr HTTP/1.1\r\n" +
            b"".join(b"X-%d: y\r\n" % i for i in range(50000)) + b"\r\n",
            b"mntr", b"srvr\n"]
    for port in (s.admin, s.metrics):
        for j in junk:
            with dial(port) as c:
                c.settimeout(0.2)       # some wait for more of it
                try:
                    c.sendall(j)
                    while c.recv(65536):
                        pass
                except OSError:
                    pass
    works(s)
    wait_for(lambda: serves(s), 60, "the admin server")


def t_hostile_connections(s):
    """More than it takes, all silent or dripping: gone when their time is
    over, and nobody else notices."""
    held = []
    for port in (s.admin, s.metrics):
        for i in range(100):
            c = dial(port)
            if i % 2:
                c.sendall(b"GET /comm")
            held.append(c)
    works(s)
    wait_for(lambda: _can(s.admin) and serves(s), 240,
             "the silent ones to be closed")
    works(s)
    for c in held:
        c.close()
    wait_for(lambda: serves(s), 60, "the admin server")


def _can(port):
    """Whether a request is answered now."""
    with dial(port) as c:
        c.settimeout(2)
        try:
            c.sendall(b"GET /commands/ruok HTTP/1.0\r\n\r\n")
            return bool(c.recv(100))
        except OSError:
            return False


def t_hostile_slow_reader(s):
    """Long answers that nobody reads are kept within bounds."""
    c = s.made.client()
    for i in range(3000):
        c.send(wire.EXISTS, wire.b_path_watch("/slow/%05d-%s" % (
            i, "w" * 500), True))
        if i % 500 == 499:
            for _ in range(500):
                eq(c.reply().err, wire.NO_NODE)
    before = resident_kb(s)
    held = []
    for _ in range(60):
        k = dial(s.admin)
        k.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        k.sendall(b"GET /commands/wchp HTTP/1.1\r\nHost: x\r\n\r\n")
        held.append(k)
    works(s)
    for _ in range(60):
        k = dial(s.port)
        k.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        k.sendall(b"wchp")
        held.append(k)
    works(s)
    assert resident_kb(s) - before < 400 * 1024, "memory"
    for k in held:
        k.close()
    wait_for(lambda: serves(s), 60, "the admin server")
    text = wait_for(lambda: _long(s), 60, "a whole answer")
    eq(text.count("/slow/"), 3000)


def _long(s):
    text = s.four_letter("wchp", timeout=60)
    return text if "too many commands" not in text else None


def t_hostile_storm_of_words(s):
    """Many at once: each gets its answer or is told that there are too
    many."""
    got = []

    def one(word):
        got.append(s.four_letter(word, timeout=60))
    threads = [threading.Thread(target=one, args=(w,))
               for w in ("mntr", "dump", "wchs", "cons", "stat") * 20]
    for t in threads:
        t.start()
    works(s)
    for t in threads:
        t.join()
    eq(len(got), 100)
    assert all(got), "an empty answer"
    full = [x for x in got if "too many commands are under way" not in x]
    assert len(full) >= 30, len(full)


TESTS = [t_hostile_junk, t_hostile_connections, t_hostile_slow_reader,
         t_hostile_storm_of_words]
