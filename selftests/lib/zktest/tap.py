# SPDX-License-Identifier: GPL-2.0-or-later
"""Test Anything Protocol output.

Every suite prints a plan, so that one that stops half-way is seen to have
failed.  Reporting is serialised; results may come from one thread only.
"""

import io
import sys
import traceback

CONTROL_TRIES = 3


class Tap:
    """Collects and prints results.  finish() gives the exit status."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.count = 0
        self.failed = 0
        self.planned = None
        if hasattr(out, "reconfigure"):
            out.reconfigure(errors="backslashreplace")

    def plan(self, n):
        """Print the plan: exactly n results will follow."""
        self.planned = n
        self._line("TAP version 13")
        self._line("1..%d" % n)

    def ok(self, cond, name, why=None):
        """Report one result; why (text) is shown when it failed."""
        self.count += 1
        name = name.replace("#", "\\#")
        if cond:
            self._line("ok %d - %s" % (self.count, name))
        else:
            self.failed += 1
            self._line("not ok %d - %s" % (self.count, name))
            if why:
                self.diag(why)
        return bool(cond)

    def run(self, name, func, *args):
        """Report func(*args) as one result: ok unless it raises."""
        try:
            func(*args)
        except Skip as e:
            return self.skip(name, str(e))
        except Exception:
            return self.ok(False, name, traceback.format_exc())
        return self.ok(True, name)

    def tries(self, n, func, *args):
        """Report the results of func(tap, *args), which starts its servers itself; if
        one failed all is thrown away, shown as comments, and done once more, n times
        at the most.  For the control: Apache ZooKeeper 3.8.0 has, once in some hundred
        runs, closed a connection or forgotten a transaction.  Ours has one try.
        Gives what func gave at last."""
        for _ in range(n - 1):
            kept = Tap(io.StringIO())
            kept.count = self.count
            why = ""
            try:
                got = func(kept, *args)
            except Exception:
                why = traceback.format_exc()
            if not why and not kept.failed:
                self.count = kept.count
                self.out.write(kept.out.getvalue())
                self.out.flush()
                return got
            self.diag("once more, since:\n" + kept.out.getvalue() + why)
        return func(self, *args)

    def control(self, kinds, func, *args):
        """tries() of what runs on servers of these kinds: more than one if any is
        Apache ZooKeeper's."""
        return self.tries(CONTROL_TRIES if "apache" in kinds else 1, func, *args)

    def skip(self, name, why):
        """Report a result that could not be had here, and say why."""
        self.count += 1
        self._line("ok %d - %s # SKIP %s" % (self.count, name, why))
        return True

    def diag(self, text):
        """Print text as comment lines."""
        for line in str(text).splitlines():
            self._line("# " + line)

    def bail_out(self, why):
        """Say that nothing more can be tested, and exit with failure."""
        self._line("Bail out! " + why)
        sys.exit(1)

    def finish(self):
        """Exit status: 0 if all that was planned ran and none failed."""
        if self.planned is not None and self.count != self.planned:
            self.diag("planned %d results, had %d" %
                      (self.planned, self.count))
            return 1
        if self.failed:
            self.diag("%d of %d failed" % (self.failed, self.count))
        return 1 if self.failed else 0

    def _line(self, text):
        self.out.write(text + "\n")
        self.out.flush()


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""
