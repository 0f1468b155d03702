# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole trees read over TCP, to be compared; and batches of writes."""

from collections import namedtuple

from . import wire
from .jute import In

# What a client can learn of a node.  Errors stand where a read was refused.
Node = namedtuple("Node", "data stat acl children")

BATCH = 256     # requests in flight


class Batch:
    """Requests sent ahead of their replies, at most BATCH in flight."""

    def __init__(self, client):
        self.c = client
        self.waiting = []

    def add(self, op, body, then=None):
        """Send; then(frame) is called with the reply, in order."""
        self.c.send(op, body)
        self.waiting.append((self.c.xid, then))
        if len(self.waiting) >= BATCH:
            self.drain(BATCH // 2)

    def drain(self, leave=0):
        """Take in replies until no more than leave are waited for."""
        while len(self.waiting) > leave:
            xid, then = self.waiting.pop(0)
            f = self.c.reply()
            if f.xid != xid:
                raise AssertionError("reply %d, not %d" % (f.xid, xid))
            if then:
                then(f)


def read_tree(client, top="/", skip=()):
    """{path: Node} of top and all below, but nothing of the paths in skip.

    The client must have authenticated as whoever may read.
    """
    tree = {}
    todo = [top]
    batch = Batch(client)

    def visit(path):
        got = {}

        def on_data(f):
            r = In(f.body)
            got["data"] = f.err or (r.buffer(),)
            got["stat"] = f.err or r.stat()

        def on_stat(f):
            # exists asks for no permission in 3.8.0, so this is had always
            if not f.err:
                got["stat"] = In(f.body).stat()

        def on_acl(f):
            got["acl"] = f.err or tuple(In(f.body).acls())

        def on_children(f):
            got["children"] = f.err or tuple(sorted(In(f.body).strings()))
            tree[path] = Node(**got)
            if not f.err:
                for name in got["children"]:
                    child = (path if path != "/" else "") + "/" + name
                    if child not in skip:
                        todo.append(child)

        batch.add(wire.GET_DATA, wire.b_path_watch(path), on_data)
        batch.add(wire.EXISTS, wire.b_path_watch(path), on_stat)
        batch.add(wire.GET_ACL, wire.b_path(path), on_acl)
        batch.add(wire.GET_CHILDREN, wire.b_path_watch(path), on_children)

    while todo or batch.waiting:
        if todo:
            visit(todo.pop())
        else:
            batch.drain()
    return tree


def show_node(n):
    if n is None:
        return "not there"
    data = n.data
    if isinstance(data, tuple) and data[0] is not None and len(data[0]) > 40:
        data = "%d bytes, hash %x" % (len(data[0]), hash(data[0]) & 0xffff)
    return "%s data=%s acl=%s children=%s" % (
        n.stat, data, n.acl, n.children if isinstance(n.children, int)
        else len(n.children))


def tree_diff(want, got, limit=20):
    """Text of what differs, empty if nothing does."""
    out = []
    for path in sorted(set(want) | set(got)):
        a, b = want.get(path), got.get(path)
        if a != b:
            out.append("%s\n  want %s\n  got  %s" % (
                ascii(path), show_node(a), show_node(b)))
    if len(out) > limit:
        out[limit:] = ["... and %d more" % (len(out) - limit)]
    return "\n".join(out)
