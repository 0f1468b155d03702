// SPDX-License-Identifier: GPL-2.0-or-later
/* See drive.h. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/config.h"
#include "daemon/base/log.h"
#include "daemon/disk/disk.h"
#include "daemon/proto/zookeeper.h"
#include "daemon/store/store.h"
#include "selftests/fuzz/drive.h"

#define TURNS_MAX	100000	/* of one pump: then something never ends */
#define REPORT_US	200	/* between looks at the thread of the long words */
#define REPLY_MAX	(64 * 1024 * 1024)

struct link {
	int fd;
	bool closed;
	u8 *in;
	size_t at, len, cap;
};

static struct config cfg;
static struct store *st;
static struct disk *disk;
static struct core *core;
static struct client_side *side;
static struct link *witness, *links[16];
static u64 tidy_digest;
static u32 witness_xid, witness_version;

/* ------------------------------------------------------------ links */

struct link *wire_open(void)
{
	struct link *l = calloc(1, sizeof(*l));
	int sv[2];

	if (!l || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv))
		fuzz_fail("no socket");
	l->fd = sv[0];
	drive_client_take(side, sv[1]);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (links[i])
			continue;
		links[i] = l;
		return l;
	}
	fuzz_fail("too many links");
}

void wire_close(struct link *l)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (links[i] == l)
			links[i] = NULL;
	close(l->fd);
	free(l->in);
	free(l);
}

bool link_closed(const struct link *l)
{
	return l->closed;
}

/* Whether anything came. */
static bool link_receive(struct link *l)
{
	ssize_t n;

	if (l->closed)
		return false;
	if (l->at == l->len)
		l->at = l->len = 0;
	if (l->cap - l->len < 65536) {
		l->cap = 2 * l->cap + 65536;
		l->in = realloc(l->in, l->cap);
		if (!l->in || l->cap > 4UL * REPLY_MAX)
			fuzz_fail("an answer without end");
	}
	n = recv(l->fd, l->in + l->len, l->cap - l->len, 0);
	if (n > 0)
		l->len += n;
	else if (n == 0 || errno != EAGAIN)
		l->closed = true;
	return n >= 0;
}

const u8 *link_next(struct link *l, u32 *len)
{
	u32 n;

	if (l->len - l->at < 4)
		return NULL;
	n = jute_get32(l->in + l->at);
	if (n > REPLY_MAX)
		fuzz_fail("a frame longer than any answer");
	if (l->len - l->at - 4 < n)
		return NULL;
	*len = n;
	l->at += 4 + n;
	return l->in + l->at - n;
}

void wire_send(struct link *l, const void *p, size_t len)
{
	const char *at = p;
	bool moved = true;

	while (len && !l->closed) {
		ssize_t n = send(l->fd, at, len, MSG_NOSIGNAL);

		if (n > 0) {
			at += n;
			len -= n;
			moved = true;
		} else if (n < 0 && errno == EAGAIN && moved) {
			moved = false;
			drive_pump();
		} else {
			return;
		}
	}
}

void link_frame(struct link *l, const void *p, size_t len)
{
	u8 head[4];

	jute_put32(head, len);
	wire_send(l, head, 4);
	wire_send(l, p, len);
}

void link_login(struct link *l, u32 timeout_ms)
{
	u8 b[45] = { 0 };
	u32 len;

	jute_put32(b + 12, timeout_ms);
	jute_put32(b + 24, 16);
	link_frame(l, b, sizeof(b));
	drive_pump();
	if (!link_next(l, &len))
		fuzz_fail("no answer to a handshake");
	if (len != 37)
		fuzz_fail("a handshake's answer of the wrong length");
}

void drive_pump(void)
{
	bool more = true;

	for (u32 turns = 0; more; turns++) {
		if (turns > TURNS_MAX)
			fuzz_fail("it never ends");
		more = drive_client_turn(side);
		more |= drive_core_turn(core);
		more |= drive_client_turn(side);
		for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
			more |= links[i] && link_receive(links[i]);
		if (!more && drive_client_reports(side)) {
			usleep(REPORT_US);
			more = true;
		}
	}
}

/* ------------------------------------------------------------ the witness */

static struct jw ask;

static void ask_begin(s32 op, const char *path)
{
	ask.len = 0;
	jw_int(&ask, ++witness_xid);
	jw_int(&ask, op);
	jw_str(&ask, path, strlen(path));
}

/* The answer's error; @in: its body, good until the next question. */
static s32 ask_end(struct jr *in)
{
	const u8 *p;
	u32 len;

	link_frame(witness, ask.buf, ask.len);
	drive_pump();
	p = link_next(witness, &len);
	if (!p || len < 16)
		fuzz_fail("the witness has no answer");
	if (jute_get32(p) != witness_xid)
		fuzz_fail("the witness has a wrong answer");
	jr_init(in, p + 16, len - 16);
	return jute_get32(p + 12);
}

static void put_open_acl(void)
{
	jw_int(&ask, 1);
	jw_int(&ask, PERM_ALL);
	jw_str(&ask, "world", 5);
	jw_str(&ask, "anyone", 6);
}

static void witness_create(void)
{
	struct jr in;

	ask_begin(OP_CREATE, "/w");
	jw_str(&ask, "0000", 4);
	put_open_acl();
	jw_int(&ask, 0);
	if (ask_end(&in))
		fuzz_fail("the witness cannot create");
	witness_version = 0;
}

static void witness_read(void)
{
	struct jstr data;
	char want[16];
	struct jr in;
	s32 err;

	ask_begin(OP_GETDATA, "/w");
	jw_bool(&ask, false);
	err = ask_end(&in);
	if (err == ZNONODE) {
		witness_create();
		return;
	}
	data = jr_str(&in);
	snprintf(want, sizeof(want), "%04u", witness_version % 10000);
	if (err || in.err || jr_left(&in) != ZK_STAT_LEN)
		fuzz_fail("the witness cannot read");
	/* another may have written it, but then with another version */
	if (jute_get32(in.p + 32) == witness_version &&
	    (data.len != 4 || memcmp(data.p, want, 4)))
		fuzz_fail("the witness reads what it did not write");
	witness_version = jute_get32(in.p + 32);
}

static void witness_write(void)
{
	char data[16];
	struct jr in;

	snprintf(data, sizeof(data), "%04u", (witness_version + 1) % 10000);
	ask_begin(OP_SETDATA, "/w");
	jw_str(&ask, data, 4);
	jw_int(&ask, witness_version);
	if (ask_end(&in))
		fuzz_fail("the witness cannot write");
	witness_version++;
}

static void witness_login(void)
{
	static const u8 auth[] = "\xff\xff\xff\xfc\0\0\0\x64\0\0\0\0\0\0\0\6digest"
				 "\0\0\0\x0asuper:fuzz";
	const u8 *p;
	u32 len;

	witness = wire_open();
	link_login(witness, 1000000);
	link_frame(witness, auth, sizeof(auth) - 1);
	drive_pump();
	p = link_next(witness, &len);
	if (!p || len != 16 || jute_get32(p + 12))
		fuzz_fail("the witness is no super user");
}

/* ------------------------------------------------------------ tidying */

static bool belongs(const char *path)
{
	return !strcmp(path, "/w") || !strcmp(path, "/zookeeper") ||
	       !strcmp(path, "/zookeeper/quota") || !strcmp(path, "/zookeeper/config");
}

static void drop_below(const char *path);

static void drop(const char *path)
{
	struct jr in;
	s32 err;

	drop_below(path);
	if (belongs(path))
		return;
	ask_begin(OP_DELETE, path);
	jw_int(&ask, -1);
	err = ask_end(&in);
	if (err && err != ZNONODE)	/* ephemerals go by themselves */
		fuzz_fail("the witness cannot delete");
}

static void drop_below(const char *path)
{
	struct jr in;
	s32 n, err;
	u8 *list;

	ask_begin(OP_GETCHILDREN, path);
	jw_bool(&ask, false);
	err = ask_end(&in);
	if (err == ZNONODE)
		return;
	if (err)
		fuzz_fail("the witness cannot list");
	list = malloc(jr_left(&in) + 1);
	if (!list)
		fuzz_fail("no memory");
	memcpy(list, in.p, jr_left(&in));
	jr_init(&in, list, jr_left(&in));
	for (n = jr_int(&in); n > 0; n--) {
		struct jstr name = jr_str(&in);
		char *child;

		if (asprintf(&child, "%s/%.*s", path[1] ? path : "", name.len, name.p) < 0)
			fuzz_fail("no memory");
		drop(child);
		free(child);
	}
	if (in.err)
		fuzz_fail("the witness's list is broken");
	free(list);
}

static void open_root(void)
{
	struct jr in;

	ask_begin(OP_SETACL, "/");
	put_open_acl();
	jw_int(&ask, -1);
	if (ask_end(&in))
		fuzz_fail("the witness cannot open the root");
}

static u64 digest_now(void)
{
	struct store_info info;

	if (st->ops->info(st, &info))
		fuzz_fail("no digest");
	return info.digest;
}

void drive_check(void)
{
	drive_pump();
	if (drive_client_conns(side) != 1)
		fuzz_fail("connections are left");
	witness_read();
	if (digest_now() != tidy_digest) {
		witness_write();
		drop_below("/");
		open_root();
		tidy_digest = digest_now();
	}
}

/* ------------------------------------------------------------ start */

static void configure(void)
{
	const char *dir = fuzz_dir();

	if (config_default(&cfg))
		fuzz_fail("no configuration");
	free(cfg.data_dir);
	free(cfg.data_log_dir);
	free(cfg.fourlw_whitelist);
	cfg.data_dir = strdup(dir);
	cfg.data_log_dir = strdup(dir);
	cfg.super_digest = strdup("super:PpJYQIh8CZiU7MLBLuTllgjebgA=");
	cfg.fourlw_whitelist = strdup("*");
	cfg.tick_ms = 100;
	cfg.min_session_ms = 200;
	cfg.max_session_ms = 1000000;
	cfg.extended_types = true;
	cfg.max_client_cnxns = 0;
	cfg.io_threads = 1;
}

void drive_start(void)
{
	const struct store_params sp = { .kind = "memory", .label = "fuzz" };
	struct disk_recovery rec;
	const char *text = "";
	char why[512];

	if (core)
		return;
	log_set_level(getenv("FUZZ_LOG") ? LOG_DEBUG : LOG_ERROR);
	store_thread_init();
	configure();
	const struct disk_params dp = {
		.data_dir = cfg.data_dir, .log_dir = cfg.data_log_dir,
		.prealloc_bytes = cfg.prealloc_bytes, .max_txn_bytes = 1 << 30,
	};
	if (disk_open(&dp, &disk, why, sizeof(why)) || store_open(&sp, &st, &text) ||
	    disk_recover(disk, st, &rec, why, sizeof(why)))
		fuzz_fail("no store");
	free(rec.sessions);
	core = drive_core_new(&cfg, st, disk, &rec);
	side = drive_client_new(&cfg, core, st, disk);
	jw_init(&ask, 0);
	witness_login();
	witness_create();
	tidy_digest = digest_now();
}
