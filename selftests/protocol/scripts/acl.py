# SPDX-License-Identifier: GPL-2.0-or-later
"""Authentication and what each permission lets a client do."""

import base64
import hashlib

from zktest import wire
from zktest.jute import ACL
from zktest.transcript import eq
from zktest.wire import MODE_PERSISTENT, MODE_RECURSIVE

READ, WRITE, CREATE, DELETE, ADMIN = 1, 2, 4, 8, 16


def digest(user_password):
    """The id that scheme digest makes of user:password."""
    h = hashlib.sha1(user_password.encode()).digest()
    return "%s:%s" % (user_password.split(":")[0],
                      base64.b64encode(h).decode())


def t_auth_digest(t):
    a = t.made_root("a")
    r = a.auth("digest", b"bob:secret")
    eq((r.err, r.zxid, r.xid, r.body), (0, 0, -4, b""))
    a.create(t.root + "/x", acl=[ACL(31, "auth", "")])
    eq(a.get_acl(t.root + "/x").acl, [ACL(31, "digest", digest("bob:secret"))])
    b = t.client("b")
    eq(b.get(t.root + "/x").err, wire.NO_AUTH)
    b.auth("digest", b"bob:wrong")
    eq(b.get(t.root + "/x").err, wire.NO_AUTH)
    b.auth("digest", b"bob:secret")
    eq(b.get(t.root + "/x").err, 0, "a second identity is added")


def t_auth_xid(t):
    """The reply has the request's xid, whatever it is."""
    a = t.client("a")
    eq(a.auth("digest", b"bob:secret", xid=5).xid, 5)
    eq(a.auth("ip", b"").err, 0)


def t_auth_odd(t):
    """What digest takes as user:password."""
    a = t.made_root("a")
    for i, cred in enumerate((b"nocolon", b":", b":p", b"u:", b"a:b:c",
                              "ü:ö".encode(), b"")):
        eq(a.auth("digest", cred).err, 0, cred)
        path = "%s/n%d" % (t.root, i)
        a.create(path, acl=[ACL(31, "auth", "")])
        acl = a.get_acl(path, free_order=True).acl
        eq(len(acl), i + 1)
        assert ACL(31, "digest", digest(cred.decode())) in acl, acl


def t_auth_fails(t):
    for scheme, cred in (("nope", b"x"), ("", b""), (None, b"x"),
                         ("digest", None), ("world", b"anyone"),
                         ("super", b"x"), ("auth", b"")):
        a = t.client("a")
        r = a.auth(scheme, cred)
        eq((r.err, r.zxid), (wire.AUTH_FAILED, 0), (scheme, cred))
        assert a.closed(), "open after a failed auth"
    t.note("the session is still there")
    b = a.reconnect("b")
    eq(b.sid, a.sid)


def t_auth_is_the_connections(t):
    """A reconnect must authenticate again."""
    a = t.made_root("a")
    a.auth("digest", b"bob:secret")
    a.create(t.root + "/x", acl=[ACL(31, "auth", "")])
    a.drop()
    b = a.reconnect("b")
    eq(b.get(t.root + "/x").err, wire.NO_AUTH)
    b.auth("digest", b"bob:secret")
    eq(b.get(t.root + "/x").err, 0)


def t_acl_forms(t):
    a = t.made_root("a")
    ok = ([ACL(31, "world", "anyone")], [ACL(0, "world", "anyone")],
          [ACL(255, "world", "anyone")], [ACL(-1, "world", "anyone")],
          [ACL(1, "digest", "u:p")], [ACL(1, "ip", "10.1.2.3")],
          [ACL(1, "ip", "10.0.0.0/8")], [ACL(1, "ip", "127.0.0.1/32")],
          [ACL(1, "world", "anyone"), ACL(2, "digest", "u:p"),
           ACL(2, "digest", "v:p")],
          [ACL(1, "world", "anyone"), ACL(2, "world", "anyone")])
    bad = ([ACL(31, "world", "someone")], [ACL(31, "world", "")],
           [ACL(31, "nope", "x")], [ACL(31, "", "")],
           [ACL(31, None, "x")], [ACL(31, "auth", "")],
           [ACL(1, "digest", "nocolon")], [ACL(1, "digest", "a:b:c")],
           [ACL(1, "digest", "u:")], [ACL(1, "digest", "")],
           [ACL(1, "ip", "10.1.2")], [ACL(1, "ip", "10.1.2.300")],
           [ACL(1, "ip", "10.0.0.0/33")], [ACL(1, "ip", "host")],
           [ACL(1, "ip", "10.0.0.0/-1")], [ACL(1, "ip", "")],
           [ACL(31, "world", "anyone"), ACL(1, "nope", "x")])
    for i, acl in enumerate(ok):
        path = "%s/ok%d" % (t.root, i)
        eq(a.create(path, acl=acl).err, 0, acl)
    for acl in bad:
        eq(a.create(t.root + "/bad", acl=acl).err, wire.INVALID_ACL, acl)
        eq(a.set_acl(t.root, acl).err, wire.INVALID_ACL, acl)
    eq(a.get_acl(t.root + "/ok5").err, wire.NO_AUTH)
    t.note("the ACL as it was given, but for what only ADMIN may see")
    eq(a.get_acl(t.root + "/ok8").acl,
       [ACL(1, "world", "anyone"), ACL(2, "digest", "u:x"),
        ACL(2, "digest", "v:x")])


def t_acl_forms_compared(t):
    """Forms where the control's answer is all that is known."""
    a = t.made_root("a")
    for i, (scheme, ident) in enumerate((
            ("ip", "::1"), ("ip", "0:0:0:0:0:0:0:1"), ("ip", "10.0.0.0/0"),
            ("ip", "10.0.0.0/"), ("ip", "/8"), ("ip", "1.2.3.4/8/9"),
            ("ip", "01.2.3.4"), ("ip", " 1.2.3.4"), ("ip", "1.2.3.4.5"),
            ("ip", "1.2.3.-4"), ("ip", "+1.2.3.4"), ("x509", "CN=x"),
            ("sasl", "bob"), ("super", ""), ("digest", ":p"),
            ("digest", ":"), ("digest", "u:p:"))):
        path = "%s/n%d" % (t.root, i)
        if a.create(path, acl=[ACL(31, scheme, ident)]).err == 0:
            a.get_acl(path)
    a.create(t.root + "/idnull", acl=[ACL(31, "world", None)])
    a.create(t.root + "/idnull2", acl=[ACL(31, "digest", None)])
    eq(a.exists(t.root).err, 0)


def t_acl_duplicates(t):
    """Equal entries are kept once, in the order of first appearance."""
    a = t.made_root("a")
    one, two = ACL(1, "world", "anyone"), ACL(1, "ip", "127.0.0.1")
    a.create(t.root + "/x", acl=[one, two, one, two, one])
    eq(a.get_acl(t.root + "/x").acl, [one, two])


def t_acl_auth_expansion(t):
    """auth stands for every identity that can authenticate; ip is none."""
    a = t.made_root("a")
    a.auth("digest", b"one:1")
    a.auth("digest", b"two:2")
    a.auth("ip", b"")
    one, two = (ACL(21, "digest", digest(x)) for x in ("one:1", "two:2"))
    a.create(t.root + "/x", acl=[ACL(21, "auth", "whatever"),
                                 ACL(1, "world", "anyone")])
    t.note("in which order the identities come is not said")
    got = a.get_acl(t.root + "/x", free_order=True).acl
    eq(sorted(got), sorted([one, two, ACL(1, "world", "anyone")]))
    eq(got[-1], ACL(1, "world", "anyone"))
    a.set_acl(t.root + "/x", [ACL(21, "auth", None)])
    eq(sorted(a.get_acl(t.root + "/x", free_order=True).acl),
       sorted([one, two]))
    t.note("the same identity twice is kept once")
    a.auth("digest", b"one:1")
    a.create(t.root + "/y", acl=[ACL(21, "auth", "")])
    eq(sorted(a.get_acl(t.root + "/y", free_order=True).acl),
       sorted([one, two]))


def _attempts(t, b, n, perms):
    """Every operation on a node of which b has perms."""
    p = "%s/n%d" % (t.root, n)

    def want(ok):
        return 0 if ok else wire.NO_AUTH
    eq(b.exists(p).err, 0, "exists asks for no permission")
    eq(b.get(p).err, want(perms & READ), "get")
    eq(b.children(p).err, want(perms & READ), "children")
    eq(b.children2(p).err, want(perms & READ), "children2")
    eq(b.get_acl(p).err, want(perms & (READ | ADMIN)), "getACL")
    eq(b.set(p, b"x").err, want(perms & WRITE), "set")
    eq(b.set(p, b"x", 99).err,
       wire.BAD_VERSION if perms & WRITE else wire.NO_AUTH, "set v99")
    eq(b.create(p + "/new").err, want(perms & CREATE), "create")
    eq(b.create(p + "/kid").err,
       wire.NODE_EXISTS if perms & CREATE else wire.NO_AUTH, "create taken")
    eq(b.delete(p + "/kid").err, want(perms & DELETE), "delete")
    eq(b.delete(p + "/no").err,
       wire.NO_NODE if perms & DELETE else wire.NO_AUTH, "delete nothing")
    r = b.multi([(wire.CHECK, wire.b_path_int(p, -1))])
    eq(r.results[0][1], want(perms & READ), "check")
    r = b.multi_read([(wire.GET_DATA, wire.b_path_watch(p)),
                      (wire.GET_CHILDREN, wire.b_path_watch(p))])
    eq([x[1] for x in r.results], [want(perms & READ)] * 2, "multiRead")
    eq(b.set_acl(p, wire.OPEN_ACL, 99).err,
       wire.BAD_VERSION if perms & ADMIN else wire.NO_AUTH, "setACL")
    b.sync(p)


def t_permissions(t):
    a = t.made_root("a")
    b = t.client("b")
    b.auth("digest", b"bob:secret")
    mine = ACL(31, "ip", "127.0.0.99")
    for n, perms in enumerate((0, READ, WRITE, CREATE, DELETE, ADMIN, 31,
                               31 & ~READ, READ | ADMIN)):
        p = "%s/n%d" % (t.root, n)
        a.create(p)
        a.create(p + "/kid")
        a.set_acl(p, [mine, ACL(perms, "digest", digest("bob:secret"))])
        t.note("permissions %d" % perms)
        _attempts(t, b, n, perms)


def t_permissions_by_ip(t):
    a = t.made_root("a")
    me = [int(x) for x in t.server.client_ip.split(".")]

    def near(last, bits=None):
        """Our address with another last byte, as it is or as a network."""
        ip = "%d.%d.%d.%d" % (me[0], me[1], me[2], last)
        return ip if bits is None else "%s/%d" % (ip, bits)
    for i, (ident, ok) in enumerate((
            (near(me[3]), True), (near(me[3] ^ 1), False),
            (near(me[3], 32), True), (near(me[3] ^ 1, 32), False),
            (near(0, 8), True), (near(me[3] ^ 1, 31), True),
            (near(me[3] ^ 2, 31), False), ("0.0.0.0/0", True),
            ("128.0.0.0/1", False))):
        p = "%s/n%d" % (t.root, i)
        a.create(p, acl=[ACL(31, "ip", ident)])
        # the address is not the same for every kind of server
        t.lines[-2] = t.lines[-2].split("[")[0]
        eq(a.get(p).err, 0 if ok else wire.NO_AUTH, ident)


def t_acl_masked(t):
    """Who may read a node's ACL but has no ADMIN sees no digests."""
    a = t.made_root("a")
    a.auth("digest", b"bob:secret")
    a.create(t.root + "/x", acl=[ACL(31, "auth", ""),
                                 ACL(READ, "world", "anyone"),
                                 ACL(1, "ip", "1.2.3.4")])
    b = t.client("b")
    eq(b.get_acl(t.root + "/x").acl,
       [ACL(31, "digest", "bob:x"), ACL(1, "world", "anyone"),
        ACL(1, "ip", "1.2.3.4")])
    eq(a.get_acl(t.root + "/x").acl[0].id, digest("bob:secret"))


def t_acl_not_inherited(t):
    a = t.made_root("a")
    a.create(t.root + "/x")
    a.create(t.root + "/x/open")
    a.set_acl(t.root + "/x", [ACL(0, "world", "anyone")])
    eq(a.get(t.root + "/x").err, wire.NO_AUTH)
    eq(a.get(t.root + "/x/open").err, 0)
    eq(a.set(t.root + "/x/open", b"").err, 0)
    eq(a.delete(t.root + "/x/open").err, wire.NO_AUTH)
    t.note("delete asks the parent only")
    eq(a.delete(t.root + "/x").err, wire.NOT_EMPTY)


def t_delete_needs_no_own_permission(t):
    a = t.made_root("a")
    a.create(t.root + "/x", acl=[ACL(0, "world", "anyone")])
    eq(a.delete(t.root + "/x").err, 0)


def t_ephemerals_go_without_permission(t):
    a = t.made_root("a")
    b = t.client("b")
    b.create(t.root + "/e", acl=[ACL(0, "world", "anyone")], flags=1)
    a.set_acl(t.root, [ACL(READ | ADMIN, "world", "anyone")])
    b.close()
    eq(a.children(t.root).children, [])


def t_set_acl_precedence(t):
    a = t.made_root("a")
    bad = [ACL(31, "nope", "")]
    eq(a.set_acl(t.root + "/no", bad).err, wire.INVALID_ACL)
    eq(a.set_acl(t.root + "/no", wire.OPEN_ACL, 9).err, wire.NO_NODE)
    eq(a.set_acl(t.root + "//no", bad).err, wire.BAD_ARGUMENTS)
    eq(a.set_acl(t.root, [], 9).err, wire.INVALID_ACL)
    eq(a.set_acl(t.root, None).err, wire.INVALID_ACL)


def t_watch_without_permission(t):
    """A read that is refused sets no watch; exists is never refused."""
    a = t.made_root("a")
    b = t.client("b")
    p = t.root + "/x"
    a.create(p, acl=[ACL(31, "ip", "127.0.0.9"), ACL(WRITE | ADMIN, "world",
                                                   "anyone")])
    eq(b.get(p, watch=True).err, wire.NO_AUTH)
    eq(b.children(p, watch=True).err, wire.NO_AUTH)
    a.set(p, b"1")
    eq(b.fence(), [])
    eq(b.exists(p, watch=True).err, 0)
    a.set(p, b"1")
    t.note("but its event is not sent to who may not read the node")
    eq(b.fence(), [])
    t.note("addWatch asks for no permission either")
    eq(b.add_watch(p, MODE_PERSISTENT).err, 0)
    eq(b.add_watch(t.root, MODE_RECURSIVE).err, 0)
    a.set(p, b"2")
    eq(b.fence(), [])
    t.note("a persistent watch waits, and tells when it may")
    a.set_acl(p, wire.OPEN_ACL)
    a.set(p, b"3")
    eq(b.fence(), [(3, 3, p)])
    t.note("a one-shot watch was used up by what was not told")
    b.remove_watches(p, wire.W_ANY)
    b.remove_watches(t.root, wire.W_ANY)
    a.set_acl(p, [ACL(WRITE | ADMIN, "world", "anyone")])
    b.exists(p, watch=True)
    a.set(p, b"4")
    a.set_acl(p, wire.OPEN_ACL)
    a.set(p, b"5")
    eq(b.fence(), [])
    t.note("deletion and creation go by the node's ACL, too")
    a.set_acl(p, [ACL(WRITE | ADMIN, "world", "anyone")])
    b.exists(p, watch=True)
    a.delete(p)
    eq(b.fence(), [])
    b.exists(p, watch=True)
    a.create(p, acl=[ACL(WRITE | ADMIN, "world", "anyone")])
    eq(b.fence(), [])
    t.note("a child event by the parent's")
    b.children(t.root, watch=True)
    a.delete(p)
    eq(b.fence(), [(4, 3, t.root)])
    b.children(t.root, watch=True)
    a.set_acl(t.root, [ACL(31 & ~READ, "world", "anyone")])
    a.create(p)
    eq(b.fence(), [])
