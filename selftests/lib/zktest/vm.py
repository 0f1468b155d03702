# SPDX-License-Identifier: GPL-2.0-or-later
"""zkernd with the kernel store: a VM (tools/vm/vm), one to a test program.

The VM shares the test's own directory as /t, so that config, data and log are
files here as there; port 2181 in it is forwarded to a loopback port here.  So
there is one VmServer at a time, but for those that are given ports of their own.
"""

import os
import shlex
import time

from . import proc
from .server import TOP, ZKERN, ZKERND, Server, StartError

VM = os.path.join(TOP, "tools", "vm", "vm")
GUEST_PORT = 2181


class Vm:
    """The VM.  Vm.the() boots it when first asked for."""

    _the = None
    programs = []       # further programs to be put into it
    options = []        # further options of vm start
    prepare = "insmod /zkern.ko"    # what is run in it first

    def __init__(self):
        self.base = proc.base_dir()
        self.pidfile = os.path.join(self.base, "vm")
        self.port = proc.free_port()
        script = os.path.join(self.base, "vm-start")
        with open(script, "w") as f:
            f.write("#!/bin/sh -e\n%s\n" % self.prepare)
        os.chmod(script, 0o755)
        args = [VM, "start", "--pidfile", self.pidfile,
                "--share", "%s:t" % self.base,
                "--forward", "%d:%d" % (self.port, GUEST_PORT),
                "--mem", "1536"] + self.options
        for p in [ZKERND, ZKERN] + self.programs:
            args += ["--add", p]
        proc.at_end(self.stop)
        status, out, err = proc.run(args + ["--", script], timeout=300)
        if status:
            raise StartError("the VM does not start: %d\n%s%s" % (
                status, out, err[-8000:]))

    @classmethod
    def the(cls):
        if cls._the is None:
            cls._the = Vm()
        return cls._the

    def stop(self):
        """Take it down; what its kernel complained of is an error."""
        Vm._the = None
        if not os.path.exists(self.pidfile):
            return
        status, out, err = proc.run([VM, "stop", self.pidfile], timeout=90)
        if status:
            raise AssertionError("the VM's end: status %d\n%s%s" % (
                status, out, err[-8000:]))

    def cut(self):
        """Its power fails."""
        Vm._the = None
        status, out, err = proc.run([VM, "stop", "--kill", self.pidfile],
                                    timeout=90)
        if status:
            raise AssertionError("the VM's end: status %d\n%s%s" % (
                status, out, err[-8000:]))

    def run(self, command, timeout=120):
        """A shell command in the VM: (status, stdout, stderr)."""
        return proc.run([VM, "exec", "--timeout", str(timeout), self.pidfile,
                         "/bin/sh", "-c", command], timeout=timeout + 30)

    def must(self, command, timeout=120):
        """The same, whose failure is one."""
        status, out, err = self.run(command, timeout)
        if status:
            raise AssertionError("in the VM: %s: status %d\n%s%s" % (
                command, status, out, err))
        return out

    def path(self, host_path):
        """How the VM calls a file of ours."""
        return "/t/" + os.path.relpath(host_path, self.base)

    def reset(self):
        """Remove the instances, and with them their trees."""
        self.must("cd /dev; for d in zkern[0-9]*; do if [ -e $d ]; then "
                  "zkern instance del ${d#zkern} --force || exit; fi; done")

    def console(self):
        return proc.run([VM, "console", self.pidfile])[1]


class VmServer(Server):
    """zkernd in the VM, its tree in the VM's kernel."""

    kind = "kernel"
    store = "kernel"
    client_ip = "10.0.2.2"
    poll = 0.2

    def __init__(self, forward=None, **kwargs):
        """forward: (port here, port there), which Vm.options has, too."""
        super().__init__(**kwargs)
        self.vm = Vm.the()
        self.port, self.guest_port = forward or (self.vm.port, GUEST_PORT)
        self.pidfile = os.path.join(self.work, "pid")
        self.statusfile = os.path.join(self.work, "status")

    def config(self):
        keys = super().config()
        keys["dataDir"] = self.vm.path(self.data_dir)
        keys["clientPort"] = str(self.guest_port)
        del keys["clientPortAddress"]
        return keys

    def spawn(self):
        cfg = self.write_config()
        for f in (self.pidfile, self.statusfile):
            if os.path.exists(f):
                os.unlink(f)
        g = self.vm.path
        self.vm.must(
            "( %s --store %s %s >>%s 2>&1 </dev/null & "
            "echo $! >%s; wait $!; echo $? >%s.new; mv %s.new %s ) "
            ">/dev/null 2>&1 </dev/null &" % (
                "/bin/" + os.path.basename(ZKERND), self.store, g(cfg),
                g(self.log_path), g(self.pidfile), g(self.statusfile),
                g(self.statusfile), g(self.statusfile)))
        proc.wait_for(lambda: self._read(self.pidfile), 120, "zkernd's pid")

    @staticmethod
    def _read(path):
        try:
            with open(path) as f:
                return f.read().strip()
        except OSError:
            return ""

    @property
    def pid(self):
        """zkernd's process id in the VM."""
        return int(self._read(self.pidfile))

    def alive(self):
        return bool(self._read(self.pidfile)) and \
            not self._read(self.statusfile)

    def exit_status(self):
        return self._read(self.statusfile)

    def _end(self, sig, timeout):
        if not self.alive():
            return True
        self.vm.run("kill -%d %d" % (sig, self.pid))
        end = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > end:
                self.vm.run("kill -9 %d" % self.pid)
                return False
            time.sleep(0.02)
        return True

    def zkern(self, *args):
        """The zkern command in the VM: (status, stdout, stderr)."""
        return self.vm.run("zkern " + " ".join(shlex.quote(a) for a in args))


class GuestServer(VmServer):
    """The same, its tree in its own memory: company for a VmServer."""

    kind = "guest"
    store = "memory"
