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
	char *host;		/* a name as written, or an address without [] and as Java
				 * writes it (0:0:0:0:0:0:0:1) */
	u16 quorum_port;
	u16 election_port;
};

struct peer {
	u64 id;
	bool observer;
	u64 weight;		/* 1 unless groups are in use */
	bool grouped;		/* is in a group: */
	u64 group;		/* 0: none, or the group 0 */
	u32 n_addrs;
	struct peer_addr addrs[PEER_ADDRS_MAX];
	char *client_host;	/* NULL: no address for clients is given; "0.0.0.0": by its
				 * port alone */
	u16 client_port;	/* 0: none given */
};

struct peer_group {
	u64 id;
	u64 weight;		/* of all that are named in it */
};

struct ensemble {
	u32 refs;		/* atomic */
	u64 version;		/* zxid of the reconfig that made it; 0: from the file */
	bool groups;		/* hierarchical: a majority of weights in a majority of
				 * groups with any weight */
	u32 n_groups;
	struct peer_group *group;
	char *text;		/* what ensemble_print() gives copies of */
	u32 n;
	struct peer peers[];	/* by id */
};

/* A set of server ids. */
struct idset {
	u64 bits[4];
};

/* An id that no server can have, as strangers may say one, is in no set. */
static inline void idset_add(struct idset *s, u64 id)
{
	if (id < 256)
		s->bits[id / 64] |= 1ULL << (id % 64);
}

static inline void idset_del(struct idset *s, u64 id)
{
	if (id < 256)
		s->bits[id / 64] &= ~(1ULL << (id % 64));
}

static inline bool idset_has(const struct idset *s, u64 id)
{
	return id < 256 && s->bits[id / 64] >> (id % 64) & 1;
}

/* An entry of a configuration. */
struct ensemble_line {
	const char *key;
	const char *value;
};

/*
 * From the entries of a dynamic configuration or of zoo.cfg, in their order; of entries
 * with the same key the last one holds. What is not server.N, group.N, weight.N or
 * version is passed over (and counted: the order of the text depends on it). Checked:
 * the forms (QuorumPeer.QuorumServer), ids of 0..254, that each participant has a group
 * if there are groups, that there is a participant. NULL and a sentence in @why that
 * names the key; there are no server.N at all: NULL as well.
 */
struct ensemble *ensemble_make(const struct ensemble_line *lines, u32 n, char *why,
			       size_t why_len);
/*
 * The same from the lines of a dynamic configuration or of zoo.cfg ("server.N=...",
 * "group.N=1:2:3", "weight.N=2", "version=hex"), @len bytes, by the rules of Java's
 * properties. NULL and a sentence in @why that names the key.
 */
struct ensemble *ensemble_parse(const char *text, size_t len, char *why, size_t why_len);
/*
 * The same; *@fault says what class of error it is to Java: -EINVAL (ConfigException),
 * -ERANGE (what is no number, or no port; observers alone: IllegalArgumentException), -ENOENT (no
 * server at all), -ENOMEM.
 */
struct ensemble *ensemble_parse_fault(const char *text, size_t len, char *why, size_t why_len,
				      int *fault);
/*
 * One server's line alone, "server.@id=@value" (QuorumServer's constructor): @p is filled
 * in, to be emptied with peer_clear(). -EINVAL, -ERANGE as above and a sentence; -ENOMEM.
 */
int peer_parse(u64 id, const char *value, struct peer *p, char *why, size_t why_len);
void peer_clear(struct peer *p);
struct ensemble *ensemble_get(struct ensemble *e);
void ensemble_put(struct ensemble *e);
/*
 * QuorumVerifier.toString(): what stands in NEWLEADER, in /zookeeper/config, in
 * notifications and in the dynamic file. malloc'ed; NULL: memory.
 */
char *ensemble_print(const struct ensemble *e);

/*
 * Puts @order, @n indices of @lines, into the order in which a java.util.Properties with
 * @n_keys entries walks them.
 */
void ensemble_hash_order(const struct ensemble_line *lines, u32 *order, u32 n, u32 n_keys);

const struct peer *ensemble_find(const struct ensemble *e, u64 id);
bool ensemble_votes(const struct ensemble *e, u64 id);	/* a participant of it */
u32 ensemble_voters(const struct ensemble *e);
/* Whether the participants in @s are a quorum; observers in it count for nothing. */
bool ensemble_quorum(const struct ensemble *e, const struct idset *s);

#endif
