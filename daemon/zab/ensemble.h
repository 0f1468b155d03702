/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is in the ensemble, and which sets of them are quorums: QuorumPeerConfig's
 * server.N lines, QuorumMaj, QuorumHierarchical. Immutable once made and shared by
 * reference (atomic), so that the old and the new one can both be asked while a
 * reconfiguration is under way. No clock, socket, file or thread in here.
 */
#ifndef ZKD_ZAB_ENSEMBLE_H
#define ZKD_ZAB_ENSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define ENSEMBLE_MAX	255	/* servers; ids are 0..254 (EphemeralType) */
#define PEER_ADDRS_MAX	8	/* addresses of one server ("a|b") */

struct peer_addr {
	char *host;		/* as written: a name, or an address without [] */
	u16 quorum_port;
	u16 election_port;
};

struct peer {
	u64 id;
	bool observer;
	u64 weight;		/* 1 unless groups are in use */
	u64 group;		/* 0: none */
	u32 n_addrs;
	struct peer_addr addrs[PEER_ADDRS_MAX];
	char *client_host;	/* NULL: none given */
	u16 client_port;	/* 0: none given */
};

struct ensemble {
	u32 refs;		/* atomic */
	u64 version;		/* zxid of the reconfig that made it; 0: from the file */
	bool groups;		/* hierarchical: a majority of weights in a majority of
				 * groups with any weight */
	u32 n;
	struct peer peers[];	/* by id */
};

/* A set of server ids. */
struct idset {
	u64 bits[4];
};

static inline void idset_add(struct idset *s, u64 id)
{
	s->bits[id / 64] |= 1ULL << (id % 64);
}

static inline bool idset_has(const struct idset *s, u64 id)
{
	return id < 256 && s->bits[id / 64] >> (id % 64) & 1;
}

/*
 * From the lines of a dynamic configuration or of zoo.cfg ("server.N=...",
 * "group.N=1:2:3", "weight.N=2", "version=hex"), @len bytes; other lines are passed
 * over. NULL and a sentence in @why that names the line.
 */
struct ensemble *ensemble_parse(const char *text, size_t len, char *why, size_t why_len);
struct ensemble *ensemble_get(struct ensemble *e);
void ensemble_put(struct ensemble *e);
/*
 * QuorumVerifier.toString(): what stands in NEWLEADER, in /zookeeper/config, in
 * notifications and in the dynamic file. malloc'ed; NULL: memory.
 */
char *ensemble_print(const struct ensemble *e);

const struct peer *ensemble_find(const struct ensemble *e, u64 id);
bool ensemble_votes(const struct ensemble *e, u64 id);	/* a participant of it */
u32 ensemble_voters(const struct ensemble *e);
/* Whether the participants in @s are a quorum; observers in it count for nothing. */
bool ensemble_quorum(const struct ensemble *e, const struct idset *s);

#endif
