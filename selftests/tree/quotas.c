// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Quotas: what is counted, what is written, and the text it is written in. That the
 * figures are those of Apache ZooKeeper is told by selftests/protocol.
 */
#include "zt.h"
#include "track.h"

#define STATS	"/zookeeper/quota/a/zookeeper_stats"
#define LIMITS	"/zookeeper/quota/a/zookeeper_limits"

/* What the stats node says at @zxid, and that only its data has changed since @made. */
static bool says(struct zk_tree *tree, u64 zxid, u64 made, const char *text)
{
	struct zk_view view = { };
	struct zk_node *node;
	bool same;

	rcu_read_lock();
	node = zk_lookup(tree, STATS, strlen(STATS), zxid);
	same = node && zk_view(node, zxid, &view) && view.data_len == (s32)strlen(text) &&
	       !memcmp(view.data, text, strlen(text)) && view.stat.mzxid == made &&
	       !view.stat.version && view.crc == zt_crc(STATS, strlen(STATS), text, strlen(text));
	rcu_read_unlock();
	return same;
}

static bool now_says(struct zk_tree *tree, u64 made, const char *text)
{
	return says(tree, zk_tree_zxid(tree), made, text);
}

/* The stats are made at zxid 2. */
static struct zk_tree *with_quota(void)
{
	struct zk_tree *tree = zt_tree(0);
	struct zk_op op[] = {
		zt_create("/zookeeper", NULL, 0, 0),
		zt_create("/zookeeper/quota", NULL, 0, 0),
		zt_create("/zookeeper/quota/a", NULL, 0, 0),
		zt_create("/a", "1234", 4, 0),
		zt_create("/a/b", NULL, -1, 0),
		zt_create("/ab", "no", 2, 0),
	};
	struct zk_op quota[] = {
		zt_create(LIMITS, "count=1", 7, 0),
		zt_create(STATS, NULL, 0, 0),
	};

	zt_equal(zt_apply(tree, op, ARRAY_SIZE(op)), 0);
	zt_equal(zt_apply(tree, quota, ARRAY_SIZE(quota)), 0);
	zt_check(now_says(tree, 2, "count=2,bytes=4"));
	return tree;
}

void zt_quota(void)
{
	struct zk_tree *tree = with_quota();
	struct zk_pin pin = { .revocable = false };
	struct zk_op op[4];
	char path[32];
	u32 i;

	zk_pin_take(tree, &pin);
	op[0] = zt_create("/a/c", "123", 3, 0);
	op[1] = zt_set("/a", "1", 1, 1);
	op[2] = zt_delete("/a/b");
	zt_equal(zt_apply(tree, op, 3), 0);
	zt_check(now_says(tree, 2, "count=2,bytes=4"));
	for (i = 0; i < 1000; i++) {
		sprintf(path, "/a/c/%u", i);
		op[0] = zt_create(path, "x", 1, 5);
		zt_equal(zt_apply(tree, op, 1), 0);
	}
	zt_check(now_says(tree, 2, "count=1002,bytes=1004"));
	zt_check(says(tree, pin.zxid, 2, "count=2,bytes=4"));
	op[0] = (struct zk_op){ .type = ZK_OP_CLOSE, .owner = 5 };
	zt_equal(zt_apply(tree, op, 1), 0);
	zt_check(now_says(tree, 2, "count=2,bytes=4"));

	/* Refused: nothing of it. */
	op[0] = zt_create("/a/d", "123", 3, 0);
	op[1] = zt_delete("/none");
	zt_equal(zt_apply(tree, op, 2), -ENOENT);
	zt_check(now_says(tree, 2, "count=2,bytes=4"));
	/* Without limits nothing is counted, with them it goes on. */
	op[1] = zt_delete(LIMITS);
	op[2] = zt_create("/a/e", "123", 3, 0);
	zt_equal(zt_apply(tree, op, 3), 0);
	zt_check(now_says(tree, 2, "count=3,bytes=7"));
	op[0] = zt_create(LIMITS, NULL, -1, 0);
	op[1] = zt_delete("/a/d");
	zt_equal(zt_apply(tree, op, 2), 0);
	zt_check(now_says(tree, 2, "count=2,bytes=4"));
	zt_verify(tree);
	zk_pin_drop(tree, &pin);
	zt_tree_done(tree);
}

static void load(struct zk_tree *tree, const char *path, const char *data)
{
	struct zk_view view = { .data = data, .data_len = strlen(data) };

	view.crc = zt_crc(path, strlen(path), data, view.data_len);
	view.stat.czxid = 2;
	view.stat.mzxid = 2;
	view.stat.pzxid = 2;
	zt_equal(zk_tree_load(tree, path, strlen(path), &view, zt_acls[0].jute,
			      zt_acls[0].len), 0);
}

/* What a snapshot says is not believed; the log's transactions add to it. */
void zt_quota_load(void)
{
	struct zk_tree *tree = zt_tree(0);
	struct zk_op op = zt_create("/a/b/c", "12", 2, 0);
	struct zk_txn txn = { .zxid = 9, .flags = ZK_TXN_REPLAY, .n_ops = 1, .ops = &op };
	struct zk_link_result res;

	load(tree, "/zookeeper", "");
	load(tree, "/zookeeper/quota", "");
	load(tree, "/zookeeper/quota/zookeeper_limits", "");
	load(tree, "/zookeeper/quota/a", "");
	load(tree, LIMITS, "");
	load(tree, STATS, "count=700,bytes=junk");
	load(tree, "/a", "1234");
	load(tree, "/a/b", "5");
	zt_equal(zk_tree_apply(tree, &txn, &res), 0);
	zt_check(now_says(tree, 2, "count=3,bytes=7"));
	/* Again: it is there. */
	txn.zxid = 10;
	zt_equal(zk_tree_apply(tree, &txn, &res), 0);
	zt_equal(zk_tree_load_done(tree, 10), 0);
	zt_check(now_says(tree, 2, "count=3,bytes=7"));
	zt_verify(tree);
	zt_tree_done(tree);
}

static const struct {
	const char *in, *out;	/* out NULL: not to be parsed */
} texts[] = {
	{ "", "count=-1,bytes=-1" },
	{ "count=1,bytes=2", "count=1,bytes=2" },
	{ "bytes=2;;,count=1;", "count=1,bytes=2" },
	{ "count=1,bytes=2=;b=3;a=-4", "count=1,bytes=2=;a=-4;b=3" },
	{ "a=1,ab=2,A=3,a=5", "count=-1,bytes=-1=;A=3;a=5;ab=2" },
	{ "count==1", "count=-1,bytes=-1" },
	{ "=7", "count=-1,bytes=-1=;=7" },
	{ ";,;", "count=-1,bytes=-1" },
	{ "count=+0012", "count=12,bytes=-1" },
	{ "count=9223372036854775807,bytes=-9223372036854775808",
	  "count=9223372036854775807,bytes=-9223372036854775808" },
	{ "count=9223372036854775808", NULL },
	{ "count=-9223372036854775809", NULL },
	{ "count=99999999999999999999", NULL },
	{ "count", NULL },
	{ "count=", NULL },
	{ "=", NULL },
	{ ",count=1", NULL },
	{ "count=1 ", NULL },
	{ "count=-", NULL },
	{ "count=1x", NULL },
};

/* Whatever is parsed is printed, and what is printed is parsed and is the same. */
static void any_text(struct zt_rand *r)
{
	static const char set[] = "count=bytes=,;-+0189=aZ\x80";
	static char text[ZK_TRACK_TEXT], again[ZK_TRACK_TEXT];
	struct zk_track track;
	u32 len = zt_below(r, 60), n, i;

	for (i = 0; i < len; i++)
		text[i] = zt_below(r, 3) ? set[zt_below(r, sizeof(set) - 1)] : "=,"[i % 2];
	if (zk_track_parse(&track, text, len))
		return;
	n = zk_track_print(&track, zk_track_get(&track, "count"),
			   zk_track_get(&track, "bytes"), again);
	zt_equal(zk_track_parse(&track, again, n), 0);
	zt_equal(zk_track_print(&track, zk_track_get(&track, "count"),
				zk_track_get(&track, "bytes"), text), n);
	zt_check(!memcmp(text, again, n));
}

void zt_track(void)
{
	struct zt_rand r = { .state = zt_seed };
	struct zk_track track;
	char text[256];
	u32 i, len;
	int err;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		err = zk_track_parse(&track, texts[i].in, strlen(texts[i].in));
		if (!texts[i].out) {
			zt_equal(err, -EINVAL);
			continue;
		}
		zt_equal(err, 0);
		len = zk_track_print(&track, zk_track_get(&track, "count"),
				     zk_track_get(&track, "bytes"), text);
		zt_equal(len, strlen(texts[i].out));
		zt_check(!memcmp(text, texts[i].out, len));
	}
	zt_equal(zk_track_parse(&track, NULL, -1), -EINVAL);
	zt_equal(zk_track_parse(&track, text, ZK_TRACK_MAX + 1), -EINVAL);
	/* One key more than there may be. */
	for (i = 0; i <= ZK_TRACK_PAIRS; i++)
		sprintf(text + 5 * i, "%02u=1,", i);
	zt_equal(zk_track_parse(&track, text, 5 * ZK_TRACK_PAIRS), 0);
	zt_equal(track.n, ZK_TRACK_PAIRS);
	zt_equal(zk_track_parse(&track, text, 5 * ZK_TRACK_PAIRS + 4), -EINVAL);
	for (i = 0; i < 20000 && !zt_failed(); i++)
		any_text(&r);
}
