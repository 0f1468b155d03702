// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkern ls: children of a znode; with -R the whole subtree. Over a device and
 * netlink a subtree is one moment (zkern_dump()); over TCP each list is its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

#define MAX_DEPTH	4096

static struct {
	struct zkern_want want;
	bool recursive;
	bool longer;
} opts;

static const struct option longs[] = {
	{ "recursive", no_argument, NULL, 'R' },
	{ "long", no_argument, NULL, 'l' },
	FRESH_LONGS,
	{ NULL, 0, NULL, 0 }
};

static bool opt(int c, const char *arg)
{
	switch (c) {
	case 'R':
		opts.recursive = true;
		return true;
	case 'l':
		opts.longer = true;
		return true;
	default:
		return fresh_opt(c, arg, &opts.want);
	}
}

/* What is listed, with what it is printed to. */
struct list {
	struct cli *cli;
	json_t *entries;	/* with --json */
};

static int entry(struct list *l, const char *name, const struct zkern_stat *st)
{
	char m[32];

	if (l->cli->json) {
		json_t *e = opts.longer ? json_pack("{ss so}", "name", name, "stat",
						    out_json_stat(st)) : json_string(name);

		return json_array_append_new(l->entries, e) ? -ENOMEM : 0;
	}
	if (opts.longer)
		printf("%8d %8d %8d %#18llx %s ", st->version,
		       st->data_len < 0 ? 0 : st->data_len, st->num_children,
		       (unsigned long long)st->ephemeral_owner, out_time(st->mtime, m));
	puts(name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *join(const char *path, const char *name)
{
	char *p;

	if (asprintf(&p, "%s/%s", path[1] ? path : "", name) < 0)
		return NULL;
	return p;
}

static int no_memory(void)
{
	cli_error("out of memory");
	return -ENOMEM;
}

/* The stats of all children: in one call at one zxid where the way offers that. */
static int long_stats(struct cli *cli, char **paths, size_t n, struct zkern_value *v)
{
	struct zkern_want want = { .flags = ZKERN_WANT_NODATA };
	size_t i;
	int err;

	if (zkern_via(cli->zk) == ZKERN_VIA_DEVICE && n <= ZKERN_READ_MAX) {
		err = zkern_get_many(cli->zk, (const char *const *)paths, n, &want, v);
		return err ? cli_failed(cli, err) : 0;
	}
	for (i = 0; i < n; i++) {
		v[i].err = zkern_exists(cli->zk, paths[i], NULL, &v[i]);
		if (v[i].err && v[i].err != -ENOENT)
			return cli_failed(cli, v[i].err);
		if (v[i].err)
			v[i].err = -ENOENT;
	}
	return 0;
}

static int list_long(struct list *l, const char *path, struct zkern_children *c)
{
	struct zkern_value *v = calloc(c->count + 1, sizeof(*v));
	char **paths = calloc(c->count + 1, sizeof(*paths));
	int err = v && paths ? 0 : no_memory();
	size_t i;

	for (i = 0; !err && i < c->count; i++) {
		paths[i] = join(path, c->name[i]);
		if (!paths[i])
			err = no_memory();
	}
	if (!err)
		err = long_stats(l->cli, paths, c->count, v);
	/* One that went meanwhile is left out. */
	for (i = 0; !err && i < c->count; i++)
		if (!v[i].err)
			err = entry(l, c->name[i], &v[i].stat);
	for (i = 0; paths && i < c->count; i++)
		free(paths[i]);
	free(paths);
	free(v);
	return err;
}

static int list_one(struct list *l, const char *path, struct zkern_seen *seen)
{
	struct zkern_children c;
	size_t i;
	int err;

	err = zkern_children(l->cli->zk, path, &opts.want, &c);
	if (err)
		return cli_failed(l->cli, err);
	*seen = c.seen;
	if (c.count)
		qsort(c.name, c.count, sizeof(*c.name), by_name);
	if (opts.longer)
		err = list_long(l, path, &c);
	else
		for (i = 0; !err && i < c.count; i++)
			err = entry(l, c.name[i], NULL);
	zkern_children_free(&c);
	return err;
}

static int on_record(void *arg, const struct zkern_record *rec)
{
	return entry(arg, rec->path, &rec->stat);
}

/* Over TCP: a list a node, depth first. What goes meanwhile is passed over. */
static int walk(struct list *l, const char *path, struct zkern_seen *seen, int depth)
{
	struct zkern_children c;
	char *child;
	size_t i;
	int err;

	if (depth > MAX_DEPTH) {
		cli_error("%.200s...: deeper than %d", path, MAX_DEPTH);
		return -ELOOP;
	}
	err = zkern_children(l->cli->zk, path, &opts.want, &c);
	if (err == -ENOENT && depth)
		return 0;
	if (err)
		return cli_failed(l->cli, err);
	if (!depth)
		*seen = c.seen;
	err = entry(l, path, &c.stat);
	if (c.count)
		qsort(c.name, c.count, sizeof(*c.name), by_name);
	for (i = 0; !err && i < c.count; i++) {
		child = join(path, c.name[i]);
		err = child ? walk(l, child, seen, depth + 1) : no_memory();
		free(child);
	}
	zkern_children_free(&c);
	return err;
}

static int list_all(struct list *l, const char *path, struct zkern_seen *seen)
{
	int err;

	if (zkern_via(l->cli->zk) == ZKERN_VIA_TCP)
		return walk(l, path, seen, 0);
	if (opts.want.min_zxid || opts.want.max_age_ms || opts.want.flags) {
		struct zkern_value v;

		err = zkern_exists(l->cli->zk, path, &opts.want, &v);
		if (err)
			return cli_failed(l->cli, err);
	}
	err = zkern_dump(l->cli->zk, path, on_record, l, seen);
	return err ? cli_failed(l->cli, err) : 0;
}

static int run(struct cli *cli, int argc, char **argv)
{
	const char *path = argc ? argv[0] : "/";
	struct list l = { .cli = cli };
	struct zkern_seen seen;
	json_t *o;
	int err;

	err = cli_open_reader(cli);
	if (err)
		return err;
	fresh_timeout(cli, &opts.want);
	l.entries = cli->json ? json_array() : NULL;
	err = opts.recursive ? list_all(&l, path, &seen) : list_one(&l, path, &seen);
	if (err || !cli->json) {
		json_decref(l.entries);
		return err;
	}
	o = out_json(cli, path, &seen);
	if (!o || json_object_set_new(o, opts.recursive ? "paths" : "children", l.entries)) {
		json_decref(o);
		o = NULL;
	}
	return out_print_json(o);
}

const struct command cmd_ls = {
	.name = "ls",
	.args = "[PATH]",
	.summary = "list a znode's children",
	.help = "PATH is / if left out. Names are sorted, one a line.\n"
		"\n"
		"Options:\n"
		"  -R, --recursive the znode and all below it, as whole paths (sorted over TCP;\n"
		"                  over a device and netlink all of it at one zxid, each parent\n"
		"                  before its children)\n"
		"  -l, --long      before each name: version, bytes of data, children,\n"
		"                  ephemeral owner, time of the last change\n"
		FRESH_HELP
		"\n"
		"Examples:\n"
		"  zkern ls /app\n"
		"  zkern ls -l /app\n"
		"  zkern ls -R /app | wc -l\n",
	.shorts = "Rl",
	.longs = longs,
	.opt = opt,
	.min_args = 0,
	.max_args = 1,
	.run = run,
};
