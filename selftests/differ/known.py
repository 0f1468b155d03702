# SPDX-License-Identifier: GPL-2.0-or-later
"""Differences that were found once, each as the few actions that show it; they
come before the random ones in every run.

An action is a line of a trace (act.c): kind, slot, flags, op, xid, value, body.
"""

from zktest import wire
from zktest.jute import ACL, OPEN_ACL, Out

OPEN, REQ, BARRIER = 0, 1, 8
FLUSH, ALONE = 1, 4
TIMEOUT = 300000


def line(kind, slot, flags=0, op=0, xid=0, value=0, body=b""):
    return "%d %d %d %d %d %d %s\n" % (kind, slot, flags, op, xid, value,
                                       body.hex() or "-")


def session(slot):
    return line(OPEN, slot, value=TIMEOUT)


def ask(slot, op, body=b"", flags=0):
    """A request that stays in flight with those behind it."""
    return line(REQ, slot, flags, op, body=body)


def call(slot, op, body=b""):
    """A request whose answer is waited for."""
    return ask(slot, op, body, FLUSH)


def login(slot, who):
    return line(REQ, slot, FLUSH | ALONE, wire.AUTH, -4,
                body=wire.b_auth("digest", who))


def close(*slots):
    return [call(s, wire.CLOSE_SESSION) for s in slots]


def barrier():
    return line(BARRIER, 0)


def u0():
    """The id of the user u0:p0."""
    import base64
    import hashlib
    return "u0:" + base64.b64encode(
        hashlib.sha1(b"u0:p0").digest()).decode()


def events_between_answers():
    """A client with writes in flight has each one's events right before its
    answer, not before the answers of those ahead of it; and what is asked in
    between is answered as of its place."""
    return [session(1),
            ask(1, wire.GET_CHILDREN2, wire.b_path_watch("/", True)),
            ask(1, wire.CREATE, wire.b_create("/no-parent/x")),
            ask(1, wire.SYNC, wire.b_path("/")),
            ask(1, wire.PING),
            ask(1, wire.CREATE, wire.b_create("/order")),
            ask(1, wire.SYNC, wire.b_path("/")),
            call(1, wire.CREATE, wire.b_create("/order/x"))] + close(1)


def events_by_their_acl():
    """Whether a client hears of a change is by the ACL as of the change, not
    by one that is under way behind it."""
    shut = wire.b_set_acl("/shut", [ACL(30, "world", "anyone")])
    return [session(1), call(1, wire.CREATE, wire.b_create("/shut")),
            call(1, wire.ADD_WATCH, wire.b_path_int("/shut", 0)),
            ask(1, wire.CREATE, wire.b_create("/shut/x")),
            ask(1, wire.SET_DATA, wire.b_set_data("/shut", b"1")),
            call(1, wire.SET_ACL, shut),
            ask(1, wire.CREATE, wire.b_create("/shut/y")),
            call(1, wire.SET_DATA, wire.b_set_data("/shut", b"2"))] + close(1)


def events_by_who_logged_in():
    """An identity counts for events at once, though its client asks for nothing
    but plain reads after it proved it."""
    acl = [ACL(31, "digest", u0())]
    return [session(1), session(2), login(2, b"u0:p0"),
            call(2, wire.CREATE, wire.b_create("/mine", acl=acl)),
            call(1, wire.EXISTS, wire.b_path_watch("/mine", True)),
            login(1, b"u0:p0"),
            call(1, wire.GET_DATA, wire.b_path_watch("/mine")),
            call(2, wire.SET_DATA, wire.b_set_data("/mine", b"1")),
            barrier()] + close(1, 2)


def paths_as_java_has_them():
    """What is no UTF-8 is another string by the time it names a watch, an event
    or a prefix."""
    bad, good = b"/\xff", b"/\xef\xbf\xbd"
    return [session(1),
            call(1, wire.CREATE, wire.b_create("/caf\u00e9",
                                               flags=wire.EPHEMERAL)),
            call(1, wire.GET_EPHEMERALS, wire.b_path(b"/caf\xc3")),
            call(1, wire.SET_WATCHES, wire.b_set_watches(0, data=[bad])),
            call(1, wire.EXISTS, wire.b_path_watch(bad, True)),
            call(1, wire.CHECK_WATCHES, wire.b_path_int(good, wire.W_DATA)),
            call(1, wire.REMOVE_WATCHES, wire.b_path_int(good, wire.W_ANY)),
            call(1, wire.EXISTS, wire.b_path_watch("", True)),
            call(1, wire.CHECK_WATCHES, wire.b_path_int("", wire.W_DATA)),
            ] + close(1)


def set_watches_until_null():
    """A null path ends setWatches with an error where it stands; what came
    before it is done."""
    return [session(1),
            call(1, wire.SET_WATCHES, wire.b_set_watches(
                0, data=["/not-there", None])),
            call(1, wire.SET_WATCHES, wire.b_set_watches(
                0, exist=["/zookeeper"], child=None))] + close(1)


def odd_acls():
    """Nulls throw where one is compared with an earlier one that is like it so
    far; a NUL in a digest id is as good as any character, and what is no UTF-8
    comes back as U+FFFD."""
    lists = ([ACL(31, "world", "anyone"), ACL(31, None, None)],
             [ACL(30, "world", "anyone"), ACL(31, None, None)],
             [ACL(31, "nosuch", "x"), ACL(31, "nosuch", None)],
             [ACL(31, None, None)],
             [ACL(31, "digest", "a:b\0c")],
             [ACL(31, "world", "anyone"), ACL(1, "digest", b"a:\xff\xc3b")])
    return [session(1)] + [
        call(1, wire.CREATE, wire.b_create("/acl%d" % i, acl=a))
        for i, a in enumerate(lists)] + [
        call(1, wire.GET_ACL, wire.b_path("/acl5"))] + close(1)


def reconfig_cut():
    """One that cannot be read takes no zxid."""
    body = Out().string("").string("").string("").long(-1).bytes()
    return [session(1), call(1, wire.RECONFIG, body),
            call(1, wire.RECONFIG, body[:-1]),
            call(1, wire.CREATE, wire.b_create("/after", acl=OPEN_ACL)),
            ] + close(1)


def addresses(same_ip):
    """ACLs that name the client's own address, and its neighbours; where the
    servers see it at two addresses, others instead, as what comes after is to
    find the same tree."""
    mine = ("127.0.0.1", "127.0.0.1/32", "127.0.0.0/8", "127.0.0.2",
            "127.0.0.0/31", "127.0.0.2/31") if same_ip else ("0.0.0.0/1",) * 6
    out = [session(1)]
    for ip in mine:
        out += [call(1, wire.CREATE, wire.b_create(
                    "/here", acl=[ACL(31, "ip", ip)])),
                call(1, wire.GET_ACL, wire.b_path("/here")),
                call(1, wire.GET_DATA, wire.b_path_watch("/here")),
                call(1, wire.SET_DATA, wire.b_set_data("/here", b"1")),
                call(1, wire.DELETE, wire.b_path_int("/here", -1))]
    return out + close(1)


KNOWN = (events_between_answers, events_by_their_acl, events_by_who_logged_in,
         paths_as_java_has_them, set_watches_until_null, odd_acls,
         reconfig_cut)


def write(path, same_ip):
    """All of them as one trace; same_ip: both servers see 127.0.0.1."""
    with open(path, "w") as f:
        for k in KNOWN:
            f.writelines(k())
        f.writelines(addresses(same_ip))
