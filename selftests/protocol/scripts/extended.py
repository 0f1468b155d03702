# SPDX-License-Identifier: GPL-2.0-or-later
"""What a server does that is configured to: TTL nodes, a super user, few
four-letter words.  These scripts run against a server of their own."""

import base64
import hashlib

from zktest import wire
from zktest.jute import ACL
from zktest.transcript import eq
from zktest.wire import TTL, TTL_SEQ

from . import precedence
from .ahead import Sender

SUPER = "super:" + base64.b64encode(
    hashlib.sha1(b"super:root").digest()).decode()

CONFIG = {
    "extendedTypesEnabled": "true",
    "DigestAuthenticationProvider.superDigest": SUPER,
    "4lw.commands.whitelist": "srvr, mntr",
}

MAX_TTL = (1 << 40) - 1


def create_ttl(c, path, ttl, flags=TTL, data=b""):
    return c.call(wire.CREATE_TTL, wire.b_create_ttl(
        path, data, flags=flags, ttl=ttl), "%s flags=%d ttl=%d" % (
            path, flags, ttl))


def t_ttl(t):
    a = t.made_root("a")
    r = create_ttl(a, t.root + "/t", 3600000, data=b"x")
    eq((r.err, r.path), (0, t.root + "/t"))
    eq(r.stat.ephemeral_owner, 0, "owner shown for a TTL node")
    eq(r.stat.data_length, 1)
    eq(create_ttl(a, t.root + "/s", 3600000, TTL_SEQ).path,
       t.root + "/s0000000001")
    eq(a.create(t.root + "/t/child").err, 0)
    eq(a.set(t.root + "/t", b"y").err, 0)
    eq(a.delete(t.root + "/t").err, wire.NOT_EMPTY)
    a.delete(t.root + "/t/child")
    eq(a.delete(t.root + "/t").err, 0)


def t_ttl_bounds(t):
    a = t.made_root("a")
    for i, (ttl, err) in enumerate((
            (1, 0), (MAX_TTL, 0), (0, wire.BAD_ARGUMENTS),
            (-1, wire.BAD_ARGUMENTS), (MAX_TTL + 1, wire.BAD_ARGUMENTS),
            (1 << 62, wire.BAD_ARGUMENTS))):
        eq(create_ttl(a, "%s/n%d" % (t.root, i), ttl).err, err, ttl)


def t_ttl_and_flags(t):
    """The TTL belongs to createTTL with flags 5 and 6, and to nothing else."""
    a = t.made_root("a")
    for flags in (0, 1, 2, 3, 4):
        eq(create_ttl(a, t.root + "/n%d" % flags, 1000, flags).err,
           wire.BAD_ARGUMENTS, flags)
    for flags in (TTL, TTL_SEQ):
        eq(a.create(t.root + "/x", flags=flags).err, wire.BAD_ARGUMENTS)
        eq(a.create2(t.root + "/x", flags=flags).err, wire.BAD_ARGUMENTS)


def t_ttl_in_multi(t):
    a = t.made_root("a")
    r = a.multi([(wire.CREATE_TTL, wire.b_create_ttl(t.root + "/a",
                                                     ttl=3600000)),
                 (wire.CREATE_TTL, wire.b_create_ttl(
                     t.root + "/b", flags=TTL_SEQ, ttl=3600000))])
    eq([x[:2] for x in r.results], [(wire.CREATE2, 0)] * 2)
    r = a.multi([(wire.CREATE, wire.b_create(t.root + "/c")),
                 (wire.CREATE_TTL, wire.b_create_ttl(t.root + "/d", ttl=0))])
    eq([x[1] for x in r.results], [0, wire.BAD_ARGUMENTS])


def t_which_error(t):
    """As in precedence.py, where TTL nodes can be made."""
    s = Sender(t, precedence.scene(t))
    for name, op, body, _ in precedence.ttls(t):
        s.add(op, body, name)
        if "/fresh" in name or "/below" in name:
            s.add(wire.MULTI, wire.b_multi([(op, body)]), "multi " + name)
            precedence.after_throw(s, (op, body))
    for flags in range(-1, 8):
        for op in (wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER):
            if flags in (5, 6):
                s.add(op, wire.b_create(t.root + "/ok/x", flags=flags),
                      "%d f%d" % (op, flags))
    precedence.finish(t, s)


def t_super(t):
    """Who knows the super user's password is bound by no ACL."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root + "/x"
    a.create(p, b"secret", acl=[ACL(0, "world", "anyone")])
    a.create(t.root + "/d", acl=[ACL(31, "digest", "u:hash")])
    eq(b.auth("digest", b"super:wrong").err, 0)
    eq(b.get(p).err, wire.NO_AUTH)
    eq(b.auth("digest", b"super:root").err, 0)
    eq(b.get(p).data, b"secret")
    eq(b.set(p, b"").err, 0)
    eq(b.create(p + "/y").err, 0)
    eq(b.get_acl(t.root + "/d").acl, [ACL(31, "digest", "u:hash")])
    eq(b.set_acl(p, [ACL(1, "ip", "10.0.0.1")]).err, 0)
    eq(b.delete(p + "/y").err, 0)
    t.note("auth stands for the super user as for any digest user")
    eq(b.create(t.root + "/z", acl=[ACL(31, "auth", "")]).err, 0)
    b.get_acl(t.root + "/z", free_order=True)


def t_whitelist(t):
    """Words that are not in it say so."""
    for word in ("ruok", "stat", "conf", "dump", "wchs", "isro"):
        got = t.server.four_letter(word)
        t.say(repr(got))
        eq(got, "%s is not executed because it is not in the whitelist.\n" %
           word)
    assert "Zxid: " in t.server.four_letter("srvr")
    assert "zk_server_state" in t.server.four_letter("mntr")
