# SPDX-License-Identifier: GPL-2.0-or-later
"""The scripts that are run against each server, by topic.

A script is a function with a Script (zktest.transcript) as its argument.  It
holds absolute expectations (eq, assert); what it does and sees is written
down besides, and compared with what the control saw.
"""

from . import acl, admin, create, edges, enforce, extended, inflight, lax, \
    malformed, multi, ops, order, paths, precedence, quota, readwrite, \
    rewatch, session, watch, wrap

# Groups that share a server: its further configuration, and their modules. A
# module's prepare(data_dir) is called before the server first starts.
GROUPS = (
    ({}, (session, create, readwrite, acl, multi, watch, rewatch, paths,
          order, inflight, malformed, admin, quota, ops, precedence,
          edges)),
    (extended.CONFIG, (extended,)),
    (enforce.CONFIG, (enforce,)),
    (lax.CONFIG, (lax,)),
    ({"extendedTypesEnabled": "true"}, (wrap,)),
)


def prepare(modules, server):
    for m in modules:
        if hasattr(m, "prepare"):
            m.prepare(server.data_dir)


def scripts_of(modules):
    """(name, function) of every script, in their order of running."""
    out = []
    for m in modules:
        short = m.__name__.rsplit(".", 1)[1]
        for name, func in vars(m).items():
            if name.startswith("t_"):
                out.append(("%s-%s" % (short, name[2:].replace("_", "-")),
                            func))
    return out
