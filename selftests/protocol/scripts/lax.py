# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that checks no ACLs and keeps no digest.  These scripts run
against one of their own."""

from zktest import disk, wire
from zktest.jute import ACL
from zktest.transcript import eq
from zktest.wire import CHECK, CREATE, DELETE, SET_DATA, b_create, \
    b_path_int, b_set_data

CONFIG = {"skipACL": "yes", "digest.enabled": "false"}

NOBODY = [ACL(0, "world", "anyone")]
OTHER = [ACL(31, "digest", "u:hash"), ACL(0, "world", "anyone")]


def t_skip_acl(t):
    """No permission is asked for, whatever the ACLs say."""
    a = t.made_root("a")
    p = t.root + "/n"
    eq(a.create(p, b"x", NOBODY).err, 0)
    eq(a.get(p).data, b"x")
    eq(a.set(p, b"y").err, 0)
    eq(a.create(p + "/c", acl=OTHER).err, 0)
    eq(a.children(p).children, ["c"])
    eq(a.children2(p).err, 0)
    eq(a.get_acl(p).acl, NOBODY)
    eq(a.get_acl(p + "/c").acl, OTHER, "digests are shown")
    eq(a.set_acl(p, OTHER, 0).err, 0)
    eq(a.delete(p + "/c").err, 0)
    r = a.multi([(CHECK, b_path_int(p, 1)), (CREATE, b_create(p + "/m")),
                 (SET_DATA, b_set_data(p, b"")),
                 (DELETE, b_path_int(p + "/m", -1))])
    eq([x[1] for x in r.results], [0] * 4)
    eq(a.multi_read([(wire.GET_DATA, wire.b_path_watch(p))]).results[0][1], 0)
    eq(a.call(wire.GET_ALL_CHILDREN_NUMBER, wire.b_path(p)).err, 0)


def t_acls_are_checked_still(t):
    """What is set must be an ACL all the same."""
    a = t.made_root("a")
    for acl in ([], None, [ACL(31, "auth", "")], [ACL(31, "none", "x")],
                [ACL(31, "ip", "x")]):
        eq(a.create(t.root + "/x", acl=acl).err, wire.INVALID_ACL)
        eq(a.set_acl(t.root, acl).err, wire.INVALID_ACL)


def t_events(t):
    """Events are not held back from who may not read."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root + "/n"
    a.create(p, b"x", NOBODY)
    b.get(p, watch=True)
    b.children(p, watch=True)
    a.set(p, b"y")
    a.create(p + "/c")
    eq(len(b.fence()), 2)


def t_no_digest(t):
    """The log's transactions end without one."""
    a = t.made_root("a")
    a.set(t.root, b"12345678")
    kind, body = 5, None
    for path in disk.log_files(t.server.data_dir):
        for r in disk.log_records(path):
            if r.type == kind:
                body = disk.read_at(path, r.offset + 12, r.length)
    want = wire.Out().string(t.root).buffer(b"12345678").int(1).bytes()
    eq(body[32:], want)
