# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that forgets: an NBD server with a volatile write cache.

What the client has written is durable once a FLUSH (or FUA) that was sent after
it is answered, and no sooner. At a power cut each write since then is kept, lost,
or torn between two sectors, as a seeded random generator says, independently of
the others: the most that a disk with a cache may do (and some more than most do).
A sector has 4 KiB, as disks have had for a decade, whatever they say to old
systems. With 512 bytes ext4 itself is not proof: its journal's commit block, torn,
has a wrong checksum, and the next mount refuses the file system ("JBD2: journal
transaction is corrupt").

    d = Disk(size, seed); d.path        # for qemu: nbd:unix:PATH
    ... the client goes away ...
    d.cut()                             # the power was cut before that

The protocol is that of the NBD project's doc/proto.md, fixed newstyle, no
structured replies; one client at a time, as a VM is.
"""

import os
import random
import socket
import struct
import threading

from zktest import proc

SECTOR = 4096
MAX_REQUEST = 64 << 20

MAGIC, OPT_MAGIC, REPLY_MAGIC = 0x4e42444d41474943, 0x49484156454f5054, \
    0x3e889045565a9
REQUEST, SIMPLE_REPLY = 0x25609513, 0x67446698
OPT_EXPORT_NAME, OPT_ABORT, OPT_INFO, OPT_GO = 1, 2, 6, 7
REP_ACK, REP_INFO, REP_ERR_UNSUP = 1, 3, 0x80000001
FLAGS = 1 | 1 << 2 | 1 << 3 | 1 << 6    # flush, FUA, write zeroes
READ, WRITE, DISC, FLUSH, WRITE_ZEROES = 0, 1, 2, 3, 6
CMD_FUA = 1
EINVAL, EIO = 22, 5


class Disk:
    """In memory; all zero at first."""

    def __init__(self, size, seed):
        self.durable = bytearray(size)
        self.seen = bytearray(size)     # what the client reads
        self.pending = []               # (offset, bytes), oldest first
        self.random = random.Random(seed)
        self.flushes = self.lost = self.torn = 0
        self.client = None
        self.path = os.path.join(proc.temp_dir("disk-"), "nbd")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(4)
        threading.Thread(target=self._serve, daemon=True).start()

    def fill(self, image):
        """The disk is a copy of this file."""
        with open(image, "rb") as f:
            data = f.read()
        self.durable[:len(data)] = data
        self.seen[:] = self.durable
        self.pending.clear()

    def cut(self):
        """The client is gone; what it had not flushed is as it may be."""
        if self.client:
            self.client.join(60)
            if self.client.is_alive():
                raise AssertionError("the disk is still in use")
        for at, data in self.pending:
            fate = self.random.randrange(3)
            if fate == 0:
                self.lost += 1
                continue
            if fate == 2 and len(data) >= 2 * SECTOR:
                self.torn += 1
                n = self.random.randrange(1, len(data) // SECTOR) * SECTOR
                if self.random.randrange(2):
                    data = data[:n]
                else:
                    at, data = at + n, data[n:]
            self.durable[at:at + len(data)] = data
        self.pending.clear()
        self.seen[:] = self.durable

    def close(self):
        self.listener.close()

    # -- the protocol

    def _serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.client = threading.Thread(target=self._client, args=(s,),
                                           daemon=True)
            self.client.start()
            self.client.join()

    def _client(self, s):
        try:
            with s:
                if self._options(s):
                    while self._command(s):
                        pass
        except (OSError, EOFError):
            pass

    @staticmethod
    def _take(s, n):
        got = bytearray()
        while len(got) < n:
            part = s.recv(n - len(got))
            if not part:
                raise EOFError
            got += part
        return bytes(got)

    def _options(self, s):
        s.sendall(struct.pack(">QQH", MAGIC, OPT_MAGIC, 1))
        self._take(s, 4)

        def reply(opt, kind, data=b""):
            s.sendall(struct.pack(">QIII", REPLY_MAGIC, opt, kind,
                                  len(data)) + data)
        while True:
            magic, opt, n = struct.unpack(">QII", self._take(s, 16))
            if magic != OPT_MAGIC or n > 65536:
                return False
            self._take(s, n)
            if opt == OPT_EXPORT_NAME:
                s.sendall(struct.pack(">QH", len(self.seen), FLAGS) +
                          bytes(124))
                return True
            if opt in (OPT_INFO, OPT_GO):
                reply(opt, REP_INFO,
                      struct.pack(">HQH", 0, len(self.seen), FLAGS))
                reply(opt, REP_ACK)
                if opt == OPT_GO:
                    return True
            elif opt == OPT_ABORT:
                reply(opt, REP_ACK)
                return False
            else:
                reply(opt, REP_ERR_UNSUP)

    def _command(self, s):
        magic, flags, cmd, handle, at, n = struct.unpack(
            ">IHHQQI", self._take(s, 28))
        if magic != REQUEST or n > MAX_REQUEST:
            return False
        data = self._take(s, n) if cmd == WRITE else b""
        if cmd == DISC:
            return False
        err, answer = self._do(cmd, flags, at, n, data)
        s.sendall(struct.pack(">IIQ", SIMPLE_REPLY, err, handle) + answer)
        return True

    def _do(self, cmd, flags, at, n, data):
        if cmd == FLUSH:
            self._flush()
            return 0, b""
        if at + n > len(self.seen):
            return EINVAL, b""
        if cmd == READ:
            return 0, bytes(self.seen[at:at + n])
        if cmd == WRITE_ZEROES:
            data = bytes(n)
        elif cmd != WRITE:
            return EINVAL, b""
        self.seen[at:at + n] = data
        if flags & CMD_FUA:
            # this one now, whatever becomes of earlier ones: those that it
            # lies over are done before it, or they would undo it
            for p, d in self.pending:
                if p < at + n and at < p + len(d):
                    self.durable[p:p + len(d)] = d
            self.pending = [x for x in self.pending if not (
                x[0] < at + n and at < x[0] + len(x[1]))]
            self.durable[at:at + n] = data
        else:
            self.pending.append((at, data))
        return 0, b""

    def _flush(self):
        for at, data in self.pending:
            self.durable[at:at + len(data)] = data
        self.pending.clear()
        self.flushes += 1
