/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree of the main instance: what its owner (owner.c) keeps true at each zxid, so that
 * who reads can tell a right answer from a wrong one without asking.
 *
 *   /g0 ... /g7    groups: MEMBERS nodes /gN/M each, all of them set by one transaction, to
 *                  text_of() that zxid. So: all of a group have one mzxid, and any node's
 *                  data follows from its mzxid.
 *   /list          always LISTED children, numbered without a gap: a transaction takes the
 *                  first away and adds one behind the last
 *   /live          ephemerals, in batches of BATCH that come in one transaction and go with
 *                  their session
 *   /private       readable to uid USER_A or USER_B alone, now the one, now the other; its
 *                  data says whose it is
 */
#ifndef MODEL_H
#define MODEL_H

#include "stress.h"

#define GROUPS		8
#define MEMBERS		5
#define LISTED		150
#define BATCH		4
#define USER_A		1000
#define USER_B		1001

/*
 * What is published for sure: an answer to whoever asks after this was raised has it.
 * empty is odd while, and changes when, nobody but the owner can see the tree.
 */
extern _Atomic uint64_t published, group_published[GROUPS];
extern _Atomic unsigned int empty;

/* Whose /private is at @zxid, one of the last PRIVATE_KEPT that may be published. */
#define PRIVATE_KEPT	65536
uint32_t private_at(uint64_t zxid);
void private_note(uint64_t zxid, uint32_t uid);

/* The length of the data that a member of @group has since @zxid. */
uint32_t text_len(int group, uint64_t zxid);
/* The data itself: @len bytes. */
void text_of(uint64_t zxid, uint32_t len, uint8_t *buf);
/* Is it? */
bool text_is(uint64_t zxid, uint32_t len, const uint8_t *buf);

/*
 * The group that @path (@len bytes, or whole in the other one) is a member of, or -1.
 */
int group_of(const char *path, uint32_t len);

/* Is what was shown of a group's member what it was set to by mzxid? Else it is wrong(). */
void check_member(struct worker *w, int group, const struct zkern_stat *stat,
		  const uint8_t *data, uint32_t len);

/* What a dump has shown so far. */
struct picture {
	uint64_t zxid;
	uint64_t group_zxid[GROUPS];
	uint32_t members[GROUPS];
	uint32_t listed, live, nodes;
	uint32_t first, last;		/* of those listed */
};

void picture_begin(struct picture *p, uint64_t zxid);
/* One node of it: @data NULL if it was withheld or left out. */
void picture_node(struct worker *w, struct picture *p, const char *path, uint32_t path_len,
		  const struct zkern_stat *stat, const uint8_t *data, uint32_t len);
/* Its end: is it all there? */
void picture_end(struct worker *w, struct picture *p);

/* The number of a child of /list by its name, without a final NUL; or -1. */
int64_t listed_number(const char *name, uint32_t len);

/*
 * Brackets of a read: what was published and visible before it, to be compared with what
 * the read showed. hidden_since(): the tree may have been EMPTY meanwhile.
 */
struct before {
	uint64_t zxid;
	uint64_t group_zxid;
	unsigned int empty;
};

struct before before_read(int group);
bool hidden_since(const struct before *b);
/* The zxid of an answer through w->fd, asked for after before_read(). */
void check_zxid(struct worker *w, const struct before *b, uint64_t zxid);

#endif
