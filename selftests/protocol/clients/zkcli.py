# SPDX-License-Identifier: GPL-2.0-or-later
"""zkCli.sh, ZooKeeper's own command line: one scripted session."""

import os
import re
import shutil

from zktest import proc
from zktest.tap import Skip
from zktest.transcript import eq

ZKCLI = "/usr/share/zookeeper/bin/zkCli.sh"

SESSION = """\
create /zkcli root
create /zkcli/a value-a
create -s /zkcli/seq- x
create -e /zkcli/eph y
create -c /zkcli/box
create /zkcli/a/deep z
get /zkcli/a
get -s /zkcli/a
set /zkcli/a other
set -v 0 /zkcli/a refused
get /zkcli/a
stat /zkcli/a
ls /zkcli
ls -R /zkcli
getAcl /zkcli/a
setAcl /zkcli/a world:anyone:cdrwa
create /zkcli/no/parent x
delete /zkcli/a
deleteall /zkcli/a
ls /zkcli
get /zkcli/a
addauth digest u:p
create /zkcli/priv secret auth::cdrwa
get /zkcli/priv
getAcl /zkcli/priv
sync /zkcli
deleteall /zkcli
ls /
quit
"""


def t_zkcli(server):
    if not os.path.exists(ZKCLI):
        raise Skip("no " + ZKCLI)
    work = proc.temp_dir()
    script = os.path.join(work, "session")
    with open(script, "w") as f:
        f.write(SESSION)
    env = dict(os.environ, HOME=work, ZOO_LOG_DIR=work,
               JVMFLAGS="-Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1")
    with open(script) as f:
        status, out, err = proc.run(
            [ZKCLI, "-server", server.address], timeout=300, stdin=f,
            env=env, cwd=work)
    shutil.rmtree(work, ignore_errors=True)
    text = out + err

    def has(pattern, times=1):
        n = len(re.findall(pattern, text, re.M))
        assert n >= times, "%r is there %d times, not %d, in:\n%s" % (
            pattern, n, times, text)

    eq(status, 0, "exit status")
    has(r"^Created /zkcli$")
    has(r"^Created /zkcli/seq-0000000001$")
    has(r"^Created /zkcli/eph$")
    has(r"^Created /zkcli/box$")
    has(r"^value-a$", 2)
    has(r"^dataVersion = 0$")
    has(r"^version No is not valid : /zkcli/a$")
    has(r"^other$")
    has(r"^dataVersion = 1$")
    has(r"^numChildren = 1$", 2)
    has(r"^\[a, box, eph, seq-0000000001\]$")
    has(r"^/zkcli\n/zkcli/a\n/zkcli/box\n/zkcli/eph\n"
        r"/zkcli/seq-0000000001\n/zkcli/a/deep$")
    has(r"^'world,'anyone\n: cdrwa$")
    has(r"^Node does not exist: /zkcli/no/parent$")
    has(r"^Node not empty: /zkcli/a$")
    has(r"^\[box, eph, seq-0000000001\]$")
    has(r"^(org\.apache\.zookeeper\.KeeperException\$NoNodeException.*|"
        r"Node does not exist: )/zkcli/a$")
    has(r"^secret$")
    has(r"^'digest,'u:[A-Za-z0-9+/=]+\n: cdrwa$")
    has(r"^Sync is OK$")
    left = out[out.rindex("Sync is OK"):]
    assert "zookeeper" in left and "zkcli" not in left, text
