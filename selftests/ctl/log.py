# SPDX-License-Identifier: GPL-2.0-or-later
"""The log: its form, its levels, its file, and a standard error that nobody reads."""

import os
import re
import signal
import time

from common import PATIENCE, daemon
from zktest import proc, wire

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} "
                  r"(ERROR|WARN|INFO|DEBUG|TRACE) \[[^]]+\] \S")


def form():
    """Lines have time, level and thread; in the journal a priority."""
    with daemon() as d:
        d.wait_log("serving ")
        lines = d.log_text().splitlines()
        assert lines and all(LINE.match(x) for x in lines), lines
        assert any("INFO [zkernd] serving " in x for x in lines), lines
        st = os.stat(d.log_path)
        d.env = {"JOURNAL_STREAM": "%d:%d" % (st.st_dev, st.st_ino)}
        d.stop()
        os.truncate(d.log_path, 0)
        d.start()
        d.wait_log("<6>INFO [zkernd] serving ")
        lines = d.log_text().splitlines()
        assert all(re.match(r"<[3467]>", x) for x in lines), lines
        d.env = {"JOURNAL_STREAM": "%d:%d" % (st.st_dev, st.st_ino + 1)}
        d.stop()
        os.truncate(d.log_path, 0)
        d.start()
        d.wait_log("serving ")
        assert "<6>" not in d.log_text(), "another file's JOURNAL_STREAM"


def levels():
    """The level changes by USR1, USR2, and by HUP to what the file says."""
    with daemon(config={"zkern.logLevel": "warn"}) as d:
        assert "INFO" not in d.log_text(), d.log_text()
        for sig, level in ((signal.SIGUSR1, "info"), (signal.SIGUSR1, "debug"),
                           (signal.SIGUSR1, "trace"), (signal.SIGUSR2, "debug")):
            d.signal(sig)
            d.wait_log("log level is now " + level)
            os.truncate(d.log_path, 0)
        d.extra["zkern.logLevel"] = "info"
        d.write_config()
        d.signal(signal.SIGHUP)
        d.wait_log("SIGHUP: reread log level info")
        d.extra["zkern.logLevel"] = "loud"
        d.write_config()
        d.signal(signal.SIGHUP)
        d.wait_log("not one of error, warn, info, debug, trace: loud")
        d.wait_log("SIGHUP: kept log level info")
        assert d.four_letter("ruok") == "imok"


def log_file():
    """A log file is opened anew by HUP, for logrotate."""
    with daemon(start=False) as d:
        path = os.path.join(d.work, "zkernd.log")
        d.extra["zkern.logFile"] = path
        d.start()
        d.wait_log("serving ", path)
        # who starts it by hand sees it begin; after that it is the file alone
        d.wait_log("serving ")
        os.rename(path, path + ".1")
        d.signal(signal.SIGHUP)
        proc.wait_for(lambda: os.path.exists(path), PATIENCE, "a new file")
        d.signal(signal.SIGUSR1)
        d.wait_log("log level is now debug", path)
        assert "log level" not in d.log_text(), d.log_text()
        with open(path + ".1") as f:
            assert "log level is now" not in f.read()
        assert d.stop()
        d.wait_log("SIGTERM: shutting down", path)


def rate_limit():
    """What clients provoke is limited, and what was left out is told."""
    with daemon() as d:
        for _ in range(200):
            c = wire.Conn(d.host, d.port)
            c.send_raw(b"\x7f\xff\xff\xff")
            c.recv_all()
            c.close()

        def told():
            text = d.log_text(100000)
            lines = [x for x in text.splitlines()
                     if "closing" in x and "similar suppressed: " not in x]
            left = re.findall(r"(\d+) similar suppressed", text)
            assert len(lines) < 100, lines
            return sum(map(int, left)) + len(lines) >= 200
        proc.wait_for(told, PATIENCE, "that all are told of")


def fill(path_fd):
    """Fill a pipe; by a description of our own, as O_NONBLOCK belongs to it."""
    fd = os.open("/proc/self/fd/%d" % path_fd, os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(fd, b"\n")
    except BlockingIOError:
        pass
    finally:
        os.close(fd)


def full_pipe():
    """A standard error that nobody reads stalls nobody, and the loss is told."""
    r, w = os.pipe()
    with daemon(config={"audit.enable": "true"}, stderr=w) as d:
        fill(w)
        c = wire.Client(d.host, d.port, 40000)
        begin, n = time.monotonic(), 8000
        for i in range(n):
            c.send(wire.CREATE, wire.b_create("/n%d" % i))
        for i in range(n):
            f = c.recv(PATIENCE)
            assert f.err == 0, (i, f.err)
        print("# %d writes with a full pipe: %.1f s" % (n, time.monotonic() - begin),
              flush=True)
        d.signal(signal.SIGUSR1)
        assert d.four_letter("ruok") == "imok"
        os.set_blocking(r, False)
        got = b""
        end = time.monotonic() + PATIENCE
        while b"of the log are lost" not in got and time.monotonic() < end:
            try:
                got = got[-200:] + os.read(r, 65536)
            except BlockingIOError:
                time.sleep(0.01)
        assert b"of the log are lost" in got, got[-500:]
        fill(w)
        assert d.stop(), "it ends although nobody reads"
    os.close(r)
    os.close(w)


TESTS = [form, levels, log_file, rate_limit, full_pipe]
