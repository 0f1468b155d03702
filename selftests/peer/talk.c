// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server that does what it is told and tells what it hears: "peer --talk MYID FILE",
 * of the membership in FILE. For tests against Apache ZooKeeper. Commands are lines on
 * standard input, events lines on standard output; numbers are hexadecimal, bytes are
 * hexadecimal digits, "-" is null.
 *
 *	notify TO STATE LEADER ZXID ROUND EPOCH		vote FROM ... CONFIG
 *	lead | connect TO LINK | close LINK		up LINK | down LINK
 *	send LINK TYPE ZXID BYTES			packet LINK TYPE ZXID BYTES
 *	tree LINK | txn LINK				tree ZXID NODES | txn ZXID NODES
 *	receive LINK ZXID				received ZXID NODES
 *	config						config BYTES
 */
#include "selftests/peer/nodes.h"

#include <unistd.h>

#define LINE_LEN	65536

struct talk {
	struct node n;
	struct lan lan;
	struct try t;
	struct world w;
};

static void say_bytes(const void *p, s32 len)
{
	const u8 *b = p;

	if (len < 0)
		putchar('-');
	for (s32 i = 0; i < len; i++)
		printf("%02x", b[i]);
	putchar('\n');
	fflush(stdout);
}

/* In place; -1: null. */
static s32 read_bytes(char *s)
{
	u32 n = strlen(s) / 2, v;

	if (*s == '-')
		return -1;
	for (u32 i = 0; i < n; i++) {
		if (sscanf(s + 2 * i, "%2x", &v) != 1)
			break;
		s[i] = v;
	}
	return n;
}

static u64 nodes_of(struct store *st)
{
	struct store_info info;

	need(!st->ops->info(st, &info), "no info");
	return info.stats.nodes;
}

static void say(struct talk *t, struct peer_event *ev)
{
	struct disk_recovery r;

	switch (ev->type) {
	case PEER_VOTE:
		printf("vote %llx %x %llx %llx %llx %llx ", ev->from, ev->vote.state,
		       ev->vote.leader, ev->vote.zxid, ev->vote.round, ev->vote.epoch);
		say_bytes(ev->vote.config, ev->vote.config ? (s32)ev->vote.config_len : -1);
		break;
	case PEER_ABSENT:
		break;
	case PEER_LINK_UP:
	case PEER_LINK_DOWN:
		printf("%s %llx\n", ev->type == PEER_LINK_UP ? "up" : "down", ev->link);
		break;
	case PEER_PACKETS:
		printf("packet %llx %x %llx ", ev->link, ev->packet.type, ev->packet.zxid);
		say_bytes(ev->packet.data, ev->packet.len);
		break;
	case PEER_RECEIVED:
		if (disk_reload(t->t.d, t->t.st, &r, t->t.why, sizeof(t->t.why))) {
			printf("failed %s\n", t->t.why);
			break;
		}
		free(r.sessions);
		printf("received %llx %llx\n", ev->zxid, nodes_of(t->t.st));
		break;
	case PEER_RECEIVE_FAILED:
		printf("failed %s\n", strerror(-ev->err));
		break;
	}
	fflush(stdout);
}

static void *hear(void *arg)
{
	struct talk *t = arg;
	struct peer_event *ev;

	store_thread_init();
	for (;;) {
		ev = node_take(&t->n, ANY_EVENT, ~0ULL);
		if (ev)
			say(t, ev);
		peer_event_free(t->n.p, ev);
	}
	return NULL;
}

static void say_notify(struct talk *t, const char *line)
{
	static const char config[] = "version=0";
	struct zab_vote v = { .config = config, .config_len = sizeof(config) - 1 };
	struct zab_bytes *b;
	struct jw w;
	u64 to;

	need(sscanf(line, "notify %llx %x %llx %llx %llx %llx", &to, (unsigned int *)&v.state,
		    &v.leader, &v.zxid, &v.round, &v.epoch) == 6, "notify");
	jw_init(&w, 0);
	zab_vote_write(&w, &v);
	b = malloc(sizeof(*b) + w.len);
	need(b && !w.err, "no memory");
	b->refs = 1;
	b->len = w.len;
	memcpy(b->bytes, w.buf, w.len);
	jw_free(&w);
	need(!peer_notify(t->n.p, to, b), "no memory");
	zab_bytes_put(b);
}

static void tree(struct talk *t, u64 link)
{
	struct store_snap *snap;
	u64 zxid, digest, nodes;

	need(!t->w.st->ops->snap_open(t->w.st, &snap, &zxid, &digest, &nodes), "no snapshot");
	need(!peer_send_tree(t->n.p, link, zxid, t->w.st, snap, NULL, 0), "no memory");
	printf("tree %llx %llx\n", zxid, nodes);
	fflush(stdout);
	t->w.zxid = 0x200000000ULL;
}

static void txn(struct talk *t, u64 link)
{
	struct txn *x = world_next(&t->w);

	need(!peer_send_txn(t->n.p, link, ZP_PROPOSAL, x), "no memory");
	send_packet(&t->n, link, ZP_COMMIT, x->zxid, NULL, -1);
	printf("txn %llx %llx\n", x->zxid, nodes_of(t->w.st));
	fflush(stdout);
	txn_put(x);
}

static void obey(struct talk *t, char *line)
{
	u64 a = 0, b = 0;
	char *text, *bytes;
	u32 type;
	s32 len;

	line[strcspn(line, "\n")] = 0;
	if (!strncmp(line, "notify ", 7)) {
		say_notify(t, line);
	} else if (!strcmp(line, "lead")) {
		need(!peer_lead(t->n.p, PEER_PORT_QUORUM), "no memory");
	} else if (!strcmp(line, "config")) {
		text = ensemble_print(t->lan.e);
		printf("config ");
		say_bytes(text, strlen(text));
		free(text);
	} else if (sscanf(line, "connect %llx %llx", &a, &b) == 2) {
		need(!peer_connect(t->n.p, a, b, false), "no memory");
	} else if (sscanf(line, "send %llx %x %llx", &a, &type, &b) == 3) {
		bytes = strrchr(line, ' ') + 1;
		len = read_bytes(bytes);
		send_packet(&t->n, a, type, b, len < 0 ? NULL : bytes, len);
	} else if (sscanf(line, "tree %llx", &a) == 1) {
		tree(t, a);
	} else if (sscanf(line, "txn %llx", &a) == 1) {
		txn(t, a);
	} else if (sscanf(line, "receive %llx %llx", &a, &b) == 2) {
		need(!peer_receive(t->n.p, a, b), "no memory");
	} else if (sscanf(line, "close %llx", &a) == 1) {
		need(peer_close(t->n.p, a) >= 0, "no memory");
	} else {
		need(false, "no such command: %s", line);
	}
}

int talk(const char *id, const char *file)
{
	static char line[LINE_LEN];
	static struct talk t;
	char why[256];
	pthread_t thread;
	size_t len;
	u8 *text = read_file(file, &len);

	t.lan.e = ensemble_parse((char *)text, len, why, sizeof(why));
	need(t.lan.e, "%s", why);
	free(text);
	need(!try_open(&t.t, temp_dir()), "%s", t.t.why);
	try_start(&t.t);
	world_init(&t.w, 3);
	for (int i = 0; i < 3000; i++)
		txn_put(world_next(&t.w));
	node_init(&t.n, &t.lan, atoi(id));
	t.n.pp.disk = t.t.d;
	node_start(&t.n);
	need(!pthread_create(&thread, NULL, hear, &t), "no thread");
	while (fgets(line, sizeof(line), stdin))
		obey(&t, line);
	return 0;
}
