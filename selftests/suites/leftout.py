# SPDX-License-Identifier: GPL-2.0-or-later
"""What of an upstream suite is left out, and why: the lists in left-out/.

A list's lines (# begins a comment; a line that begins with white space goes on
with the reason before it) are

    HOW KINDS TEST: reason

TEST    the test's name; * and ? match as in a shell
KINDS   where: memory,kernel,apache, "zkernd" (both stores) or "all"
HOW     fails   run, and it must fail
        skips   run, and it must skip itself
        norun   not run: it would hang, or do harm
        flaky   run; a failure is tried again, RETRIES times: for tests that
                fail now and then against the control too

An entry that matches no test is an error, and so is one whose test does not
do what it says: see Suite in suite.py.
"""

import fnmatch
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
HOWS = ("fails", "skips", "norun", "flaky")
ALL = ("memory", "kernel", "apache")
KINDS = {"all": ALL, "zkernd": ("memory", "kernel")}
LINE = re.compile(r"(\S+)\s+(\S+)\s+(\S+):\s*(.*)")
RETRIES = 5


class Entry:
    """One line.  used: it matched a test."""

    def __init__(self, how, kinds, test, reason):
        self.how, self.test, self.reason = how, test, reason
        self.kinds = KINDS.get(kinds) or tuple(kinds.split(","))
        self.used = False

    def __str__(self):
        return "%s %s" % (self.how, self.test)


class LeftOut:
    """The list of one suite, for servers of one kind."""

    def __init__(self, suite, kind):
        self.path = os.path.join(HERE, "left-out", suite)
        self.entries = []
        with open(self.path) as f:
            for nr, line in enumerate(f, 1):
                self._line(nr, line.split("#")[0].rstrip())
        self.entries = [e for e in self.entries if kind in e.kinds]

    def _line(self, nr, line):
        if not line:
            return
        if line[0].isspace():
            if not self.entries:
                raise ValueError("%s:%d: no entry to go on with" % (
                    self.path, nr))
            e = self.entries[-1]
            e.reason = (e.reason + " " + line.strip()).strip()
            return
        m = LINE.fullmatch(line)
        if not m:
            raise ValueError("%s:%d: not HOW KINDS TEST: reason" % (
                self.path, nr))
        e = Entry(*m.groups())
        if e.how not in HOWS or not set(e.kinds) <= set(ALL):
            raise ValueError("%s:%d: not HOW or not KINDS" % (self.path, nr))
        self.entries.append(e)

    def find(self, test):
        """The first entry for the test, or None."""
        for e in self.entries:
            if fnmatch.fnmatchcase(test, e.test):
                e.used = True
                return e
        return None

    def is_norun(self, test):
        """Is the test not to be run at all?"""
        e = self.find(test)
        return bool(e) and e.how == "norun"

    def unused(self):
        """The entries that no find() met."""
        return [e for e in self.entries if not e.used]
