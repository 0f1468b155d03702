# SPDX-License-Identifier: GPL-2.0-or-later
"""ZooKeeper's wire encoding: big-endian, strings and buffers with an int32
length (-1 = null), vectors with an int32 count.  Written from the protocol's
description, independent of the daemon's own codec.
"""

import struct
from collections import namedtuple

Stat = namedtuple("Stat", "czxid mzxid ctime mtime version cversion aversion "
                  "ephemeral_owner data_length num_children pzxid")
ACL = namedtuple("ACL", "perms scheme id")

OPEN_ACL = [ACL(31, "world", "anyone")]
READ_ACL = [ACL(1, "world", "anyone")]

STAT_FMT = ">qqqqiiiqiiq"
STAT_LEN = struct.calcsize(STAT_FMT)
assert STAT_LEN == 68


class DecodeError(Exception):
    """The bytes are not what the record should be."""


class Out:
    """Builds one record."""

    def __init__(self):
        self.parts = []

    def raw(self, data):
        self.parts.append(bytes(data))
        return self

    def int(self, v):
        return self.raw(struct.pack(">i", v))

    def long(self, v):
        return self.raw(struct.pack(">q", v))

    def bool(self, v):
        return self.raw(b"\x01" if v else b"\x00")

    def buffer(self, v):
        if v is None:
            return self.int(-1)
        return self.int(len(v)).raw(v)

    def string(self, v):
        """v: str, bytes (sent as they are), or None."""
        if isinstance(v, str):
            v = v.encode("utf-8", "surrogatepass")
        return self.buffer(v)

    def strings(self, v):
        if v is None:
            return self.int(-1)
        self.int(len(v))
        for s in v:
            self.string(s)
        return self

    def acls(self, v):
        if v is None:
            return self.int(-1)
        self.int(len(v))
        for a in v:
            self.int(a.perms).string(a.scheme).string(a.id)
        return self

    def bytes(self):
        return b"".join(self.parts)


class In:
    """Takes one record apart; every read is bounds-checked."""

    def __init__(self, data):
        self.data = data
        self.pos = 0

    def raw(self, n):
        if n < 0 or self.pos + n > len(self.data):
            raise DecodeError("%d bytes wanted at %d of %d" %
                              (n, self.pos, len(self.data)))
        v = self.data[self.pos:self.pos + n]
        self.pos += n
        return v

    def int(self):
        return struct.unpack(">i", self.raw(4))[0]

    def long(self):
        return struct.unpack(">q", self.raw(8))[0]

    def bool(self):
        v = self.raw(1)
        if v not in (b"\x00", b"\x01"):
            raise DecodeError("bool is %r" % v)
        return v == b"\x01"

    def buffer(self):
        n = self.int()
        if n == -1:
            return None
        return self.raw(n)

    def string(self):
        v = self.buffer()
        return v if v is None else v.decode("utf-8", "surrogateescape")

    def strings(self):
        n = self.int()
        if n == -1:
            return None
        return [self.string() for _ in range(n)]

    def stat(self):
        return Stat(*struct.unpack(STAT_FMT, self.raw(STAT_LEN)))

    def acls(self):
        n = self.int()
        if n == -1:
            return None
        return [ACL(self.int(), self.string(), self.string())
                for _ in range(n)]

    def rest(self):
        return self.raw(len(self.data) - self.pos)

    def end(self):
        if self.pos != len(self.data):
            raise DecodeError("%d bytes left over: %s" %
                              (len(self.data) - self.pos,
                               self.data[self.pos:].hex()))
