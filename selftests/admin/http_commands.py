# SPDX-License-Identifier: GPL-2.0-or-later
"""The admin server's commands beside the control's answers."""

import http.client
import json
import re

from zktest import proc
from zktest.proc import wait_for
from zktest.transcript import eq

import words

COMMANDS = {
    "configuration": ["conf", "config"],
    "connection_stat_reset": ["crst"],
    "connections": ["cons"],
    "dirs": [],
    "dump": [],
    "environment": ["env", "envi"],
    "get_trace_mask": ["gtmk"],
    "hash": [],
    "initial_configuration": ["icfg"],
    "is_read_only": ["isro"],
    "last_snapshot": ["lsnp"],
    "leader": ["lead"],
    "monitor": ["mntr"],
    "observer_connection_stat_reset": ["orst"],
    "observers": ["obsr"],
    "ruok": [],
    "server_stats": ["srvr"],
    "set_trace_mask": ["stmk"],
    "stat_reset": ["srst"],
    "stats": ["stat"],
    "system_properties": ["sysp"],
    "voting_view": [],
    "watch_summary": ["wchs"],
    "watches": ["wchc"],
    "watches_by_path": ["wchp"],
    "zabstate": [],
}

# whose text must be the control's to the byte, ids and ports apart
TO_THE_BYTE = ["configuration", "connections", "get_trace_mask",
               "is_read_only", "last_snapshot", "leader", "observers",
               "observer_connection_stat_reset", "ruok", "voting_view",
               "watch_summary", "zabstate", "nosuch", "a/b", "%22x%5C",
               "set_trace_mask", "set_trace_mask?traceMask=abc",
               "set_trace_mask?traceMask=306", "stmk?traceMask=",
               "RUOK", "ruok?x=y"]

VALUES = ("N", "NA")


def get(s, path, method="GET", port=None):
    """(status, content type, body) from a server here, or in the VM."""
    if s.kind == "kernel":
        assert method == "GET"
        status, out, err = s.vm.run(
            "wget -q -S -O - 'http://127.0.0.1:%d%s'" % (port or s.admin, path))
        m = re.search(r"HTTP/1.1 (\d+)", err)
        assert m, (status, err)
        kind = re.search(r"Content-Type: (\S+)", err)
        return int(m.group(1)), kind and kind.group(1), out
    c = http.client.HTTPConnection("127.0.0.1", port or s.admin, timeout=60)
    try:
        c.request(method, path)
        r = c.getresponse()
        return r.status, r.getheader("Content-Type"), r.read().decode()
    finally:
        c.close()


def command(s, name):
    status, kind, text = get(s, "/commands/" + name)
    eq((status, kind), (200, "application/json"), name)
    return text


def numbers(text):
    """Without times and latencies."""
    return re.sub(r'("(?:established|last_response_time|\w*latency|timestamp'
                  r'|uptime|packets_\w+)" : )-?[\d.]+', r"\1N", text)


def shape(v):
    """Names in their order, nesting and types."""
    if isinstance(v, dict):
        if any(k.isdigit() or k.startswith("/") for k in v):    # a table
            return sorted({str(shape(x)) for x in v.values() if x})
        return [(k, shape(x)) for k, x in v.items()]
    if isinstance(v, list):
        return [shape(x) for x in v[:1]]
    return type(v).__name__


def plain(s, name):
    return numbers(s.made.plain(command(s, name)))


def ready(control, s):
    """Jetty comes up after the client port."""
    def up():
        try:
            return get(control, "/commands/ruok")[0] == 200
        except OSError:
            return False
    wait_for(up, 60, "the control's admin server")
    eq(get(s, "/commands/ruok")[0], 200)


def t_http_index(control, s):
    ready(control, s)
    for path in ("/commands", "/commands/"):
        a, b = get(control, path), get(s, path)
        eq((b[0], b[2].strip()), (a[0], a[2].strip()))


def t_http_answers(control, s):
    for name in TO_THE_BYTE:
        if name == "connections":       # in any order
            words.agree(lambda: len(plain(s, name).split("}, {")),
                        lambda: len(plain(control, name).split("}, {")), name)
            continue
        eq(plain(s, name), plain(control, name), name)


def t_http_shapes(control, s):
    """Every command: the same names in the same order, the same types."""
    for name in COMMANDS:
        if name in ("monitor", "system_properties", "stat_reset"):
            continue
        got = json.loads(command(s, name))
        eq(shape(got), shape(json.loads(command(control, name))), name)
        eq(got["command"], name)


def t_http_aliases(_control, s):
    for name, aliases in COMMANDS.items():
        if name.endswith("_reset"):
            continue
        for alias in aliases:
            eq(json.loads(command(s, alias))["command"], name)


def t_http_monitor(control, s):
    a = json.loads(command(control, "monitor"))
    b = json.loads(command(s, "monitor"))
    for k in list(a):
        if words.LEFT_OUT.search("_" + k):
            del a[k]
    own = [k for k in b if k.startswith("zkern_")]
    eq(own, list(b)[-2 - len(own):-2], "our own are the last")
    for k in own:
        assert isinstance(b.pop(k), int), k
    eq(shape(b), shape(a))
    for k in ("znode_count", "watch_count", "ephemerals_count",
              "approximate_data_size", "global_sessions"):
        eq(b[k], a[k], k)


def t_http_tables(control, s):
    """What is in the tables, in any order."""
    for name, key in (("watches", "session_id_to_watched_paths"),
                      ("watches_by_path", "path_to_session_ids"),
                      ("dump", "session_id_to_ephemeral_paths")):
        got = table_of(s, name, key)
        eq(got, table_of(control, name, key), name)
        assert got, name
    for x in (control, s):
        times = json.loads(command(x, "dump"))["expiry_time_to_session_ids"]
        eq(sorted(sum(times.values(), [])),
           sorted(x.made.names()))
        digests = json.loads(command(x, "hash"))["digests"]
        eq([(d["zxid"], d["digest_version"]) for d in digests],
           [(128, 2), (256, 2)])
        eq([d["digest"] for d in digests],
           [int(v) for v in re.findall(r": (-?\d+)", x.four_letter("hash"))])


def table_of(x, name, key):
    ids = {str(k): v for k, v in x.made.names().items()}
    t = json.loads(command(x, name))[key]
    return sorted((ids.get(k, k), sorted(ids.get(str(e), e) for e in v))
                  for k, v in t.items())


def t_http_configuration(_control, s):
    with open(s.work + "/zoo.cfg") as f:
        want = f.read()
    eq(json.loads(command(s, "initial_configuration"))
       ["initial_configuration"], want)
    props = json.loads(command(s, "system_properties"))
    eq(props["zookeeper.admin.serverPort"], str(s.admin))
    eq(props["os.name"], "Linux")
    assert "zookeeper.dataDir" not in props


def t_http_errors(control, s):
    for path in ("/", "/foo", "/command", "/commandsx", "/metrics"):
        eq(get(s, path)[0], get(control, path)[0] if s.kind != "kernel"
           else 404, path)
        eq(get(s, path)[0], 404)
    if s.kind == "kernel":
        return
    for method in ("POST", "PUT", "DELETE"):
        eq(get(s, "/commands/ruok", method)[0],
           get(control, "/commands/ruok", method)[0], method)
    eq(get(s, "/commands/ruok", "HEAD")[2], "")


def t_http_resets(_control, s):
    json.loads(command(s, "stat_reset"))
    eq(s.mntr()["cnt_updatelatency"], "0")
    json.loads(command(s, "crst"))


def t_http_busy_port(_control, s):
    """Where 3.8 does not start: a warning, and clients are served."""
    from zktest.server import make_server
    if s.kind == "kernel":
        return
    other = make_server(s.kind, config={
        "admin.enableServer": "true", "admin.serverAddress": "127.0.0.1",
        "admin.serverPort": str(s.admin)})
    other.start()
    assert "admin server: cannot listen on 127.0.0.1:%d: Address already" \
        % s.admin in other.log_text(), other.log_text()
    eq(other.four_letter("ruok"), "imok")
    other.remove()


TESTS = [t_http_index, t_http_answers, t_http_shapes, t_http_aliases,
         t_http_monitor, t_http_tables, t_http_configuration, t_http_errors,
         t_http_resets, t_http_busy_port]
