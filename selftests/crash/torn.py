# SPDX-License-Identifier: GPL-2.0-or-later
"""Log files cut and flipped: what a server must make of each.

The tail: the last record may be incomplete or wrong; the server starts
without it, or (if it cannot be told from damage) refuses.  Elsewhere: it
refuses and names the file and the offset.  It never serves anything but the
tree of some whole prefix of the log.
"""

import os
import shutil

from zktest import disk, proc, wire
from zktest.server import StartError, make_server
from zktest.tree import read_tree, tree_diff

from load import read_all

CONFIG = {"preAllocSize": "64", "snapCount": "100000"}
NODES = 12


class Log:
    """A directory with a short log, and the tree after each node's creation
    as TCP shows it: made once, copied for every case."""

    def __init__(self, kind):
        self.kind = kind
        self.dir = proc.temp_dir()
        s = make_server(kind, data_dir=self.dir, config=CONFIG)
        s.start()
        c = wire.Client(s.host, s.port, 40000)
        self.trees = []
        for i in range(NODES):
            f = c.call(wire.CREATE, wire.b_create("/torn-%02d" % i,
                                                  b"data of %02d" % i))
            assert f.err == 0
            self.trees.append((f.zxid, read_quietly(c)))
        s.kill()
        c.close()
        s.remove()
        self.path, self.records = disk.last_log(self.dir)
        self.name = os.path.basename(self.path)
        # the last record is the last node's creation: nothing came behind
        assert self.records[-1].zxid == self.trees[-1][0]
        self.size = os.path.getsize(self.path)

    def tree_at(self, zxid):
        """The tree after the log up to zxid."""
        out = {}
        for z, t in self.trees:
            if z <= zxid:
                out = t
        return out

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def read_quietly(c):
    """The tree read through a session that is there already (another one
    would be in the log)."""
    return read_tree(c, "/", skip=("/zookeeper",))


class Outcome:
    """What came of starting a server on a damaged copy."""

    def __init__(self, log, damage, write=False):
        work = proc.temp_dir()
        shutil.copytree(log.dir, work, dirs_exist_ok=True)
        damage(os.path.join(work, "version-2", log.name))
        self.refused = None
        self.tree = None
        self.after = None
        s = make_server(log.kind, data_dir=work, config=CONFIG)
        s.start_timeout = 120
        try:
            s.start()
            self.tree = read_all(s)
            if write:
                c = wire.Client(s.host, s.port)
                f = c.call(wire.CREATE, wire.b_create("/torn-new", b"new"))
                assert f.err == 0, f.err
                c.close_session()
                before = read_all(s)
                s.restart(crash=True)
                self.after = tree_diff(before, read_all(s))
        except StartError as e:
            self.refused = str(e)
        finally:
            s.remove()
            shutil.rmtree(work, ignore_errors=True)


def truncate_at(pos):
    def damage(path):
        os.truncate(path, pos)
    return damage


def zero_from(pos):
    """As a preallocated file whose last blocks were not written."""
    def damage(path):
        size = os.path.getsize(path)
        disk.patch(path, pos, b"\0" * (size - pos))
    return damage


def flip_at(pos, mask=0xff):
    def damage(path):
        disk.flip(path, pos, mask)
    return damage


def patch_at(pos, data):
    def damage(path):
        disk.patch(path, pos, data)
    return damage


def tail_case(log, damage, may_refuse=False, write=False):
    """Damage to the last record: gone, and nothing else (or refused)."""
    out = Outcome(log, damage, write)
    last = log.records[-1]
    if out.refused:
        if may_refuse:
            return names_place(log, out.refused, last)
        return "it does not start:\n" + out.refused[-2000:]
    if out.after:
        return "after a write and another crash:\n" + out.after
    return tree_diff(log.tree_at(last.zxid - 1), out.tree)


def middle_case(log, damage, record):
    """Damage before the last record: refused, with file and offset."""
    out = Outcome(log, damage)
    if not out.refused:
        return "it serves %d nodes" % len(out.tree)
    return names_place(log, out.refused, record)


def names_place(log, text, record):
    """The message has the file's name and an offset within the record."""
    if log.kind == "apache":
        return None
    if log.name not in text:
        return "%s is not named:\n%s" % (log.name, text[-2000:])
    for n in range(record.offset, record.end + 1):
        if str(n) in text or "0x%x" % n in text:
            return None
    return "no offset in %d..%d:\n%s" % (record.offset, record.end,
                                         text[-2000:])
