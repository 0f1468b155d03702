# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens to servers while clients use them: killed, ended, paused, cut
off in one direction or both; the leader as often as not."""

import time


class Nemesis:
    """Does one harm after the other until the time is over.  Harms that keep
    a minority away; counts() tells which were done."""

    def __init__(self, ensemble, rnd, log, only=()):
        self.harms = [h for h in self.HARMS
                      if not only or h.__name__ in only]
        self.e = ensemble
        self.rnd = rnd
        self.log = log
        self.done = {}

    def victims(self):
        """A minority, the leader half of the time."""
        n = self.rnd.randint(1, (self.e.n - 1) // 2)
        leader = self.e.leader()
        rest = [s for s in self.e.all if s is not leader]
        self.rnd.shuffle(rest)
        if leader and self.rnd.random() < 0.5:
            rest.insert(0, leader)
        return rest[:n]

    def wait(self, least, most):
        time.sleep(self.rnd.uniform(least, most))

    def kill(self, v):
        for s in v:
            s.kill()
        self.wait(0.2, 3)
        for s in v:
            s.spawn()

    def end(self, v):
        for s in v:
            s.stop()
        self.wait(0, 2)
        for s in v:
            s.spawn()

    def pause(self, v):
        for s in v:
            s.pause()
        self.wait(0.5, 6)
        for s in v:
            s.go_on()

    def cut_off(self, v, way):
        others = [s for s in self.e.all if s not in v]
        for s in v:
            for o in others:
                if way != "in":
                    self.e.net.cut(s.number, o.number)
                if way != "out":
                    self.e.net.cut(o.number, s.number)
        self.wait(1, 6)
        self.e.net.mend()

    def cut_both(self, v):
        self.cut_off(v, "both")

    def cut_out(self, v):
        """It hears, and is not heard."""
        self.cut_off(v, "out")

    def cut_in(self, v):
        """It is heard, and does not hear."""
        self.cut_off(v, "in")

    def kill_all(self, _v):
        """The power of the whole ensemble."""
        for s in self.e.all:
            s.kill()
        self.wait(0, 1)
        for s in self.e.all:
            s.spawn()

    HARMS = (kill, kill, end, pause, pause, cut_both, cut_out, cut_in,
             kill_all)

    def run(self, until):
        while time.monotonic() < until:
            harm = self.rnd.choice(self.harms)
            v = self.victims()
            self.log("%s: %s" % (harm.__name__, " ".join(
                "%d(%s)" % (s.number, s.mode()) for s in v)))
            self.done[harm.__name__] = self.done.get(harm.__name__, 0) + 1
            harm(self, v)
            self.wait(0.5, 5)
