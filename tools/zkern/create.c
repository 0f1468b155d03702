// SPDX-License-Identifier: GPL-2.0-or-later
/* zkern create: makes a znode. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

#define MAX_ACLS	64
#define MAX_TTL_MS	0xffffffffffULL	/* 40 bits: EphemeralType.java */

static struct {
	struct zkern_create_params p;
	struct zkern_acl acl[MAX_ACLS];
	const char *file;
	bool parents;
	bool null;
} opts;

enum { OPT_ACL = 1100, OPT_NULL };

static const struct option longs[] = {
	{ "ephemeral", no_argument, NULL, 'e' },
	{ "sequential", no_argument, NULL, 's' },
	{ "container", no_argument, NULL, 'c' },
	{ "ttl", required_argument, NULL, 't' },
	{ "parents", no_argument, NULL, 'p' },
	{ "file", required_argument, NULL, 'f' },
	{ "acl", required_argument, NULL, OPT_ACL },
	{ "null", no_argument, NULL, OPT_NULL },
	{ NULL, 0, NULL, 0 }
};

static bool perms(const char *s, uint32_t *bits)
{
	static const char letters[] = "rwcda";	/* in the order of the bits */
	const char *l;

	for (*bits = 0; *s; s++) {
		l = strchr(letters, *s);
		if (!l)
			return false;
		*bits |= 1U << (l - letters);
	}
	return *bits;
}

/* SCHEME:ID:PERMS; the id may hold colons. */
static bool add_acl(const char *arg)
{
	struct zkern_acl *a = &opts.acl[opts.p.n_acl];
	char *copy, *id, *p;

	if (opts.p.n_acl == MAX_ACLS) {
		cli_error("--acl: more than %d", MAX_ACLS);
		return false;
	}
	copy = strdup(arg);	/* lives as long as the command */
	id = copy ? strchr(copy, ':') : NULL;
	p = copy ? strrchr(copy, ':') : NULL;
	if (!id || p == id || id == copy || !perms(p + 1, &a->perms)) {
		free(copy);
		cli_error("--acl '%s': not SCHEME:ID:PERMS with PERMS of the letters cdrwa "
			  "(world:anyone:r)", arg);
		return false;
	}
	*id = '\0';
	*p = '\0';
	a->scheme = copy;
	a->id = id + 1;
	opts.p.acl = opts.acl;
	opts.p.n_acl++;
	return true;
}

static bool set_ttl(const char *arg)
{
	double ms = strtod(arg, NULL) * 1000;
	char *end;

	strtod(arg, &end);
	if (end == arg || *end || !(ms >= 1 && ms <= MAX_TTL_MS)) {
		cli_error("--ttl '%s': not a number of seconds", arg);
		return false;
	}
	opts.p.flags |= ZKERN_TTL;
	opts.p.ttl_ms = ms;
	return true;
}

static bool opt(int c, const char *arg)
{
	switch (c) {
	case 'e':
		opts.p.flags |= ZKERN_EPHEMERAL;
		return true;
	case 's':
		opts.p.flags |= ZKERN_SEQUENTIAL;
		return true;
	case 'c':
		opts.p.flags |= ZKERN_CONTAINER;
		return true;
	case 't':
		return set_ttl(arg);
	case 'p':
		opts.parents = true;
		return true;
	case 'f':
		opts.file = arg;
		return true;
	case OPT_ACL:
		return add_acl(arg);
	default:
		opts.null = true;
		return true;
	}
}

/* All of @path but its last name; those that are there are left as they are. */
static int make_parents(struct cli *cli, const char *path)
{
	char *p = strdup(path), *slash;
	int err = p ? 0 : -ENOMEM;

	if (err)
		cli_error("out of memory");
	for (slash = p ? strchr(p + 1, '/') : NULL; !err && slash;
	     slash = strchr(slash + 1, '/')) {
		struct zkern_value v;

		*slash = '\0';
		err = zkern_exists(cli->zk, p, NULL, &v);
		if (err == -ENOENT)
			err = zkern_create(cli->zk, p, "", 0, NULL, NULL, NULL);
		if (err == -EEXIST)	/* somebody was faster */
			err = 0;
		if (err)
			cli_failed(cli, err);
		*slash = '/';
	}
	free(p);
	return err;
}

/* An ephemeral lives as long as its session, so as long as we do. */
static int hold(struct cli *cli)
{
	struct zkern_event ev;
	int n;

	/* the device's file is the session: nothing is to be done for it */
	while (zkern_via(cli->zk) == ZKERN_VIA_DEVICE && !cli_stop)
		sleep(1);
	while (!cli_stop) {
		n = zkern_next_event(cli->zk, -1, &ev);
		if (n == -EINTR)
			continue;
		if (n < 0)
			return cli_failed(cli, n);
		if (ev.type == ZKERN_EVENT_SESSION && ev.state == ZKERN_SESSION_DISCONNECTED)
			cli_error("connection lost, connecting again");
		zkern_event_free(&ev);
	}
	return 0;
}

static int print(struct cli *cli, const char *path, const struct zkern_value *v)
{
	json_t *o;

	if (!cli->json) {
		puts(path);
		fflush(stdout);
		return 0;
	}
	o = out_json(cli, path, &v->seen);
	if (o && json_object_set_new(o, "stat", out_json_stat(&v->stat))) {
		json_decref(o);
		o = NULL;
	}
	return out_print_json(o);
}

static int create(struct cli *cli, const char *path, const char *data, size_t len)
{
	struct zkern_value v;
	char *made;
	int err;

	if (opts.p.flags & ZKERN_EPHEMERAL)
		cli_catch_signals();
	err = zkern_create(cli->zk, path, data, len, &opts.p, &made, &v);
	if (err == -ENOENT && !opts.parents) {
		cli_error("%s: its parent does not exist (-p makes it)", path);
		return err;
	}
	if (err)
		return cli_failed(cli, err);
	err = print(cli, made, &v);
	free(made);
	if (!err && (opts.p.flags & ZKERN_EPHEMERAL))
		err = hold(cli);
	return err;
}

static int run(struct cli *cli, int argc, char **argv)
{
	size_t len = argc > 1 ? strlen(argv[1]) : 0;
	const char *data = argc > 1 ? argv[1] : "";
	char *read = NULL;
	int err;

	if ((argc > 1) + !!opts.file + opts.null > 1) {
		cli_error("create: give the data once: DATA, --file or --null");
		return -EINVAL;
	}
	if (opts.file) {
		err = cli_read_file(opts.file, &read, &len);
		if (err)
			return err;
		data = read;
	}
	err = cli_open_writer(cli);
	if (!err && opts.parents)
		err = make_parents(cli, argv[0]);
	if (!err)
		err = create(cli, argv[0], opts.null ? NULL : data, len);
	free(read);
	return err;
}

const struct command cmd_create = {
	.name = "create",
	.args = "PATH [DATA]",
	.summary = "make a znode",
	.help = "Prints the path that was made. Without DATA the znode is empty.\n"
		"\n"
		"Options:\n"
		"  -e, --ephemeral   it goes with the session: zkern stays until Ctrl-C and holds it\n"
		"  -s, --sequential  ten digits that only grow are put behind the name\n"
		"  -c, --container   it is removed once its last child is\n"
		"  -t, --ttl SEC     it is removed when childless and unchanged for so long\n"
		"  -p, --parents     make what is missing above it\n"
		"  -f, --file FILE   take the data from a file (-: standard input)\n"
		"      --null        null data, which is not empty data\n"
		"      --acl SCHEME:ID:PERMS\n"
		"                    who may do what (may be repeated); PERMS of r read,\n"
		"                    w write, c create, d delete, a admin\n"
		"\n"
		"Examples:\n"
		"  zkern create -p /app/db 'host=db1'\n"
		"  zkern create -s /queue/job- \"$payload\"\n"
		"  zkern --auth digest:me:secret create --acl auth::cdrwa /app/private x\n",
	.shorts = "esct:pf:",
	.longs = longs,
	.opt = opt,
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
