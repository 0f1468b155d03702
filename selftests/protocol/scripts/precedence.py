# SPDX-License-Identifier: GPL-2.0-or-later
"""Which error a write gets that has several things wrong with it.

Requests are put together from parts, each of which may be wrong in every way
that it can be: all combinations for the single operations, and for parts of a
multi all pairs of them.  What comes back is compared with the control.
"""

import itertools
import struct

from zktest import wire
from zktest.jute import ACL, OPEN_ACL
from zktest.wire import (CHECK, CREATE, CREATE2, CREATE_CONTAINER, CREATE_TTL,
                         DELETE, MULTI, SET_ACL, SET_DATA, b_create,
                         b_multi, b_path_int, b_set_acl, b_set_data)

from .ahead import Sender

# world:anyone may do nothing of this
NO_CREATE, NO_DELETE, NO_WRITE, NO_READ, NO_ADMIN = (
    31 & ~bit for bit in (4, 8, 2, 1, 16))

ACLS = {
    "open": OPEN_ACL,
    "empty": [],
    "null": None,
    "nullid": [ACL(31, "digest", None)],
    "mixed": [ACL(31, "ip", "1.2.3.4"), ACL(31, "auth", "")],
}

NAMES = {
    "fresh": "fresh", "there": "there", "empty": "", "dot": ".",
    "dots": "..", "control": "a\x01", "nul": "a\0b", "slash": "there/",
    "bytes": b"\xff", "below": "no/x", "belowdot": "./x",
}

FLAGS = (0, 1, 2, 4, 5, 7)
TTLS = (1000, 0, -1, 1 << 40)
VERSIONS = {"right": 0, "wrong": 7, "any": -1, "minus2": -2}

# whole paths without a parent of ours
ODD_PATHS = {
    "null": None, "nothing": "", "noslash": "x", "root": "/", "two": "//",
    "rootchild": "//x", "zk": "/zookeeper", "quota": "/zookeeper/quota",
    "config": "/zookeeper/config", "nul": "/\0", "dot": "/.", "nuls": "\0",
}


def join(parent, name):
    if isinstance(name, bytes):
        return parent.encode() + b"/" + name
    return parent + "/" + name


def scene(t):
    """The parents, by what is wrong with them, each with a child "there"."""
    a = t.made_root("a")
    p = t.root
    for name, perms in (("ok", 31), ("create", NO_CREATE),
                        ("delete", NO_DELETE), ("write", NO_WRITE),
                        ("read", NO_READ), ("admin", NO_ADMIN), ("none", 0)):
        a.create("%s/%s" % (p, name))
        a.create("%s/%s/there" % (p, name), acl=[ACL(perms, "world",
                                                     "anyone")])
        a.create("%s/%s/there/full" % (p, name))
        a.set_acl("%s/%s" % (p, name), [ACL(perms, "world", "anyone")])
    a.create(p + "/eph", flags=wire.EPHEMERAL)
    a.create(p + "/ephshut", acl=[ACL(NO_CREATE, "world", "anyone")],
             flags=wire.EPHEMERAL)
    return a


def paths(t, parents):
    """(name, path, whether nothing is wrong with it for a create)"""
    for parent in parents:
        for name, text in NAMES.items():
            yield (parent + "/" + name, join(t.root + "/" + parent, text),
                   parent == "ok" and name == "fresh")
    for name, path in ODD_PATHS.items():
        yield name, path, False


def creates(t):
    """All (name, op, body, good) of create's kinds."""
    parents = ("ok", "missing", "create", "eph", "ephshut")
    n = 0
    for (where, path, fine), flags, (acl, acls) in itertools.product(
            paths(t, parents), FLAGS, ACLS.items()):
        for op in (CREATE2 if flags else CREATE, CREATE_CONTAINER):
            good = fine and acl == "open" and flags not in (5, 6, 7, -1)
            if good and (flags == 4) != (op == CREATE_CONTAINER):
                continue    # 3.8 spoils its log by these
            text = path
            if good:
                n += 1
                text = "%s%d" % (path, n)
            yield ("%d %s f%d %s" % (op, where, flags, acl), op,
                   b_create(text, b"", acls, flags), good)


def ttls(t):
    for (where, path, fine), flags, ttl, (acl, acls) in itertools.product(
            paths(t, ("ok", "missing", "ephshut")), (0, 4, 5, 7), TTLS,
            ACLS.items()):
        if fine and acl == "open" and flags in (0, 4):
            continue    # 3.8 dies of it
        yield ("ttl %s f%d t%d %s" % (where, flags, ttl, acl), CREATE_TTL,
               wire.b_create_ttl(path, b"", acls, flags, ttl), False)


def others(t, gone):
    """delete, setData, setACL, check.  gone: paths to be deleted for good
    are taken from there."""
    parents = ("ok", "missing", "delete", "write", "read", "admin", "none",
               "eph")
    for (where, path, _), (version, v) in itertools.product(
            paths(t, parents), VERSIONS.items()):
        name = "%s %s" % (where, version)
        yield "delete " + name, DELETE, b_path_int(path, v)
        yield "set " + name, SET_DATA, b_set_data(path, b"", v)
        # 3.8 never answers a check alone that succeeds
        found = where in ("root", "zk", "quota", "config") or (
            where.endswith("/there") and where[:4] not in ("read", "none"))
        if not found or version in ("wrong", "minus2"):
            yield "check " + name, CHECK, b_path_int(path, v)
        for acl, acls in ACLS.items():
            if acl != "open":
                yield ("setacl %s %s" % (name, acl), SET_ACL,
                       b_set_acl(path, acls, v))
    for (name, path), (version, v) in itertools.product(gone, VERSIONS.items()):
        yield "delete %s %s" % (name, version), DELETE, b_path_int(path, v)


NULL_ID = b"digest" + struct.pack(">i", -1)


def after_throw(s, part):
    """An ACL's null id, and a TTL node of a plain create, are exceptions to
    3.8, which then leaves what the parts before did in sight of requests
    that come right behind."""
    if NULL_ID in part[1] or part[0] != DELETE and \
            part[1][-4:] in (b"\0\0\0\5", b"\0\0\0\6"):
        s.drain()


def finish(t, s):
    """What all of it has left."""
    s.drain()
    for name in ("ok", "create", "delete", "write", "admin"):
        s.c.exists("%s/%s" % (t.root, name))
        s.c.exists("%s/%s/there" % (t.root, name))
    s.c.children(t.root + "/ok")


def t_create(t):
    s = Sender(t, scene(t))
    for name, op, body, _ in creates(t):
        s.add(op, body, name)
    finish(t, s)


def t_create_ttl(t):
    s = Sender(t, scene(t))
    for name, op, body, _ in ttls(t):
        s.add(op, body, name)
    finish(t, s)


def t_others(t):
    a = scene(t)
    s = Sender(t, a)
    gone = []
    for i, where in enumerate(("ok", "write", "read", "admin")):
        path = "%s/%s/gone" % (t.root, where)
        a.create(path)
        gone.append((where, path))
    for name, op, body in others(t, gone):
        s.add(op, body, name)
    finish(t, s)


def defects(t):
    """One request of each op for each single way in which it fails."""
    p = t.root
    ok = p + "/ok/"
    out = []
    for op in (CREATE, CREATE2, CREATE_CONTAINER):
        flags = 4 if op == CREATE_CONTAINER else 0
        for name, text in NAMES.items():
            if name != "fresh":
                out.append((op, b_create(join(p + "/ok", text), b"",
                                         OPEN_ACL, flags)))
        out += [(op, b_create(p + "/%s/x" % parent, b"", OPEN_ACL, flags))
                for parent in ("missing", "create", "eph", "ephshut")]
        out += [(op, b_create(ok + "x", b"", acl, flags))
                for acl in list(ACLS.values())[1:]]
        out += [(op, b_create(ok + "x", b"", OPEN_ACL, f))
                for f in (5, 6, 7, -1)]
        out += [(op, b_create(path, b"", OPEN_ACL, flags))
                for path in ODD_PATHS.values() if path is not None]
    out += [(CREATE_TTL, wire.b_create_ttl(ok + "x", flags=f, ttl=ttl))
            for f in (5, 7) for ttl in (1000, -1)]
    for op, make in ((DELETE, b_path_int), (CHECK, b_path_int),
                     (SET_DATA, lambda q, v: b_set_data(q, b"", v))):
        out += [(op, make(q, v)) for q, v in (
            (ok + "there", 7), (ok + "there", -2), (ok + "no", -1),
            (p + "/missing/x", -1), ("x", -1), (ok + "there/", 7),
            (ok + "a\0", -1), ("", 7), ("/zookeeper/quota", 99))]
    out += [(DELETE, b_path_int(q, v)) for q, v in (
        (ok + "there", 0), (p + "/delete/there", 7), (p + "/ok", -1))]
    out += [(SET_DATA, b_set_data(p + "/write/there", b"", v))
            for v in (7, -1)]
    out += [(CHECK, b_path_int(p + "/read/there", v)) for v in (7, -1)]
    return out


def t_in_multi(t):
    """Each failing part alone in a multi, behind a good one, and before and
    behind every kind of another failing one."""
    s = Sender(t, scene(t))
    every = defects(t)
    good = (CREATE, b_create(t.root + "/ok/new"))
    for i, bad in enumerate(every):
        s.add(MULTI, b_multi([bad]), "%d" % i)
        s.add(MULTI, b_multi([good, bad]), "good %d" % i)
        after_throw(s, bad)
        for k in range(i % 11, len(every), 11):
            s.add(MULTI, b_multi([good, bad, every[k], good]),
                  "good %d %d good" % (i, k))
            after_throw(s, bad)
    finish(t, s)


def t_multi_that_does_not_parse(t):
    """It is read whole before any of it is tried."""
    s = Sender(t, scene(t))
    wrong = ((SET_ACL, b_set_acl(t.root, OPEN_ACL)),
             (wire.GET_DATA, wire.b_path_watch(t.root)),
             (77, b""), (DELETE, b_path_int(None, -1)),
             (CREATE, b_create(t.root + "/x")[:-1]),
             (CREATE, struct.pack(">i", 1 << 30)))
    for i, bad in enumerate(defects(t)[::3]):
        for k, worse in enumerate(wrong):
            if worse[1] == b_path_int(None, -1):
                continue    # 3.8's zxids are one more after this
            s.add(MULTI, b_multi([bad, worse]), "%d worse %d" % (i, k))
            s.add(MULTI, b_multi([worse, bad]), "worse %d %d" % (k, i))
    finish(t, s)


def t_own_failures(t):
    """Parts that fail by what the parts before them do."""
    a = scene(t)
    p = t.root + "/ok"
    s = Sender(t, a)
    steps = {
        "create": (CREATE, b_create(p + "/n")),
        "child": (CREATE, b_create(p + "/n/c")),
        "eph": (CREATE, b_create(p + "/n", flags=wire.EPHEMERAL)),
        "shut": (CREATE, b_create(p + "/n", acl=[ACL(0, "world", "anyone")])),
        "delete": (DELETE, b_path_int(p + "/n", -1)),
        "delete0": (DELETE, b_path_int(p + "/n", 0)),
        "set": (SET_DATA, b_set_data(p + "/n", b"x", -1)),
        "set0": (SET_DATA, b_set_data(p + "/n", b"x", 0)),
        "check0": (CHECK, b_path_int(p + "/n", 0)),
        "check1": (CHECK, b_path_int(p + "/n", 1)),
    }
    last = (CHECK, b_path_int(p + "/never", 0))
    for names in itertools.product(steps, repeat=3):
        s.add(MULTI, b_multi([steps[n] for n in names] + [last]),
              " ".join(names))
    finish(t, s)
