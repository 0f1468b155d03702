# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the program differ beside two servers, and does the restarts that it
asks for.
"""

import os
import subprocess
import sys
import traceback

from zktest import proc

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
BUILD = os.environ.get("BUILD_DIR", os.path.join(HERE, "..", "..", "build"))
PROGRAM = os.path.join(BUILD, "selftests", "differ", "differ")


class Options:
    """What the program is told; args: the parsed arguments, or None."""

    def __init__(self, seed=1, args=None, replay=None):
        self.seed = seed
        self.keep = args.keep if args else None
        self.replay = replay or (args.replay if args else None)
        self.more = []
        if args:
            if args.answers:
                self.more.append("--answers")
            for name in ("ops", "restarts", "walks", "expiries", "conc",
                         "depth"):
                self.more += ["--" + name, str(getattr(args, name))]


class Result:
    """status: 0 equal, 2 a difference, else trouble; wrong: of restarts."""

    def __init__(self):
        self.status, self.lines, self.wrong = None, [], None

    @property
    def text(self):
        return "\n".join(self.lines[-60:])


def drive(pair, kind, opt, say):
    """One run of the program. say: a function for lines of progress."""
    args = [PROGRAM, "--ports", "%d,%d" % tuple(pair.ports),
            "--seed", str(opt.seed)] + opt.more
    if kind != "kernel":
        args.append("--same-ip")
    if opt.keep:
        args += ["--trace", opt.keep]
    if opt.replay:
        args += ["--replay", opt.replay]
    p = proc.spawn(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                   stderr=subprocess.STDOUT, text=True, errors="replace")
    res = Result()
    for line in p.stdout:
        line = line.rstrip("\n")
        if line.startswith("restart "):
            try:
                res.wrong = pair.restart(line.split()[1]) or res.wrong
            except Exception:
                res.lines.append(traceback.format_exc())
                proc.kill_group(p)
                break
            p.stdin.write("%d %d\n" % tuple(pair.ports))
            p.stdin.flush()
        elif line.startswith("progress "):
            say(line)
        else:
            res.lines.append(line)
    p.stdin.close()
    proc.wait_exit(p, 60)
    res.status = p.returncode
    return res
