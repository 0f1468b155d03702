# SPDX-License-Identifier: GPL-2.0-or-later
"""The tree as the device shows it, against the tree as TCP shows it."""

import base64
import json
import os
import random
import shlex

from zktest.jute import In, Stat
from zktest.server import TOP
from zktest.tree import tree_diff

DEVDUMP = os.path.join(TOP, "build", "selftests", "exchange", "devdump")


def unhex(text):
    return b"" if text == "." else bytes.fromhex(text)


def dump(server):
    """{path: (data or None or "?", Stat, acl or None)} of all that root may
    see, and the zxid."""
    out = os.path.join(server.work, "devdump")
    server.vm.must("devdump /dev/%s >%s" % (
        device(server), server.vm.path(out)), 120)
    nodes = {}
    with open(out) as f:
        zxid = int(f.readline().split()[0], 16)
        for line in f:
            path, data, acl, *nums = line.split()
            raw = unhex(acl)
            nodes[unhex(path).decode()] = (
                None if data == "-" else "?" if data == "?" else unhex(data),
                Stat(*[int(x) for x in nums]),
                tuple(In(raw).acls()) if raw else None)
    os.unlink(out)
    return nodes, zxid


def device(server):
    return server.vm.must("ls /dev | grep '^zkern[0-9]' | head -n 1").strip()


def masked(acl):
    """Without what only ADMIN may see."""
    return tuple(a._replace(id=a.id.split(":")[0] + ":x")
                 if a.scheme == "digest" else a for a in acl)


def readable(node):
    return isinstance(node.acl, tuple) and any(
        a.perms & 1 and (a.scheme, a.id) == ("world", "anyone")
        for a in node.acl)


def expected(tree, skip):
    """The paths that a program without any identity sees: every parent must
    let it."""
    seen = []
    todo = ["/"]
    while todo:
        path = todo.pop()
        seen.append(path)
        if readable(tree[path]):
            for name in tree[path].children:
                child = (path if path != "/" else "") + "/" + name
                if child not in skip:
                    todo.append(child)
    return seen


def compare(server, tree, skip):
    """Text of what differs between the device's tree and the one given."""
    nodes, _ = dump(server)
    want = expected(tree, skip)
    got = {p for p in nodes
           if not any(p == s or p.startswith(s + "/") for s in skip)}
    if set(want) != got:
        return "on the device: missing %s, extra %s" % (
            sorted(set(want) - got)[:9], sorted(got - set(want))[:9])
    if len(want) < len(tree) // 2:
        return "only %d of %d nodes can be seen" % (len(want), len(tree))
    a, b = {}, {}
    for path in want:
        n = tree[path]
        data, stat, acl = nodes[path]
        hidden = not readable(n)
        if hidden != (data == "?"):
            return "%s: data %s though it is %sreadable" % (
                path, data, "not " if hidden else "")
        a[path] = n._replace(
            data="?" if hidden else n.data, children=0,
            acl=masked(n.acl) if isinstance(n.acl, tuple) and acl else None)
        b[path] = n._replace(
            data="?" if hidden else (data,), stat=stat, children=0,
            acl=masked(acl) if isinstance(n.acl, tuple) and acl else None)
    # "/" shows what came and went below skip, and no more
    return tree_diff(a, b) or by_command(server, tree, [
        p for p in want if readable(tree[p])])


def by_command(server, tree, paths, sample=60):
    """The same of some nodes by `zkern get --json`."""
    rnd = random.Random(1)
    # odd names first, then anything
    odd = [p for p in paths if not p.isascii() or " " in p or "%" in p]
    some = odd[:20] + rnd.sample(paths, min(sample, len(paths)))
    script = os.path.join(server.work, "get")
    with open(script, "w") as f:
        for p in some:
            f.write("zkern --device %s --json get %s || echo '{}'\n" % (
                device(server)[len("zkern"):], shlex.quote(p)))
    lines = server.vm.must("sh " + server.vm.path(script), 120).splitlines()
    if len(lines) != len(some):
        return "%d answers to %d zkern get" % (len(lines), len(some))
    for path, line in zip(some, lines):
        o = json.loads(line)
        if not o or o["path"] != path or o["via"] != "device":
            return "zkern get %s: %s" % (path, line)
        data = o["data"]
        if o["encoding"] == "base64":
            data = base64.b64decode(data)
        elif data is not None:
            data = data.encode()
        s = o["stat"]
        stat = Stat(s["czxid"], s["mzxid"], s["ctime"], s["mtime"],
                    s["version"], s["cversion"], s["aversion"],
                    int(s["ephemeralOwner"], 16), s["dataLength"],
                    s["numChildren"], s["pzxid"])
        if ((data,), stat) != (tree[path].data, tree[path].stat):
            return "zkern get %s: %s\nbut over TCP: %s" % (
                path, line, tree[path])
    return ""

