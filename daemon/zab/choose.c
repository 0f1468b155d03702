// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whom an observer observes, and how long it waits before it looks for him again
 * (QuorumPeer.findLearnerMaster(), nextObserverMaster(), Observer.waitForReconnectDelay(),
 * waitForObserverElectionDelay()).
 *
 * Where observer masters are in use it is one of the voters that follow, in an order of
 * chance that is made anew with each membership; after a failure it is the next one's turn.
 * The leader does not serve on that port: when all the others were tried ROUNDS times in
 * vain, or there are none, it is asked on its quorum port (in 3.8 nobody is, and the observer
 * tries on for ever), and then they have their turns again.
 */
#include <string.h>

#include "daemon/zab/zab_impl.h"

#define ROUNDS	3

/* A number below @below, of the ones that follow from this life's chance (splitmix64). */
static u64 draw(struct zab *z, u64 below)
{
	u64 n = z->ch.seed += 0x9e3779b97f4a7c15ULL;

	n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9ULL;
	n = (n ^ n >> 27) * 0x94d049bb133111ebULL;
	return (n ^ n >> 31) % below;
}

void choose_init(struct zab *z)
{
	z->ch.seed = z->p.chance;
}

/* updateObserverMasterList() */
static void list_masters(struct zab *z)
{
	struct choice *c = &z->ch;

	c->n = 0;
	c->next = 0;
	c->version = z->e->version;
	for (u32 i = 0; i < z->e->n; i++)
		if (!z->e->peers[i].observer)
			c->ids[c->n++] = z->e->peers[i].id;
	for (u32 i = c->n; i > 1; i--) {
		u32 k = draw(z, i);
		u8 id = c->ids[i - 1];

		c->ids[i - 1] = c->ids[k];
		c->ids[k] = id;
	}
}

/* The next one who does not lead; false: all had their turn. */
static bool next_master(struct choice *c, u64 leader, u64 *id)
{
	while (c->next < c->n && c->ids[c->next] == leader)
		c->next++;
	if (c->next == c->n)
		return false;
	*id = c->ids[c->next++];
	return true;
}

u64 choose_master(struct zab *z, u64 leader, bool *master)
{
	struct choice *c = &z->ch;
	u64 id;

	*master = false;
	if (!z->observer || !z->p.masters)
		return leader;
	if (!c->n || c->version != z->e->version)
		list_masters(z);
	*master = next_master(c, leader, &id);
	if (!*master) {
		c->next = 0;
		*master = ++c->rounds < ROUNDS && next_master(c, leader, &id);
	}
	if (*master)
		return id;
	c->rounds = 0;
	return leader;
}

void choose_done(struct zab *z)
{
	z->ch.rounds = 0;
}

u64 choose_wait(struct zab *z)
{
	const struct choice *c = &z->ch;
	u64 wait = 0;

	if (!z->observer)
		return 0;
	if (z->p.election_delay_ms)
		wait += draw(z, z->p.election_delay_ms);
	if (z->p.reconnect_delay_ms && (!z->p.masters || !c->next || c->next >= c->n))
		wait += draw(z, z->p.reconnect_delay_ms);
	return wait;
}
