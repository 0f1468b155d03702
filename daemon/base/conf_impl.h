/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the configuration share: the tables of keys, and the state of
 * one reading. Only conf*.c include this.
 *
 *   config.c        the keys that are heeded, their defaults, what follows from them
 *   conf_foreign.c  the keys of ZooKeeper 3.8 that are not, and why
 *   conf_members.c  server.N and what belongs to it
 *   conf_value.c    one key's value into its field
 *   conf_read.c     a file and definitions, entry by entry
 *   conf_report.c   what was found, collected
 *   conf_suggest.c  "did you mean"
 *   conf_machine.c  zkernd --check: what only this machine can tell
 *   conf_print.c    zkernd --check and --keys: the output
 */
#ifndef ZKD_BASE_CONF_IMPL_H
#define ZKD_BASE_CONF_IMPL_H

#include <linux/types.h>
#include <stddef.h>

#include "daemon/base/config.h"

enum kind {
	STR,		/* char * */
	DIRECTORY,	/* char *, a path that should be absolute */
	NUM,		/* u32, @min..@max */
	NUM_LOW,	/* u32; what is below @min becomes @min, with a warning */
	KIB,		/* u64 bytes, given in KiB; not positive: 0 */
	SHARE,		/* double, @min..@max */
	BOOL,		/* true, false */
	YES,		/* bool: yes, no */
};

/* A key that is heeded. */
struct conf_key {
	const char *name;
	enum kind kind;
	size_t offset;		/* of its field in struct config */
	s64 min;
	s64 max;
};

/* An entry of the file, or a definition of the command line. */
struct conf_entry {
	char *key;		/* as it is written */
	char *value;
	int line;		/* 0: the command line's */
};

struct conf_entries {
	struct conf_entry *list;
	size_t n;
	struct config_report *rep;
};

/* One reading. */
struct conf_load {
	struct config *cfg;
	struct config_report *rep;
	const struct conf_entries *all;
	const struct conf_entry *entry;	/* the one being read; NULL: all are */
	int servers;			/* server.N, group.N, weight.N seen */
	bool together;			/* they make an ensemble */
	bool peer_type;			/* peerType seen; it says: */
	bool observer;
	bool port_given;
	bool secure_port;
	bool line_port;			/* the own server.N says the port */
};

/* A key whose value takes more than a kind. */
struct conf_special {
	const char *name;
	int (*set)(struct conf_load *l, const char *key, const char *value);
};

enum foreign_kind {
	IDLE,		/* nothing here that it could change: a note of --check */
	IGNORED,	/* asks for something that is not done: a warning */
	REFUSED,	/* going on without it would be less safe than asked for */
};

/* A key of ZooKeeper 3.8 that is not heeded; "name*" is every key beginning so. */
struct conf_foreign {
	const char *name;
	enum foreign_kind kind;
	const char *fine;	/* the value that is no matter; NULL: none */
	const char *why;
};

/* A name in the documentation that ZooKeeper 3.8 itself does not read. */
struct conf_alias {
	const char *name;
	const char *real;
};

extern const struct conf_key conf_keys[];
extern const size_t conf_n_keys;
extern const struct conf_special conf_specials[];
extern const size_t conf_n_specials;
extern const struct conf_foreign conf_foreigns[];
extern const size_t conf_n_foreigns;
extern const struct conf_alias conf_aliases[];
extern const size_t conf_n_aliases;

/* config.c: what one key's value says about another's, after all were read. */
int conf_settle(struct conf_load *l);
/* config.c: what is derived is forgotten, to be derived anew. */
void conf_unsettle(struct config *cfg);

/* conf_members.c: server.N, group.N, weight.N. */
bool conf_is_member(const char *key);
/* conf_members.c: what these, the dynamic file and myid make, after all were read. */
int conf_members(struct conf_load *l);
/* conf_members.c: the number in dataDir/myid; -errno or -EINVAL, and a sentence. */
int conf_read_myid(const struct config *cfg, s64 *id, char *why, size_t len);

/* conf_read.c: the entry that holds for @key (without prefix), or NULL. */
const struct conf_entry *conf_find(const struct conf_load *l, const char *key);
/* conf_read.c: @key without the prefix of system properties. */
const char *conf_plain(const char *key);
/* conf_read.c: the whole of @file, a megabyte at most, and room for a byte more behind
 * it; malloc'ed. -errno. */
int conf_read_file(const char *file, char **text, size_t *len);
/* conf_suggest.c: the known key that @key was meant to be, or NULL. */
const char *conf_suggest(const char *key);
/* conf_machine.c: what only this machine can tell: directories, devices, myid. */
int conf_check_machine(struct conf_load *l);

/*
 * conf_value.c. All answer 0, and -ENOMEM only when there is no memory: what is wrong
 * with a value goes into the report, and the reading goes on.
 */
int conf_set(struct conf_load *l, const struct conf_key *k, const char *value);
int conf_set_str(char **field, const char *value);
/* False, and reported, if it is not a number or not in @min..@max. */
bool conf_number(struct conf_load *l, const char *key, const char *value, s64 min, s64 max,
		 s64 *v);
/* False, and reported, if it is neither. */
bool conf_bool(struct conf_load *l, const char *key, const char *value, const char *yes,
	       const char *no, bool *v);

/* Adds a finding about @key at the line being read; -ENOMEM. */
int conf_say(struct conf_load *l, enum config_level level, const char *key, const char *fmt,
	     ...) __attribute__((format(printf, 4, 5)));
#define conf_wrong(l, key, ...)	conf_say(l, CONFIG_ERROR, key, __VA_ARGS__)

/* conf_report.c: more than so many findings are only counted. */
#define FINDINGS_MAX	1000

/* conf_report.c: the same, at a given line. */
int conf_report_add(struct config_report *rep, enum config_level level, int line,
		    const char *key, const char *text);

#endif
