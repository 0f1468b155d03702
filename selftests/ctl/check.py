# SPDX-License-Identifier: GPL-2.0-or-later
"""zkernd --check, --keys, and what the man page says of the keys."""

import json
import os
import re

from common import equal, temp_dir, zkernd

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "../.."))


def write(d, text):
    path = os.path.join(d, "zoo.cfg")
    with open(path, "w") as f:
        f.write(text)
    return path


def check(text, *args, env=None, folder=0o700):
    """Status and the findings as (line, level, key, text)."""
    with temp_dir() as d:
        cfg = write(d, text.replace("@", d))
        os.chmod(d, folder)
        status, out, err = zkernd("--check", "--json", *args, cfg, env=env)
        os.chmod(d, 0o700)
        equal(err, "", "standard error")
        o = json.loads(out)
        equal(o["file"], cfg, "file")
        equal(o["fine"], status == 0, "fine")
        equal(o["errors"], len([f for f in o["findings"] if f["level"] == "error"]),
              "errors")
        return status, [(f["line"], f["level"], f["key"], f["text"])
                        for f in o["findings"]]


def keys():
    status, out, err = zkernd("--keys")
    equal((status, err), (0, ""), "--keys")
    return [tuple(line.split("\t")) for line in out.splitlines()]


def statuses():
    """--check answers 0, 1 or 2, for scripts."""
    with temp_dir() as d:
        cfg = write(d, "dataDir=%s\nclientPort=2181\ntickTime=2000\n" % d)
        equal(zkernd("--check", cfg), (0, cfg + ": fine\n", ""), "a file that is well")
        cfg = write(d, "dataDir=%s\nclientPort=2181\nfoo=1\n" % d)
        status, out, err = zkernd("--check", cfg)
        equal(status, 1, "an unknown key")
        equal(out, cfg + ":3: warning: foo: unknown key: ignored\n" +
              cfg + ": 0 errors, 1 warning\n", "text")
        equal(zkernd("--check", os.path.join(d, "none"))[0], 1, "no such file")
        equal(zkernd("--check", "--nonsense", cfg)[0], 2, "an unknown option")
        equal(zkernd("--check", cfg, cfg)[0], 2, "two files")
        equal(zkernd("--json", cfg)[0], 2, "--json alone")
        equal(os.listdir(d), ["zoo.cfg"], "nothing is made")


def all_findings():
    """Every finding is named with its line, not only the first."""
    status, found = check(
        "tickTime=x\n\nclinetPort=1\ndataDir=@\nsnapCount=y\nfoo=\\u12\n"
        "minSessionTimeout=5000\nmaxSessionTimeout=4000\nclientPort=70000\n")
    equal(status, 1, "status")
    bad = [(f[0], f[2]) for f in found if f[1] != "note"]
    equal(bad, [(1, "tickTime"), (3, "clinetPort"), (5, "snapCount"), (6, None),
                (7, "minSessionTimeout"), (9, "clientPort")], "findings")
    assert "did you mean clientPort?" in dict((f[2], f[3]) for f in found)["clinetPort"]


def known_keys():
    """Each key of ZooKeeper 3.8.0 is known, with and without its prefix."""
    with open(os.path.join(HERE, "keys-3.8")) as f:
        names = [k for k in f.read().splitlines() if not k.startswith("#")]
    assert len(names) > 250, len(names)
    for prefix in ("", "zookeeper."):
        text = "".join("%s%s=1\n" % (prefix, n) for n in names)
        _, found = check(text)
        unknown = [f[2] for f in found if "unknown key" in f[3]]
        equal(unknown, [], "unknown keys with prefix %r" % prefix)
        # heeded, or something is said of it
        said = {f[2] for f in found}
        heeded = {k[0] for k in keys() if k[1] == "heeded"}
        left = [n for n in names if n not in said and n not in heeded and
                n not in ("server.1", "closeSessionTxn.enabled")]
        # 1 is neither "true" nor a number of the wrong kind for these
        equal(left, [], "keys of which nothing is said")


def tables():
    """The tables of keys hold each key once, and each with a reason."""
    seen = {}
    for k in keys():
        equal(len(k), 3, "fields of %s" % (k,))
        assert k[1] in ("heeded", "idle", "ignored", "refused", "as"), k
        assert k[1] == "heeded" or k[2], "no reason for %s" % k[0]
        seen.setdefault(k[0], []).append(k[1])
    twice = {k: v for k, v in seen.items() if len(v) > 1}
    if twice:
        print("# in two tables: %s" % twice, flush=True)
    assert all(v[0] == "heeded" for v in twice.values()), twice


def heeded():
    """Whatever is read from the file is looked at by somebody."""
    with open(os.path.join(TOP, "daemon/base/config.c")) as f:
        fields = set(re.findall(r", AT\((\w+)\)", f.read()))
    assert len(fields) > 40, fields
    text = ""
    for d, _dirs, names in os.walk(os.path.join(TOP, "daemon")):
        for n in names:
            if n.endswith((".c", ".h")) and not n.startswith("conf"):
                with open(os.path.join(d, n)) as f:
                    text += f.read()
    equal(sorted(x for x in fields if not re.search(r"(->|\.)%s\b" % x, text)), [],
          "keys without effect")
    assert ("request_throttle_stall_time", "idle") in [k[:2] for k in keys()]


def machine():
    """What only the machine can tell: directories, myid, devices."""
    status, found = check("dataDir=/dev/null/x\nclientPort=1\n")
    assert status == 1 and any(f[0] == 1 and f[1] == "error" and
                               "/dev/null/x: Not a directory" in f[3] for f in found), found
    status, found = check("dataDir=@/zoo.cfg\nclientPort=1\n")
    assert any("is not a directory" in f[3] for f in found), found
    status, found = check("dataDir=@\ndataLogDir=/dev/null/x\nclientPort=1\n")
    assert any(f[0] == 2 and f[2] == "dataLogDir" and f[1] == "error"
               for f in found), found
    status, found = check("dataDir=@\nserver.1=h:1:2\n")
    assert any(f[2] == "myid" and "is missing" in f[3] for f in found), found
    members = "dataDir=@\nserver.1=h:1:2\nserver.2=g:1:2\nreconfigEnabled=true\nclientPort=1\n" \
        "initLimit=1\nsyncLimit=1\n"
    status, found = check(members)
    assert any(f[0] == 4 and f[1] == "note" and "nobody may change" in f[3]
               for f in found), found
    status, found = check("dataDir=@\nreconfigEnabled=true\nclientPort=1\n")
    assert any(f[0] == 2 and f[1] == "note" and "alone" in f[3] for f in found), found
    status, found = check("dataDir=@\nclientPort=1\naudit.enable=true\n"
                          "zkern.auditFile=/dev/null/x\n")
    assert any(f[0] == 4 and f[2] == "zkern.auditFile" for f in found), found
    if os.geteuid():
        status, found = check(members, folder=0o500)
        assert any(f[0] == 4 and f[1] == "warning" and "cannot keep the members" in f[3]
                   for f in found), found
    if not os.path.exists("/dev/zkern"):
        status, found = check("dataDir=@\nclientPort=1\nzkern.store=kernel\n")
        assert any(f[0] == 3 and "is not loaded" in f[3] for f in found), found


def defines():
    """-D and JVMFLAGS define keys as the JVM's options did."""
    good = "dataDir=@\nclientPort=2181\n"
    status, found = check(good, "-D", "zookeeper.snapCount=y", "-Dfoo.bar=1",
                          env={"JVMFLAGS": "-Xmx1g -Dzookeeper.tickTime=z -server",
                               "SERVER_JVMFLAGS": "-Djava.net.x=1"})
    equal(status, 1, "status")
    got = {f[2]: (f[0], f[1]) for f in found if f[1] != "note"}
    equal(got, {"snapCount": (None, "error"), "tickTime": (None, "error"),
                "foo.bar": (None, "warning")}, "findings")
    equal(check(good, "-D", "jute.maxbuffer=4194304", "-Dzookeeper.skipACL=no")[0], 0,
          "good ones")
    status, found = check(good, "-DclientPort=1")
    assert any("the file's line 2 holds" in f[3] for f in found), found
    status, found = check(good, "--dynamic", "/dev/null/x")
    assert status == 1 and any(f[2] == "dynamicConfigFile" and
                               "/dev/null/x: Not a directory" in f[3] for f in found), found


def shipped():
    """The configuration that is installed is fine."""
    with open(os.path.join(TOP, "tools/install/zoo.cfg")) as f:
        text = re.sub(r"(?m)^dataDir=.*$", "dataDir=@", f.read())
    equal(check(text), (0, [f for f in check(text)[1] if f[1] == "note"]), "zoo.cfg")


def man_page():
    """zkernd(8) has an entry for every key that is heeded, and for no other."""
    with open(os.path.join(TOP, "tools/man/zkernd.8")) as f:
        text = f.read()
    part = text[text.index(".Ss Configuration"):]
    part = part[:part.index(".Ss Keys that")]
    named = {}
    for line in part.splitlines():
        if not line.startswith(".It "):
            continue
        for m in re.finditer(r"Cm (\S+)(?: Ns = Ns (\S+))?", line):
            named[m.group(1)] = m.group(2)
    heeded = {k[0]: k[2] for k in keys() if k[1] == "heeded"}
    families = [n[:-1] for n in named if n.endswith("*")]
    without = [k for k in heeded if k not in named and
               not any(k.startswith(f) for f in families)]
    equal(without, [], "keys without an entry")
    unknown = [n for n in named if n not in heeded and n not in ("server.N", "group.N", "weight.N") and
               not (n.endswith("*") and any(k.startswith(n[:-1]) for k in heeded))]
    equal(unknown, [], "entries without a key")
    for k, v in named.items():
        if v is not None and heeded.get(k):
            equal(v, heeded[k], "the default of " + k)
    codes = set(re.findall(r"(?m)^\.It (\d+)$", text[text.index(".Sh EXIT STATUS"):]))
    equal(codes, {"0", "1", "2", "3", "5", "6", "7"}, "exit statuses")


TESTS = [statuses, all_findings, known_keys, tables, heeded, machine, defines, shipped, man_page]
