# SPDX-License-Identifier: GPL-2.0-or-later
"""zkern elect: one leads, its program runs as long as it does.

The same over TCP, to Apache ZooKeeper and zkernd, and in the VM on the device: how a candidate is
started and killed is the only difference."""

import select
import signal
import socket
import threading

from cli import NO_NODE, TIMEOUT, Background, check, equal
from zktest import proc, wire
from zktest.jute import In

LEADS = "echo leads $ZKERN_ELECTION_TOKEN; exec sleep 1000"


class Here:
    """Candidates on this machine, over TCP."""

    def __init__(self, server):
        self.server = server

    def candidate(self, *args):
        return Background(self.server.address, "elect", *args)

    def kill(self, c, sig):
        c.proc.send_signal(sig)


class Candidate:
    """One in the VM, on the device: as Background."""

    made = 0

    def __init__(self, server, *args):
        Candidate.made += 1
        self.vm = server.vm
        self.path = "%s/elect%d" % (server.work, Candidate.made)
        there = self.vm.path(self.path)
        self.vm.must("( zkern elect %s >%s 2>%s.err </dev/null & echo $! >%s.pid; wait $!; "
                     "echo $? >%s.status ) >/dev/null 2>&1 </dev/null &" % (
                         " ".join("'%s'" % a for a in args), there, there, there, there))

    def read(self, suffix):
        try:
            with open(self.path + suffix) as f:
                return f.read()
        except OSError:
            return ""

    def out(self):
        return self.read("")

    def err(self):
        return self.read(".err")

    def until(self, cond, what):
        proc.wait_for(cond, 60, "%s; %s%s" % (what, self.out(), self.err()))

    def ends(self, code=0):
        self.until(lambda: self.read(".status").strip(), "its end")
        equal(int(self.read(".status")), code, "exit status; " + self.err())


class There:
    def __init__(self, server):
        self.server = server

    def candidate(self, *args):
        return Candidate(self.server, *args)

    def kill(self, c, sig):
        c.until(lambda: c.read(".pid").strip(), "its pid")
        self.server.vm.must("kill -%d %s" % (sig, c.read(".pid").strip()))


def place(server):
    return There(server) if server.kind == "kernel" else Here(server)


def stands(server, path, n):
    """Until n stand there."""
    c = wire.Client(server.host, server.port)

    def look():
        f = c.call(wire.GET_CHILDREN, wire.b_path_watch(path))
        return not f.err and len(In(f.body).strings()) == n
    proc.wait_for(look, 60, "%d at %s" % (n, path))
    c.close_session()


def leading(c):
    c.until(lambda: "leads" in c.out(), "it leads")
    return int(c.out().split()[1])


def one_after_the_other(server, z):
    """In the order in which they came; tokens grow; the id is to be read."""
    at, path = place(server), "/elect/order"
    z("elect", path, code=NO_NODE)
    first = at.candidate("-i", "one", path, "--", "sh", "-c", LEADS)
    tokens = [leading(first)]
    equal(z("elect", path), "one\n")
    second = at.candidate("-i", "two", path, "--", "sh", "-c", LEADS)
    stands(server, path, 2)
    third = at.candidate("-i", "three", path, "--", "sh", "-c", "exit 7")
    stands(server, path, 3)
    equal(second.out() + third.out(), "", "only one leads")
    at.kill(first, signal.SIGTERM)
    first.ends(128 + signal.SIGTERM)
    tokens.append(leading(second))
    equal(z.json("elect", path)["token"], tokens[1])
    at.kill(second, signal.SIGTERM)
    second.ends(128 + signal.SIGTERM)
    third.ends(7)
    check(tokens[0] < tokens[1], tokens)
    z("elect", path, code=NO_NODE)


def who_waits_may_leave(server, z):
    """By a signal, by its time; who came behind it is then next."""
    at, path = place(server), "/elect/leave"
    first = at.candidate(path, "--", "sh", "-c", LEADS)
    leading(first)
    waits = at.candidate(path, "--", "sh", "-c", LEADS)
    stands(server, path, 2)
    last = at.candidate(path, "--", "sh", "-c", LEADS)
    stands(server, path, 3)
    at.kill(waits, signal.SIGINT)
    waits.ends(128 + signal.SIGINT)
    equal(waits.out(), "")
    short = at.candidate("-w", "0.2", path, "--", "sh", "-c", LEADS)
    short.ends(TIMEOUT)
    check("still leads" in short.err(), short.err())
    equal(last.out(), "")
    at.kill(first, signal.SIGTERM)
    leading(last)
    at.kill(last, signal.SIGTERM)
    last.ends(128 + signal.SIGTERM)


def loses_it(server, z):
    """Its node is deleted: the program is told to end, and the next one leads."""
    at, path = place(server), "/elect/lost"
    first = at.candidate(path, "--", "sh", "-c", LEADS)
    leading(first)
    second = at.candidate(path, "--", "sh", "-c", LEADS)
    stands(server, path, 2)
    z("delete", path + "/" + min(z("ls", path).split(), key=lambda n: n[-10:]))
    first.ends(128 + signal.SIGTERM)
    check("no longer the leader" in first.err(), first.err())
    leading(second)
    at.kill(second, signal.SIGTERM)
    second.ends(128 + signal.SIGTERM)


def is_killed(server, z):
    """With SIGKILL: another one leads, when the session has ended."""
    at, path = place(server), "/elect/killed"
    first = at.candidate(path, "--", "sh", "-c", LEADS)
    leading(first)
    second = at.candidate(path, "--", "sh", "-c", LEADS)
    stands(server, path, 2)
    at.kill(first, signal.SIGKILL)
    leading(second)
    at.kill(second, signal.SIGTERM)
    second.ends(128 + signal.SIGTERM)


def its_status(server, z):
    """The program's own, as the shell tells it."""
    at, path = place(server), "/elect/status"
    for command, code in ((("true",), 0), (("sh", "-c", "exit 42"), 42),
                          (("sh", "-c", "kill -9 $$"), 137), (("/no/such",), 127),
                          (("/etc/passwd",), 126)):
        at.candidate(path, "--", *command).ends(code)
    z("elect", path, code=NO_NODE)


class Cut(threading.Thread):
    """Between a candidate and its server: the answer to its first sequential create is
    kept back, and the connection is cut."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.cut = server, False
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                near, _ = self.sock.accept()
            except OSError:
                return
            far = socket.create_connection((self.server.host, self.server.port))
            self.relay(near, far)
            near.close()
            far.close()

    def relay(self, near, far):
        asked = b""
        while True:
            for s in select.select([near, far], [], [])[0]:
                try:
                    data = s.recv(1 << 16)
                except OSError:
                    return
                if not data:
                    return
                if s is near:
                    asked += data
                    far.sendall(data)
                elif b"-latch-" in asked and not self.cut:
                    self.cut = True
                    return
                else:
                    near.sendall(data)


def answer_is_lost(server, z):
    """Of the create that makes it stand there: it finds that it does, and stands once."""
    path, cut = "/elect/cut", Cut(server)
    z("create", "-p", path)
    try:
        c = Background(cut.address, "elect", path, "--", "sh", "-c", LEADS)
        leading(c)
        check(cut.cut, "it was not cut")
        equal(len(z("ls", path).split()), 1, "nodes")
        c.proc.send_signal(signal.SIGTERM)
        c.ends(128 + signal.SIGTERM)
        equal(z("ls", path), "")
    finally:
        cut.sock.close()


OVER_TCP = [answer_is_lost]
TESTS = [one_after_the_other, who_waits_may_leave, loses_it, is_killed, its_status]
