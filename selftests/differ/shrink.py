# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a trace that shows a difference small: actions are left out by halves,
quarters and so on (delta debugging), as long as a difference is left.

Each try is on fresh servers and directories: some seconds.
"""

import os
import re
import sys

from drive import Options, drive
from servers import Pair
from zktest import proc


def what(result):
    """The kind of difference: what differed, in which operation's answer."""
    for i, line in enumerate(result.lines):
        if line.startswith("DIFFERENCE"):
            text = [line] + result.lines[i + 1:i + 3]
            text[0] = re.sub(r".*requests \d+: ", "", line)
            return re.sub(r"[0-9a-f]+", "#", "\n".join(text))[:120]
    return None


class Shrinker:
    """Tries parts of a trace on one kind of server."""

    def __init__(self, kind):
        self.kind, self.tries = kind, 0
        self.file = os.path.join(proc.temp_dir(), "trace")
        self.text = ""

    def differs(self, lines):
        with open(self.file, "w") as f:
            f.writelines(lines)
        self.tries += 1
        pair = Pair(self.kind)
        try:
            r = drive(pair, self.kind, Options(replay=self.file),
                      lambda s: None)
        finally:
            pair.remove()
        if r.status == 2:
            self.text = r.text
            return what(r)
        return r.wrong

    def shrink(self, lines, keep):
        first = self.differs(lines)
        if not first:
            return None
        size = len(lines) // 2
        while size:
            at = len(lines)
            while at > 0:
                part = lines[:max(0, at - size)] + lines[at:]
                if self.differs(part) == first:
                    lines = part
                    keep(lines)
                    sys.stderr.write("%d actions left\n" % len(lines))
                at -= size
            size //= 2
        self.differs(lines)
        return lines


def main(kind, trace):
    with open(trace) as f:
        lines = f.readlines()

    def keep(part):
        with open(trace, "w") as f:
            f.writelines(part)
    s = Shrinker(kind)
    done = s.shrink(lines, keep)
    if done is None:
        print("no difference")
        return 1
    print("%d actions of %d, %d tries" % (len(done), len(lines), s.tries))
    print(s.text)
    return 0
