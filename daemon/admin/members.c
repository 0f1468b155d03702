// SPDX-License-Identifier: GPL-2.0-or-later
/* See members.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/admin/members.h"
#include "daemon/peer/peer.h"
#include "daemon/zab/ensemble.h"

#define ADDRESS_MAX	(256 + 16)
#define LINKS_MAX	1024

enum port { QUORUM, ELECTION };

static u16 port_of(const struct peer_addr *a, enum port which)
{
	return which == QUORUM ? a->quorum_port : a->election_port;
}

/* QuorumServer.delimitedHostString(): an address of IPv6 stands in brackets. */
static void put_address(struct jout *j, const char *host, u16 port)
{
	char text[ADDRESS_MAX];
	bool six = strchr(host, ':');

	snprintf(text, sizeof(text), "%s%.250s%s:%u", six ? "[" : "", host, six ? "]" : "", port);
	jout_string(j, text);
}

static void put_addresses(struct jout *j, const char *key, const struct peer *p, enum port which)
{
	struct jout in;

	jout_key(j, key);
	jout_array(j, &in);
	for (u32 i = 0; i < p->n_addrs; i++)
		put_address(j, p->addrs[i].host, port_of(&p->addrs[i], which));
	jout_array_end(j, &in);
}

/* Who has no such line is known by its own configuration alone. */
static void put_client_address(struct client_side *cs, struct jout *j, const char *key,
			       const struct peer *p)
{
	jout_key(j, key);
	if (p->client_host)
		put_address(j, p->client_host, p->client_port);
	else if (p->id == cs->cfg->myid)
		put_address(j, cs->cfg->client_addr ? cs->cfg->client_addr : "0.0.0.0",
			    client_port(cs));
	else
		jout_string(j, "");
}

void members_view(struct client_side *cs, struct jout *j)
{
	struct ensemble *e = cs->cfg->ensemble ? core_members(cs->core) : NULL;
	struct jout all, one;

	jout_key(j, "current_config");
	jout_object(j, &all);
	for (u32 i = 0; e && i < e->n; i++) {
		const struct peer *p = &e->peers[i];

		if (p->observer)
			continue;
		jout_key_number(j, p->id);
		jout_object(j, &one);
		put_addresses(j, "server_addresses", p, QUORUM);
		put_addresses(j, "election_addresses", p, ELECTION);
		put_client_address(cs, j, "client_address", p);
		jout_key(j, "learner_type");
		jout_string(j, "participant");
		jout_object_end(j, &one);
	}
	jout_object_end(j, &all);
	ensemble_put(e);
}

/* MultipleAddresses, by its getters. Reachable is whatever is known: nobody tries here. */
static void put_multiple(struct jout *j, const char *key, const struct peer *p, enum port which)
{
	const char *const wild = strchr(p->addrs[0].host, ':') ? "::" : "0.0.0.0";
	u16 port = port_of(&p->addrs[0], which);
	struct jout in, list;

	jout_key(j, key);
	jout_object(j, &in);
	jout_key(j, "empty");
	jout_bool(j, false);
	put_addresses(j, "all_addresses", p, which);
	put_addresses(j, "all_reachable_addresses", p, which);
	jout_key(j, "one");
	put_address(j, p->addrs[0].host, port);
	jout_key(j, "reachable_address");
	put_address(j, p->addrs[0].host, port);
	jout_key(j, "wildcard_addresses");
	jout_array(j, &list);
	for (u32 i = 0; i < p->n_addrs; i++)
		put_address(j, wild, port_of(&p->addrs[i], which));
	jout_array_end(j, &list);
	jout_key(j, "all_ports");
	jout_array(j, &list);
	for (u32 i = 0; i < p->n_addrs; i++)
		jout_number(j, port_of(&p->addrs[i], which));
	jout_array_end(j, &list);
	jout_key(j, "all_host_strings");
	jout_array(j, &list);
	for (u32 i = 0; i < p->n_addrs; i++)
		jout_string(j, p->addrs[i].host);
	jout_array_end(j, &list);
	put_addresses(j, "all_reachable_addresses_or_all", p, which);
	jout_key(j, "reachable_or_one");
	put_address(j, p->addrs[0].host, port);
	jout_object_end(j, &in);
}

void members_own(struct client_side *cs, const struct ensemble *e, struct jout *j)
{
	const struct peer *me = ensemble_find(e, cs->cfg->myid);

	if (!me)
		return;
	put_multiple(j, "quorum_address", me, QUORUM);
	put_multiple(j, "election_address", me, ELECTION);
	put_client_address(cs, j, "client_address", me);
}

static void put_observer(struct jout *j, const struct peer_link *l)
{
	char name[96];
	struct jout in;

	snprintf(name, sizeof(name), "/%s", l->name);
	jout_object(j, &in);
	jout_key(j, "remote_socket_address");
	jout_string(j, name);
	jout_field(j, "sid", l->sid);
	jout_field(j, "established", l->since_ms);
	jout_field(j, "queued_packets", l->queued);
	jout_field(j, "queued_packets_size", l->queued_bytes);
	jout_field(j, "packets_received", l->received);
	jout_field(j, "packets_sent", l->sent);
	jout_field(j, "requests", l->requests);
	jout_field(j, "last_zxid", l->last_zxid);
	jout_object_end(j, &in);
}

static bool is_observer(const struct peer_link *l)
{
	return l->observer && l->settled;
}

void members_observers(struct client_side *cs, struct jout *j)
{
	struct peer_link *l = calloc(LINKS_MAX, sizeof(*l));
	u32 n = l ? core_links(cs->core, l, LINKS_MAX) : 0, observers = 0;
	struct jout in;

	if (!l)
		j->out->err = -ENOMEM;
	for (u32 i = 0; i < n; i++)
		observers += is_observer(&l[i]);
	jout_field(j, "synced_observers", observers);
	jout_key(j, "observers");
	jout_array(j, &in);
	for (u32 i = 0; i < n; i++)
		if (is_observer(&l[i]))
			put_observer(j, &l[i]);
	jout_array_end(j, &in);
	free(l);
}
