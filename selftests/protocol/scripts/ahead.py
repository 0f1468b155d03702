# SPDX-License-Identifier: GPL-2.0-or-later
"""For scripts that ask for thousands of things: requests are sent ahead of
their replies, and what came of each is one short line."""

from zktest.jute import DecodeError, In
from zktest.transcript import eq
from zktest.wire import MULTI

IN_FLIGHT = 200


class Sender:
    """Sends ahead by a ScriptClient; writes down each request's name and its
    error."""

    def __init__(self, t, c):
        self.t, self.c = t, c
        self.waiting = []

    def add(self, op, body, name, then=None):
        """then(frame) gives the text to write down."""
        self.waiting.append((self.c.c.send(op, body), name,
                             then or self.multi if op == MULTI
                             else then or self.plain))
        if len(self.waiting) >= IN_FLIGHT:
            self.drain(IN_FLIGHT // 2)

    def drain(self, leave=0):
        """Take in replies until no more than leave are waited for."""
        while len(self.waiting) > leave:
            xid, name, then = self.waiting.pop(0)
            f = self.c.c.reply()
            eq(f.xid, xid)
            self.t.say("%s -> %s" % (name, then(f)))

    @staticmethod
    def plain(f):
        return "%d +%d" % (f.err, len(f.body))

    @staticmethod
    def multi(f):
        """The parts' errors, if it failed."""
        if f.err:
            return Sender.plain(f)
        r = In(f.body)
        codes = []
        try:
            while True:
                kind, done, err = r.int(), r.bool(), r.int()
                if done:
                    return "%d %s" % (f.err, codes)
                if kind != -1:
                    return "%d done" % f.err
                codes.append((err, r.int()))
        except DecodeError:
            return "undecodable " + f.body.hex()
