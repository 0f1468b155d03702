# SPDX-License-Identifier: GPL-2.0-or-later
"""The zkern command, called as a script calls it."""

import json
import os
import signal

from zktest import proc
from zktest.server import ZKERN

# As zkern(1) promises.
USAGE, NO_NODE, NO_AUTH, BAD_VERSION, EXISTS, NOT_EMPTY = 1, 2, 3, 4, 5, 6
STALE, CONNECTION, TIMEOUT, NOT_OFFERED = 7, 8, 9, 10


def check(cond, what):
    if not cond:
        raise AssertionError(what)


def equal(got, want, what=""):
    if got != want:
        raise AssertionError("%s: got %r, want %r" % (what, got, want))


class Cli:
    """Runs zkern with some options first.  Calls give what it printed."""

    def __init__(self, *options, runner=None):
        self.options = list(options)
        self.runner = runner or (lambda args: proc.run([ZKERN] + args))

    def run(self, *args):
        """(status, stdout, stderr)"""
        return self.runner(self.options + list(args))

    def __call__(self, *args, code=0):
        status, out, err = self.run(*args)
        if status != code:
            raise AssertionError("zkern %s: exit %d, not %d\n%s%s" % (
                " ".join(args), status, code, out, err))
        if code:
            lines = err.splitlines()
            equal(len(lines), 1, "lines of an error: %r" % err)
            check(lines[0].startswith("zkern: "), "an error line: %r" % err)
            return lines[0]
        return out

    def json(self, *args):
        """The one object that it printed."""
        out = self(*args, "--json")
        equal(len(out.splitlines()), 1, "lines of JSON")
        return json.loads(out)


class Background:
    """A zkern that runs beside the test, its output in files."""

    def __init__(self, address, *args):
        d = proc.temp_dir("cli-")
        self.out_path = os.path.join(d, "out")
        self.err_path = os.path.join(d, "err")
        with open(self.out_path, "wb") as o, open(self.err_path, "wb") as e:
            self.proc = proc.spawn([ZKERN, "--tcp", address] + list(args),
                                   stdout=o, stderr=e)

    def out(self):
        with open(self.out_path) as f:
            return f.read()

    def err(self):
        with open(self.err_path) as f:
            return f.read()

    def until(self, cond, what):
        """Wait until cond() holds; its ending before that is a failure."""
        def look():
            if cond():
                return True
            check(self.proc.poll() is None, "zkern ended: %s%s" % (
                self.out(), self.err()))
            return False
        proc.wait_for(look, 60, what)

    def ends(self, code=0):
        check(proc.wait_exit(self.proc, 60), "zkern does not end")
        equal(self.proc.returncode, code, "exit status; " + self.err())

    def interrupt(self):
        proc.kill_group(self.proc, signal.SIGINT)
        self.ends()
