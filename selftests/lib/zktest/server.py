# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers to test against, all with one interface.

    s = make_server("apache")           # or "memory", "kernel"
    s.start()                           # returns when it serves
    ... s.host, s.port, s.data_dir ...
    s.kill(); s.start()                 # kill -9, the same directory again
    s.stop()                            # an orderly end

A server listens on a loopback port of its own, keeps its data in a temporary
directory (or in data_dir=, which it then does not remove), and has its log
kept in memory's reach: log_text(), shown by the suites when a test fails.
"""

import os
import shutil
import signal
import socket
import subprocess
import time

from . import proc

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
ZKERND = os.environ.get("ZKERND", os.path.join(TOP, "build", "zkernd"))
ZKERN = os.environ.get("ZKERN", os.path.join(TOP, "build", "zkern"))
APACHE_CLASSPATH = "/usr/share/java/zookeeper.jar:" \
    "/usr/share/java/slf4j-simple.jar"
APACHE_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"

TICK = 500
MIN_TIMEOUT = 2 * TICK
MAX_TIMEOUT = 40000


def fresh(kind):
    """Let nothing of what servers of this kind did be left in memory: the
    next one starts on a directory that the last one never saw."""
    if kind == "kernel":
        from .vm import Vm
        Vm.the().reset()


class StartError(Exception):
    """The server did not come to serve; the text holds its log."""


def four_letter(host, port, word, timeout=60):
    """Send a four-letter word, give the whole answer as text."""
    with socket.create_connection((host, port), timeout) as s:
        s.sendall(word.encode())
        got = b""
        while True:
            part = s.recv(65536)
            if not part:
                return got.decode(errors="replace")
            got += part


# Containers that were emptied are left alone, unless a test asks for it: a
# minute after the server's start, their deletions would be transactions in
# whatever is compared just then.
REAP = "znode.container.checkIntervalMs"
NEVER = "2000000000"


class Server:
    """One server process and its directory.  Not thread-safe."""

    kind = "?"
    start_timeout = 180
    poll = 0.02                 # seconds between looks at whether it serves
    client_ip = "127.0.0.1"     # where it sees our connections come from

    def __init__(self, data_dir=None, config=None):
        """config: further zoo.cfg keys, as a dict of text."""
        self.host = "127.0.0.1"
        self.port = proc.free_port()
        self.work = proc.temp_dir(self.kind + "-")
        self.data_dir = data_dir or os.path.join(self.work, "data")
        os.makedirs(self.data_dir, exist_ok=True)
        self.extra = dict(config or {})
        self.log_path = os.path.join(self.work, "log")
        self.proc = None

    # -- what the kinds differ in

    def command(self, cfg):
        """The program and its arguments, given the config file."""
        raise NotImplementedError

    def environment(self):
        """Further environment variables."""
        return {}

    # -- the common part

    @property
    def address(self):
        return "%s:%d" % (self.host, self.port)

    def config(self):
        """The zoo.cfg keys it runs with."""
        keys = {
            "tickTime": str(TICK),
            "maxSessionTimeout": str(MAX_TIMEOUT),
            "dataDir": self.data_dir,
            "clientPort": str(self.port),
            "clientPortAddress": "127.0.0.1",
            "admin.enableServer": "false",
            "4lw.commands.whitelist": "*",
            "maxClientCnxns": "0",
            "preAllocSize": "1024",
            REAP: NEVER,
        }
        keys.update(self.extra)
        return keys

    def write_config(self):
        """Write zoo.cfg; gives its path."""
        cfg = os.path.join(self.work, "zoo.cfg")
        with open(cfg, "w") as f:
            for k, v in self.config().items():
                f.write("%s=%s\n" % (k, v))
        return cfg

    def spawn(self):
        """Start the process, not waiting for anything."""
        cfg = self.write_config()
        env = dict(os.environ)
        env.update(self.environment())
        with open(self.log_path, "ab") as log:
            self.proc = proc.spawn(self.command(cfg), cwd=self.work,
                                   stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT, env=env)

    def start(self):
        """Start, and wait until it serves clients."""
        self.spawn()
        self.wait_ready()
        return self

    def wait_ready(self):
        end = time.monotonic() + self.start_timeout
        while True:
            if not self.alive():
                raise StartError("%s ended with status %s\n%s" % (
                    self.kind, self.exit_status(), self.log_text()))
            if self.serving():
                return
            if time.monotonic() > end:
                raise StartError("%s does not serve after %d s\n%s" % (
                    self.kind, self.start_timeout, self.log_text()))
            time.sleep(self.poll)

    def serving(self):
        """Does it answer as a server that serves clients?"""
        try:
            return "Zxid:" in self.four_letter("srvr", timeout=5)
        except OSError:
            return False

    def mode(self, timeout=5):
        """What srvr says that it is: leader, follower, ...; None: nothing."""
        try:
            text = self.four_letter("srvr", timeout)
        except OSError:
            return None
        for line in text.splitlines():
            if line.startswith("Mode: "):
                return line[6:]
        return None

    def four_letter(self, word, timeout=60):
        return four_letter(self.host, self.port, word, timeout)

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def exit_status(self):
        return self.proc.returncode if self.proc else None

    def _end(self, sig, timeout):
        if self.proc is None:
            return True
        proc.kill_group(self.proc, sig)
        if not proc.wait_exit(self.proc, timeout):
            proc.kill_group(self.proc)
            proc.wait_exit(self.proc, 30)
            self.proc = None
            return False
        self.proc = None
        return True

    def stop(self):
        """SIGTERM.  False if it had to be killed after 90 s."""
        return self._end(signal.SIGTERM, 90)

    def kill(self):
        """SIGKILL, as a crash of the process."""
        self._end(signal.SIGKILL, 30)

    def restart(self, crash=False):
        """End it (orderly, or by kill -9) and start it on its directory."""
        if crash:
            self.kill()
        else:
            self.stop()
        return self.start()

    def log_text(self, tail=16000):
        """What it printed, the last tail characters."""
        try:
            with open(self.log_path, errors="replace") as f:
                return f.read()[-tail:]
        except OSError:
            return ""

    def files(self, prefix):
        """The names in version-2 that begin with prefix, by their zxid."""
        d = os.path.join(self.data_dir, "version-2")
        names = [n for n in os.listdir(d) if n.startswith(prefix)]
        return sorted(names, key=lambda n: int(n.split(".")[1], 16))

    def mntr(self):
        """The answer to mntr, as a dict without the zk_ prefix."""
        out = {}
        for line in self.four_letter("mntr").splitlines():
            k, _, v = line.partition("\t")
            out[k.replace("zk_", "", 1)] = v
        return out

    def remove(self):
        """Kill it and remove what it left."""
        self.kill()
        fresh(self.kind)
        if not os.environ.get("ZKERN_TEST_KEEP"):
            shutil.rmtree(self.work, ignore_errors=True)


class ApacheServer(Server):
    """Apache ZooKeeper as Debian ships it: the control."""

    kind = "apache"

    def command(self, cfg):
        log = "-Dorg.slf4j.simpleLogger."
        # of containers it takes nothing from zoo.cfg
        props = ["-D%s=%s" % k for k in self.config().items()
                 if k[0].startswith("znode.container.")]
        return ["java", *props, "-Xmx256m", "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                log + "defaultLogLevel=warn",
                log + "log.org.apache.zookeeper.server.DataTree=info",
                log + "log.org.apache.zookeeper.server.persistence=info",
                log + "showDateTime=true",
                log + "dateTimeFormat=HH:mm:ss.SSS",
                "-cp", APACHE_CLASSPATH, APACHE_MAIN, cfg]


class ZkerndServer(Server):
    """zkernd in this machine, its tree in its own memory."""

    kind = "memory"

    def command(self, cfg):
        return [ZKERND, "--store", "memory", cfg]


def make_server(kind, **kwargs):
    """A server of the kind: apache, memory, kernel, or guest."""
    if kind in ("kernel", "guest"):
        from . import vm
        return (vm.VmServer if kind == "kernel" else vm.GuestServer)(**kwargs)
    if kind == "apache":
        return ApacheServer(**kwargs)
    if kind == "memory":
        return ZkerndServer(**kwargs)
    raise ValueError("no such kind of server: " + kind)
