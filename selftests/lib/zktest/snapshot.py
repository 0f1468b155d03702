# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a snapshot file, for trees that no client can make in reasonable
time.  All nodes have the open ACL.

"ZKSN", int 2, long -1; int sessions; int ACLs; the nodes, parents first, each
as path, data, long ACL (-1: open) and the stat; "/"; then the Adler32 of all
that and "/".
"""

import os
import struct
import zlib

from .jute import Out

FIRST = ("", "/zookeeper", "/zookeeper/config", "/zookeeper/quota")


def node(path, data=b"", czxid=0, mzxid=0, ctime=0, mtime=0, version=0,
         cversion=0, aversion=0, owner=0, pzxid=None):
    """One record of a snapshot."""
    o = Out().string(path).buffer(data).long(-1)
    o.raw(struct.pack(">qqqqiiiQq", czxid, mzxid, ctime, mtime, version,
                      cversion, aversion, owner,
                      czxid if pzxid is None else pzxid))
    return o.bytes()


def write(data_dir, zxid, nodes):
    """A new data directory's snapshot: what every tree has, and nodes, which
    are node()'s."""
    body = struct.pack(">4siqii", b"ZKSN", 2, -1, 0, 0)
    body += b"".join([node(p) for p in FIRST] + list(nodes))
    body += Out().string("/").bytes()
    body += struct.pack(">q", zlib.adler32(body)) + Out().string("/").bytes()
    d = os.path.join(data_dir, "version-2")
    os.makedirs(d)
    with open(os.path.join(d, "snapshot.%x" % zxid), "wb") as f:
        f.write(body)
