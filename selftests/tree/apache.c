// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a log of Apache ZooKeeper 3.8.0 said: transactions of every kind, as kazoo and
 * zkCli made them against a single server, each with the digest of the whole tree that
 * the server logged after it (TxnDigest, version 2).
 */
#include "zt.h"

#define OPEN "\000\000\000\001\000\000\000\037\000\000\000\005world\000\000\000\006anyone"
#define ACL1 "\000\000\000\001\000\000\000\037\000\000\000\006digest\000\000\000\037me:xlpJGzVhaayvpHfFn/RwowgwqI4="
#define ACL2 "\000\000\000\002\000\000\000\001\000\000\000\005world\000\000\000\006anyone\000\000\000\037\000\000\000\005world\000\000\000\006anyone"
#define ACL3 "\000\000\000\001\000\000\000\035\000\000\000\005world\000\000\000\006anyone"
#define ACL4 "\000\000\000\001\000\000\000\037\000\000\000\002ip\000\000\000\011127.0.0.1"

#define MAX_OPS	6

struct fact_op {
	enum zk_op_type type;
	const char *path;
	u32 path_len;
	const char *data;
	s32 data_len;
	const char *acl;
	u32 acl_len;
	u64 owner;
	s32 number;	/* pcversion or version */
};

struct fact {
	u64 zxid;
	s64 time;
	u64 digest;
	u32 n_ops;
	struct fact_op op[MAX_OPS];
};

#define CREATE(p, d, a, o, n) \
	{ .type = ZK_OP_CREATE, .path = (p), .path_len = sizeof(p) - 1, .data = (d), \
	  .data_len = sizeof(d) - 1, .acl = (a), .acl_len = sizeof(a) - 1, .owner = (o), \
	  .number = (n) }
#define DELETE(p) \
	{ .type = ZK_OP_DELETE, .path = (p), .path_len = sizeof(p) - 1 }
#define SET(p, d, n) \
	{ .type = ZK_OP_SETDATA, .path = (p), .path_len = sizeof(p) - 1, .data = (d), \
	  .data_len = sizeof(d) - 1, .number = (n) }
#define SETACL(p, a, n) \
	{ .type = ZK_OP_SETACL, .path = (p), .path_len = sizeof(p) - 1, .acl = (a), \
	  .acl_len = sizeof(a) - 1, .number = (n) }
#define CLOSE(id) \
	{ .type = ZK_OP_CLOSE, .owner = id }

#define FACT(z, t, d, n, ...) \
	{ .zxid = z, .time = t, .digest = d, .n_ops = n, .op = { __VA_ARGS__ } }

static const struct fact facts[] = {
	FACT(1, 1795361218156LL, 1371985504ULL, 0),
	FACT(2, 1795361218178LL, 1371985504ULL, 0),
	FACT(3, 1795361218183LL, 6191810537ULL, 1,
	     CREATE("/app", "hello", OPEN, 0, 1)),
	FACT(4, 1795361218209LL, 8070994716ULL, 1,
	     CREATE("/app/a", "", OPEN, 0, 1)),
	FACT(5, 1795361218213LL, 7499878461ULL, 1,
	     CREATE("/app/b", "bb", OPEN, 0, 2)),
	FACT(6, 1795361218217LL, 11103550748ULL, 1,
	     CREATE("/app/e1", "eph", OPEN, 0x100002d489e0001, 3)),
	FACT(7, 1795361218220LL, 12555713253ULL, 1,
	     CREATE("/app/e2", "eph2", OPEN, 0x100002d489e0001, 4)),
	FACT(8, 1795361218223LL, 14651807240ULL, 1,
	     CREATE("/app/seq-0000000004", "s", OPEN, 0x100002d489e0001, 5)),
	FACT(9, 1795361218227LL, 17488182600ULL, 1,
	     CREATE("/app/secret", "x", ACL1, 0, 6)),
	FACT(10, 1795361218233LL, 17832446975ULL, 1,
	     SET("/app/a", "one", 1)),
	FACT(11, 1795361218236LL, 18640735280ULL, 1,
	     SET("/app/a", "two", 2)),
	FACT(12, 1795361218239LL, 18064571676ULL, 1,
	     SET("/app", "changed", 1)),
	FACT(13, 1795361218242LL, 18446584031ULL, 1,
	     SETACL("/app/b", ACL2, 1)),
	FACT(14, 1795361218255LL, 27458352600ULL, 6,
	     CREATE("/app/m1", "1", OPEN, 0, 7),
	     SET("/app/a", "three", 3),
	     CREATE("/app/m1/kid", "2", OPEN, 0, 1),
	     DELETE("/app/b"),
	     CREATE("/app/b", "again", OPEN, 0, 8),
	     SET("/", "rootdata", 1)),
	FACT(15, 1795361218270LL, 27458352600ULL, 0),
	FACT(16, 1795361218277LL, 24950989574ULL, 1,
	     DELETE("/app/m1/kid")),
	FACT(17, 1795361218282LL, 26848787085ULL, 1,
	     SET("/", "rd2", 2)),
	FACT(18, 1795361218287LL, 26848787085ULL, 1,
	     CREATE("/zookeeper/quota/app", "q", OPEN, 0, 1)),
	FACT(19, 1795361218289LL, 26848787085ULL, 1,
	     SET("/zookeeper/quota", "zz", 1)),
	FACT(20, 1795361218291LL, 23701643416ULL, 1,
	     CREATE("/caf\303\251", "\303\274", OPEN, 0, 2)),
	FACT(21, 1795361218293LL, 12735925220ULL, 1,
	     CLOSE(0x100002d489e0001)),
	FACT(22, 1795361218597LL, 16746502472ULL, 1,
	     CREATE("/app/after", "", OPEN, 0, 9)),
	FACT(23, 1795361218604LL, 16746502472ULL, 1,
	     CLOSE(0x100002d489e0000)),
	FACT(24, 1795361240663LL, 16746502472ULL, 0),
	FACT(25, 1795361240671LL, 21333393341ULL, 1,
	     CREATE("/app/cont", "c1", OPEN, ZK_OWNER_CONTAINER, 10)),
	FACT(26, 1795361240677LL, 21318648208ULL, 1,
	     CREATE("/app/cont/k", "v", OPEN, 0, 1)),
	FACT(27, 1795361240683LL, 23063301776ULL, 1,
	     CREATE("/app/ttl", "t1", OPEN, ZK_OWNER_TTL_MASK | 100000000, 11)),
	FACT(28, 1795361240691LL, 23741032601ULL, 1,
	     CREATE("/app/ttls-0000000011", "t2", OPEN, ZK_OWNER_TTL_MASK | 90000, 12)),
	FACT(29, 1795361240695LL, 23450254428ULL, 1,
	     SETACL("/", ACL3, 1)),
	FACT(30, 1795361240699LL, 21961315417ULL, 1,
	     SET("/app/cont", "c2", 1)),
	FACT(31, 1795361240701LL, 21961315417ULL, 0),
	FACT(32, 1795361240707LL, 22250399768ULL, 1,
	     SETACL("/app/cont", ACL4, 1)),
	FACT(33, 1795361240710LL, 20659064769ULL, 1,
	     DELETE("/app/cont/k")),
	FACT(34, 1795361240713LL, 20659064769ULL, 1,
	     CLOSE(0x100002d489e0002)),
};

static const char * const initial[] = {
	"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config",
};

/* As new ZooKeeperServers begin: DataTree's constructor. */
static void load_initial(struct zk_tree *tree)
{
	struct zk_view view;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(initial); i++) {
		memset(&view, 0, sizeof(view));
		view.crc = zt_crc(initial[i], strlen(initial[i]), NULL, 0);
		zt_equal(zk_tree_load(tree, initial[i], strlen(initial[i]), &view,
				      zt_acls[0].jute, zt_acls[0].len), 0);
	}
	zt_equal(zk_tree_load_done(tree, 0), 0);
}

static struct zk_op op_of(const struct fact_op *f)
{
	struct zk_op op = {
		.type = f->type,
		.version = f->number,
		.pcversion = f->number,
		.path = f->path,
		.path_len = f->path_len,
		.data = f->data,
		.data_len = f->data_len,
		.acl = (const u8 *)f->acl,
		.acl_len = f->acl_len,
		.owner = f->owner,
	};

	op.crc = zt_crc(f->path, f->path_len, f->data, f->data_len);
	return op;
}

void zt_apache_log(void)
{
	struct zk_tree *tree = zt_tree(0);
	struct zk_link_result res;
	struct zk_op op[MAX_OPS];
	struct zk_txn txn = { .ops = op };
	u32 i, j;

	load_initial(tree);
	for (i = 0; i < ARRAY_SIZE(facts) && !zt_failed(); i++) {
		txn.zxid = facts[i].zxid;
		txn.time = facts[i].time;
		txn.n_ops = facts[i].n_ops;
		for (j = 0; j < txn.n_ops; j++)
			op[j] = op_of(&facts[i].op[j]);
		zt_equal(zk_tree_apply(tree, &txn, &res), 0);
		zt_equal(res.digest, facts[i].digest);
	}
	zt_verify(tree);
	zt_tree_done(tree);
}
