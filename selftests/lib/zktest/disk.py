# SPDX-License-Identifier: GPL-2.0-or-later
"""ZooKeeper's transaction log files as the tests need them: where each record
lies, so that it can be cut, flipped or given another digest.

A file: "ZKLG", int 2, long dbid; then records of long Adler32 (of the txn's
bytes), int length, the txn's bytes, the byte 'B'; zeros from there on.
"""

import os
import struct
import zlib
from collections import namedtuple

HEADER = 16

# offset of the record, length of its txn; the record ends at end
Record = namedtuple("Record", "offset length end zxid type")


def log_records(path):
    """The records of a log file that are whole, in order."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:8] != b"ZKLG\0\0\0\x02":
        raise ValueError("%s is no log file" % path)
    out = []
    pos = HEADER
    while pos + 12 <= len(data):
        crc, length = struct.unpack(">qi", data[pos:pos + 12])
        end = pos + 12 + length + 1
        if length <= 0 or end > len(data):
            break
        txn = data[pos + 12:pos + 12 + length]
        if zlib.adler32(txn) != crc or data[end - 1] != 0x42:
            break
        zxid, = struct.unpack(">q", txn[12:20])
        kind, = struct.unpack(">i", txn[28:32])
        out.append(Record(pos, length, end, zxid, kind))
        pos = end
    return out


def patch(path, offset, data):
    """Overwrite bytes in place."""
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)


def read_at(path, offset, n):
    with open(path, "rb") as f:
        f.seek(offset)
        return f.read(n)


def flip(path, offset, mask=0xff):
    """Flip bits of one byte."""
    patch(path, offset, bytes([read_at(path, offset, 1)[0] ^ mask]))


def changes_node(record):
    """Whether it ends with a digest for certain: create, delete, setData, create2.
    (An error's record has none, at Apache as at ours.)"""
    return record.type in (1, 2, 5, 15)


def spoil_digest(path, record):
    """Change the digest that ends a txn, keeping the record valid."""
    txn = bytearray(read_at(path, record.offset + 12, record.length))
    txn[-1] ^= 1
    patch(path, record.offset, struct.pack(">q", zlib.adler32(txn)))
    patch(path, record.offset + 12, bytes(txn))


def log_files(data_dir):
    """The log files of a data directory, oldest first."""
    d = os.path.join(data_dir, "version-2")
    names = [n for n in os.listdir(d) if n.startswith("log.")]
    return [os.path.join(d, n)
            for n in sorted(names, key=lambda n: int(n[4:], 16))]


def last_log(data_dir):
    """(path, records) of the last log file that holds a record."""
    for path in reversed(log_files(data_dir)):
        records = log_records(path)
        if records:
            return path, records
    raise ValueError("no log in " + data_dir)
