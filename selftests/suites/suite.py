# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs an upstream suite against one server and judges what came of it.

An upstream suite is a module with

    NAME                its name, and that of its list in left-out/
    CONFIG              zoo.cfg keys of its server
    APACHE_JVM          (if there) options of the control's JVM
    SLOW                names (with * and ?) of tests that are run only when
                        all are asked for
    KINDS               (if there) the kinds of server that it is for
    SIZE                (if there) how many servers, that are an ensemble
    ONLY, NOT           (if there) names of tests, all others and which are no
                        concern of this suite
    prepare()           make ready what is to be run; raises Skip if it cannot
                        be had on this machine
    run(job, only)      collect the tests; run those that job.wanted(name), or
                        those in only if that is not None; calls
                        job.collected(names of all) once, then
                        job.result(...) for each test as it ends
"""

import fnmatch
import os
import threading
import time

from zktest.ensemble import Ensemble
from zktest.server import make_server
from zktest.tap import Tap

from control import ENV, Control
from leftout import RETRIES, LeftOut


class SharedTap(Tap):
    """For several threads.  How many results there are is known at the end."""

    def __init__(self):
        super().__init__()
        self.lock = threading.RLock()
        self.left = {}          # (suite, list's entry, reason) -> {kind: tests}

    def ok(self, cond, name, why=None):
        with self.lock:
            return super().ok(cond, name, why)

    def skip(self, name, why):
        with self.lock:
            return super().skip(name, why)

    def diag(self, text):
        with self.lock:
            super().diag(text)

    def leave_out(self, title, suite, kind, entry):
        """One test that says nothing of the server, and why."""
        with self.lock:
            of = self.left.setdefault((suite, str(entry), entry.reason), {})
            of[kind] = of.get(kind, 0) + 1
            return super().skip(title, entry.reason)

    def finish(self):
        """The plan, and once more what was left out."""
        self._line("1..%d" % self.count)
        if self.left:
            self.diag("left out:")
        for (suite, entry, reason), of in self.left.items():
            self.diag("  %s %s (%s): %s" % (suite, entry, ", ".join(
                "%s: %d" % x for x in sorted(of.items())), reason))
        return super().finish()


class Job:
    """One suite against one kind of server; args are run's.

    Used by the suite's run(): kind, left (the LeftOut), environment(),
    wanted(), collected(), result().
    """

    def __init__(self, tap, suite, kind, args):
        self.tap, self.suite, self.kind, self.args = tap, suite, kind, args
        self.left = LeftOut(suite.NAME, kind)
        self.names = []
        self.seen = set()
        self.again = {}         # flaky ones that failed: name -> why
        self.quiet = False      # in a retry: collected again, nothing new

    def title(self, name):
        return "%s %s %s" % (self.suite.NAME, self.kind, name)

    def environment(self):
        """For the process that runs the tests."""
        return dict(os.environ, **{ENV: self.control.path})

    # -- called by the suite

    def wanted(self, name):
        """Is this test to be run?"""
        return not self.left.is_norun(name) and self.asked(name)

    def ours(self, name):
        """Is this test one of this suite's at all?"""
        def among(attr, default):
            return any(fnmatch.fnmatchcase(name, s)
                       for s in getattr(self.suite, attr, default))
        return among("ONLY", ("*",)) and not among("NOT", ())

    def asked(self, name):
        """Is this test one of those to be reported?"""
        slow = not self.args.all and not self.args.only and any(
            fnmatch.fnmatchcase(name, s) for s in self.suite.SLOW)
        return self.args.only in name and not slow and self.ours(name)

    def collected(self, names):
        if self.quiet:
            return
        names = [n for n in names if self.ours(n)]
        for n in names:
            self.left.find(n)
        self.names = [n for n in names if self.asked(n)]
        if len(self.names) < len(names):
            self.tap.diag("%s: %d of %d tests" % (
                self.title("asked for"), len(self.names), len(names)))

    def result(self, name, state, why="", seconds=0):
        """state: passed, failed or skipped."""
        if name not in self.names or name in self.seen:
            self.tap.ok(False, self.title(name), "a result not asked for")
            return
        entry = self.left.find(name)
        how = entry.how if entry else None
        if how == "flaky" and state == "failed":
            self.again[name] = why
            return
        self.seen.add(name)
        title = self.title(name)
        if self.args.times:
            self.tap.diag("%6.1f s %s" % (seconds, name))
        if state == "passed" and how in (None, "flaky"):
            self.tap.ok(True, title)
        elif (how, state) in (("fails", "failed"), ("skips", "skipped")):
            self.tap.leave_out(title, self.suite.NAME, self.kind, entry)
        else:
            if how:
                why = "%s: %s, but it %s\n%s" % (self.left.path, entry, state,
                                                 why)
            elif state == "skipped":
                why = "it skips itself: " + why
            self.tap.ok(False, title, why)

    # -- the whole

    def go(self):
        """Run, report everything.  The server is ours from here to there."""
        size = getattr(self.suite, "SIZE", 1)
        servers = [make_server(self.kind, config=self.suite.CONFIG)] if size == 1 else \
            Ensemble([self.kind] * size, self.suite.CONFIG).servers
        jvm = getattr(self.suite, "APACHE_JVM", None)
        if jvm and self.kind == "apache":
            for s in servers:
                s.environment = lambda: {"JDK_JAVA_OPTIONS": jvm}
        begin = time.monotonic()
        try:
            self.control = Control(servers, os.path.join(servers[0].work, "sock"))
            self.server = servers[0]
            for s in servers:
                s.spawn()
            for s in servers:
                s.wait_ready()
            self.suite.run(self, None)
            self.retry()
            self.control.close()
            if any(n not in self.seen for n in self.names):
                for s in servers:
                    self.tap.diag("server's log:\n" + s.log_text(6000))
        finally:
            for s in servers:
                s.remove()
        self.rest()
        self.tap.diag("%s: %d s" % (self.title("took"),
                                    time.monotonic() - begin))

    def retry(self):
        """Those that fail now and then get RETRIES further chances."""
        self.quiet = True
        for n in range(1, RETRIES + 1):
            todo, self.again = self.again, {}
            if not todo:
                return
            for name, why in todo.items():
                self.tap.diag("%s: failed, retry %d" % (self.title(name), n))
            self.suite.run(self, sorted(todo))
        for name, why in self.again.items():
            self.seen.add(name)
            self.tap.ok(False, self.title(name),
                        "failed %d times\n%s" % (RETRIES + 1, why))

    def rest(self):
        """What was not run, and entries of the list without a test."""
        if not self.names:
            self.tap.ok(False, self.title("tests"), "none were found")
        for name in self.names:
            if name in self.seen:
                continue
            entry = self.left.find(name)
            if entry and entry.how == "norun":
                self.tap.leave_out(self.title(name), self.suite.NAME,
                                   self.kind, entry)
            else:
                self.tap.ok(False, self.title(name), "it was not run")
        for e in self.left.unused():
            self.tap.ok(False, self.title("left out: %s" % e),
                        "%s: no test of that name" % self.left.path)
