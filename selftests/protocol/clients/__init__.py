# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock clients against a server: each function takes a running Server."""

from . import cclient, kazoo_client, zkcli

MODULES = (kazoo_client, cclient, zkcli)


def all_clients():
    """(name, function) of every client test."""
    out = []
    for m in MODULES:
        for name, func in vars(m).items():
            if name.startswith("t_"):
                out.append((name[2:].replace("_", "-"), func))
    return out
