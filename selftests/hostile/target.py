# SPDX-License-Identifier: GPL-2.0-or-later
"""A server under attack, and the client beside that must not notice."""
import os
import threading
import time

from zktest import proc, server, wire

# seconds for what must happen in the end
WAIT = 600 if os.environ.get("SAN") else 60
# of sessions, in ms; a sanitized server's are not to run out for its slowness
TIMEOUT = 600000 if os.environ.get("SAN") else 40000


class Witness(threading.Thread):
    """A client that writes and reads its own node until told to stop."""

    def __init__(self, srv):
        super().__init__(daemon=True)
        self.client = wire.Client(srv.host, srv.port, timeout=TIMEOUT)
        self.client.call(wire.CREATE, wire.b_create("/witness", b"0"))
        self.ending = threading.Event()
        self.ops = 0
        self.wrong = None
        self.start()

    def run(self):
        try:
            while not self.ending.is_set():
                data = b"%d" % self.ops
                f = self.client.call(wire.SET_DATA, wire.b_set_data("/witness", data))
                if f.err:
                    raise AssertionError("a write: error %d" % f.err)
                f = self.client.call(wire.GET_DATA, wire.b_path_watch("/witness"))
                if f.err or f.body[4:4 + len(data)] != data:
                    raise AssertionError("a read: error %d, %r" % (f.err, f.body[:32]))
                self.ops += 1
                time.sleep(0.002)
        except Exception as e:
            self.wrong = "%s after %d" % (e or type(e).__name__, self.ops)

    def go_on(self):
        """It did something since."""
        now = self.ops
        proc.wait_for(lambda: self.wrong or self.ops > now, WAIT, "the witness")
        assert not self.wrong, "the well-behaved client: %s" % self.wrong

    def stop(self):
        self.go_on()
        self.ending.set()
        self.join(WAIT)
        assert not self.wrong, "the well-behaved client: %s" % self.wrong
        self.client.call(wire.DELETE, wire.b_path_int("/witness", -1))
        self.client.close_session()


class Target:
    """A zkernd. As a context: attacked, with a witness; at the end descriptors must
    be what they were."""

    kind = "memory"     # of those to come: the store that run is at

    def __init__(self, **config):
        config.setdefault("maxSessionTimeout", str(TIMEOUT))
        self.s = server.make_server(self.kind, config=config).start()
        self.w = None

    def __enter__(self):
        self.w = Witness(self.s)
        self.w.go_on()      # now the log is open
        self.fds = self.n_fds()
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.w.go_on()
                proc.wait_for(lambda: self.n_fds() <= self.fds, WAIT,
                              "descriptors to go until there are %d again" % self.fds)
                self.w.stop()
                assert self.s.alive(), self.s.log_text()
        finally:
            self.s.remove()

    def n_fds(self):
        if self.s.kind == "kernel":
            return int(self.s.vm.must("ls /proc/%d/fd | wc -l" % self.s.pid))
        return len(os.listdir("/proc/%d/fd" % self.s.proc.pid))

    def rss(self):
        """The process's, in MB.  A sanitizer's own memory (shadow, quarantine)
        hides what is bounded: then it is none."""
        if os.environ.get("SAN"):
            return 0
        if self.s.kind == "kernel":
            statm = self.s.vm.must("cat /proc/%d/statm" % self.s.pid)
        else:
            with open("/proc/%d/statm" % self.s.proc.pid) as f:
                statm = f.read()
        return int(statm.split()[1]) * 4096 / 1e6

    def log(self):
        return self.s.log_text(1 << 20)

    def logged(self, text):
        """Waits for a line of the log that has all of text."""
        words = [text] if isinstance(text, str) else text
        return proc.wait_for(
            lambda: [n for n in self.log().splitlines() if all(w in n for w in words)],
            WAIT, "a log line with %s" % words)

    def conn(self, timeout=WAIT):
        return wire.Conn(self.s.host, self.s.port, timeout)

    def client(self, timeout=TIMEOUT):
        return wire.Client(self.s.host, self.s.port, timeout=timeout)


def closed(conn, what):
    """The server closes it, having said nothing."""
    conn.sock.settimeout(WAIT)
    try:
        got = conn.sock.recv(100)
    except ConnectionResetError:
        got = b""
    assert got == b"", "%s: %r came" % (what, got)
    conn.close()


def send(conn, data):
    """Sends what the server takes; it may close in between."""
    try:
        conn.sock.sendall(data)
    except OSError:
        pass
