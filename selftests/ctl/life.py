# SPDX-License-Identifier: GPL-2.0-or-later
"""The service manager, signals, exit statuses."""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from common import PATIENCE, daemon, equal, temp_dir, zkernd
from zktest import proc, wire

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000


class Manager:
    """The socket that a service manager listens on."""

    def __init__(self, d, watchdog_ms=0):
        self.path = os.path.join(d.work, "notify")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        d.env["NOTIFY_SOCKET"] = self.path
        if watchdog_ms:
            d.env["WATCHDOG_USEC"] = str(watchdog_ms * 1000)
        self.seen = []

    def read(self, timeout):
        """One message as a dict, or None."""
        self.sock.settimeout(timeout)
        try:
            text = self.sock.recv(65536).decode()
        except (TimeoutError, socket.timeout):
            return None
        m = dict(x.split("=", 1) for x in text.splitlines())
        self.seen.append(m)
        return m

    def wait(self, key, value=None):
        """The next message with the key."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            m = self.read(1)
            if m and key in m and value in (None, m[key]):
                return m
        raise AssertionError("no %s in %s" % (key, self.seen[-20:]))

    def close(self):
        self.sock.close()


def notified():
    """A service manager is told of each state, and of what is served."""
    with daemon(start=False) as d:
        m = Manager(d)
        d.spawn()
        m.wait("EXTEND_TIMEOUT_USEC")
        ready = m.wait("READY", "1")
        equal(ready["MAINPID"], str(d.proc.pid), "MAINPID")
        status = m.wait("STATUS")["STATUS"]
        assert re.match(r"serving: zxid 0x[0-9a-f]+, 0 sessions, 0 requests", status), status
        c = wire.Client(d.host, d.port, 40000)
        c.call(wire.CREATE, wire.b_create("/a"))
        end = time.monotonic() + PATIENCE
        while "zxid 0x2, 1 sessions" not in status and time.monotonic() < end:
            status = m.wait("STATUS")["STATUS"]
        assert "zxid 0x2, 1 sessions" in status, status
        d.signal(signal.SIGHUP)
        assert int(m.wait("RELOADING", "1")["MONOTONIC_USEC"]) > 0
        m.wait("READY", "1")
        d.signal(signal.SIGTERM)
        m.wait("STOPPING", "1")
        equal(d.wait_end(), 0, "status")
        assert not any("WATCHDOG" in x for x in m.seen), "nobody asked for a watchdog"
        m.close()


def core_tid(pid):
    for t in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/comm" % (pid, t)) as f:
            if f.read() == "core\n":
                return int(t)
    raise AssertionError("no core thread")


def watchdog():
    """The watchdog is fed while the core thread answers, and not when it is stuck."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    with daemon(start=False) as d:
        m = Manager(d, watchdog_ms=400)
        d.spawn()
        for _ in range(5):
            m.wait("WATCHDOG", "1")
        tid = core_tid(d.proc.pid)
        assert libc.ptrace(PTRACE_SEIZE, tid, None, None) == 0, os.strerror(
            ctypes.get_errno())
        assert libc.ptrace(PTRACE_INTERRUPT, tid, None, None) == 0
        os.waitpid(tid, WALL)
        # what was answered before may be told yet
        quiet = time.monotonic() + 3
        last = time.monotonic()
        told = 0
        while time.monotonic() < quiet:
            x = m.read(0.2)
            if x and "WATCHDOG" in x:
                told += 1
                last = time.monotonic()
        assert told <= 1 or time.monotonic() - last > 2, \
            "a stuck core is alive: told %d times" % told
        libc.ptrace(PTRACE_DETACH, tid, None, None)
        for _ in range(3):
            m.wait("WATCHDOG", "1")
        m.close()


def drain():
    """SIGTERM: what was proposed is finished and answered, and nothing else is."""
    with daemon() as d:
        c = wire.Client(d.host, d.port, 40000)
        n = 3000
        for i in range(n):
            c.send(wire.CREATE, wire.b_create("/n%05d" % i))
        c.recv(PATIENCE)
        d.signal(signal.SIGTERM)
        answered = 1
        try:
            while True:
                f = c.recv(PATIENCE)
                equal(f.err, 0, "answer %d" % answered)
                answered += 1
        except (wire.Closed, OSError):
            pass
        equal(d.wait_end(), 0, "status")
        d.proc = None
        d.start()
        c = wire.Client(d.host, d.port, 40000)
        there = 0
        for i in range(n):
            there += c.call(wire.EXISTS, wire.b_path_watch("/n%05d" % i)).err == 0
        print("# %d of %d answered" % (answered, n), flush=True)
        equal(there, answered, "nodes made and answers given")


OURS = (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)


def own_thread():
    """Signals are the main thread's alone: elsewhere one would end us on the spot."""
    mask = sum(1 << s - 1 for s in OURS)
    with daemon() as d:
        for t in os.listdir("/proc/%d/task" % d.proc.pid):
            if int(t) == d.proc.pid:
                continue
            with open("/proc/%d/task/%s/status" % (d.proc.pid, t)) as f:
                text = f.read()
            blocked = int(re.search(r"SigBlk:\s*([0-9a-f]+)", text).group(1), 16)
            equal(blocked & mask, mask, "signals blocked in a thread")
    for _ in range(3):
        with daemon() as d:
            d.signal(signal.SIGHUP)
            d.signal(signal.SIGTERM)
            equal(d.wait_end(), 0, "status when both come at once")
            d.proc = None


def second_term():
    """A second SIGTERM ends it at once; so does the first while it recovers."""
    with daemon(config={"audit.enable": "true", "zkern.auditFile": "/dev/full",
                        "zkern.auditFull": "stall"}) as d:
        d.wait_log("No space left on device")
        d.signal(signal.SIGTERM)
        d.wait_log("SIGTERM: shutting down; a second one ends at once")

        def refused():
            try:
                socket.create_connection((d.host, d.port), 5).close()
                return False
            except ConnectionRefusedError:
                return True
        proc.wait_for(refused, PATIENCE, "that nobody listens")
        d.signal(signal.SIGTERM)
        equal(d.wait_end(), -signal.SIGTERM, "status")
        d.proc = None


def end_of(text, *args):
    with temp_dir() as d:
        cfg = os.path.join(d, "zoo.cfg")
        with open(cfg, "w") as f:
            f.write(text.replace("@", d))
        status, _, err = zkernd("--store", "memory", *args, cfg)
        lines = [x for x in err.splitlines() if " ERROR " in x]
        assert lines, err
        return status, lines[-1]


def exit_statuses():
    """Each way not to start has its exit status and a clear line."""
    status, line = end_of("dataDir=@\ntickTime=x\n")
    assert status == 5 and "zoo.cfg:2: tickTime: not a number: x" in line, (status, line)
    status, line = end_of("dataDir=@/zoo.cfg\nclientPort=0\n")
    assert status == 3 and "zoo.cfg" in line, (status, line)
    status, line = end_of("dataDir=@\nclientPort=0\nzkern.logFile=@/none/log\n")
    assert status == 5 and "none/log: No such file" in line, (status, line)
    status, line = end_of("dataDir=@\nclientPort=0\naudit.enable=true\n"
                          "zkern.auditFile=@/none/audit\n")
    assert status == 5 and "none/audit: No such file" in line, (status, line)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        status, line = end_of("dataDir=@\nclientPort=%d\n"
                              "clientPortAddress=127.0.0.1\n" % port)
    assert status == 7 and str(port) in line, (status, line)
    with daemon() as d:
        status, line = end_of("dataDir=%s\nclientPort=0\n" % d.data_dir)
        assert status == 3 and d.data_dir in line, (status, line)
    if not os.path.exists("/dev/zkern"):
        status, line = end_of("dataDir=@\nclientPort=0\n", "--store", "kernel")
        assert status == 6 and "not loaded" in line, (status, line)
    equal(zkernd("--nonsense")[0], 2, "wrong usage")


def bind_retry():
    """electionPortBindRetry: a port that is taken is tried so often; 0: until it is free."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        config = {"server.1": "127.0.0.1:0:%d" % port, "server.2": "127.0.0.1:0:1",
                  "server.3": "127.0.0.1:0:2", "initLimit": "5", "syncLimit": "5"}

        def member(d):
            with open(os.path.join(d.data_dir, "myid"), "w") as f:
                f.write("1\n")
            d.spawn()

        def tries(n):
            return dict(config, electionPortBindRetry=n)
        with daemon(start=False, config=tries("2")) as d:
            member(d)
            assert d.wait_end() == 7, d.log_text()
            d.proc = None
            equal(d.log_text().count("): Address already in use: trying again"), 1, "tries")
        with daemon(start=False, config=tries("0")) as d:
            member(d)
            d.wait_log("trying again")
            d.signal(signal.SIGTERM)
            equal(d.wait_end(), -signal.SIGTERM, "status")
            d.proc = None
        with daemon(start=False, config=tries("0")) as d:
            member(d)
            d.wait_log("trying again")
            s.close()
            d.wait_log("looking")
            d.signal(signal.SIGTERM)
            equal(d.wait_end(), 0, "status")
            d.proc = None


def unit_file():
    """The unit is what systemd takes, and names no option that it ignores."""
    if not shutil.which("systemd-analyze"):
        print("# no systemd-analyze", flush=True)
        return
    with temp_dir() as d:
        unit = os.path.join(d, "zkernd.service")
        with open(os.path.join(TOP, "tools/install/zkernd.service.in")) as f:
            text = f.read()
        with open(unit, "w") as f:
            f.write(text.replace("@sbindir@", os.path.dirname(
                os.path.join(TOP, "build/zkernd"))))
        p = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
                            unit], capture_output=True, text=True, timeout=PATIENCE)
        bad = [x for x in (p.stdout + p.stderr).splitlines() if "zkernd.service" in x]
        equal(bad, [], "systemd-analyze verify")
    assert "Type=notify" in text and "WatchdogSec=" in text, text


TESTS = [notified, watchdog, drain, own_thread, second_term, exit_statuses, bind_retry,
         unit_file]
