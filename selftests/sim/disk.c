// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A model of a server's disk (daemon/disk/disk.h as the core uses it). A transaction is
 * durable once the sync that began after it was appended has ended; a crash leaves any
 * beginning of what is not. Files for epochs, a cut log, a received tree: all or
 * nothing, at once.
 */
#include "selftests/sim/sim.h"

void image_put(struct image *im)
{
	if (!im || --im->refs)
		return;
	for (u32 i = 0; i < im->n; i++) {
		free(im->nodes[i].path);
		free(im->nodes[i].acl);
		free(im->nodes[i].data);
	}
	free(im->nodes);
	free(im->sessions);
	free(im);
}

u64 disk_model_last(const struct disk *d)
{
	return d->n ? d->log[d->n - 1]->zxid : d->base ? d->base->zxid : 0;
}

static u64 last_synced(const struct disk *d)
{
	return d->synced ? d->log[d->synced - 1]->zxid : d->base ? d->base->zxid : 0;
}

static void drop_from(struct disk *d, u32 n)
{
	while (d->n > n)
		txn_put(d->log[--d->n]);
	if (d->synced > n)
		d->synced = n;
	if (d->written > n)
		d->written = n;
}

/* ---------------------------------------------------------------- the log thread */

static void start_sync(struct disk *d);

static void sync_done(struct sim *s, struct happening *h)
{
	struct disk *d = &h->sv->disk;

	if (!h->sv->up || h->sv->life != h->life || !d->syncing)
		return;
	if (h->sv->paused_until > s->now) {
		happen(s, h->sv->paused_until - s->now, h->sv, sync_done, NULL, 0);
		return;
	}
	d->syncing = false;
	if (d->dying) {
		tell(s, "an fsync of server %llu fails", h->sv->id);
		s->counts.fsync_errors++;
		d->dying = false;
		d->broken = true;
		d->refused = true;
		d->failed(d->arg, -EIO, "fsync failed");
		server_wake(h->sv, 0);
		return;
	}
	if (d->failing) {
		drop_from(d, d->synced);
		if (!d->refused)
			d->failed(d->arg, -ENOSPC, "the disk is full");
		d->refused = true;
		server_wake(h->sv, 0);
		return;
	}
	if (d->written > d->synced) {
		d->synced = d->written;
		d->durable(d->arg, last_synced(d));
		server_wake(h->sv, 0);
	}
	start_sync(d);
}

static void start_sync(struct disk *d)
{
	struct sim *s = d->sv->sim;

	if (d->syncing || d->broken || d->n == d->synced)
		return;
	d->syncing = true;
	d->written = d->n;
	happen(s, d->us / 2 + rnd(s, d->us), d->sv, sync_done, NULL, 0);
}

int disk_start(struct disk *d, u64 last_zxid, void (*durable)(void *arg, u64 zxid),
	       void (*failed)(void *arg, int err, const char *text), void *arg)
{
	(void)last_zxid;
	d->durable = durable;
	d->failed = failed;
	d->arg = arg;
	d->syncing = false;
	d->refused = false;
	return 0;
}

void disk_append_later(struct disk *d, struct txn *t)
{
	if (server_falls(d->sv) || d->refused)
		return;
	if (t->zxid <= disk_model_last(d))
		wrong(d->sv->sim, "server %llu logs 0x%llx after 0x%llx", d->sv->id, t->zxid,
		      disk_model_last(d));
	if (d->n == d->room) {
		d->room = d->room ? 2 * d->room : 64;
		d->log = realloc(d->log, d->room * sizeof(*d->log));
	}
	d->log[d->n++] = txn_get(t);
}

void disk_kick(struct disk *d)
{
	if (!d->sv->dead)
		start_sync(d);
}

/* No time passes in a fsync that is counted. */
void disk_count_acks(struct disk *d, bool yes)
{
	(void)d;
	(void)yes;
}

int disk_retry(struct disk *d)
{
	if (d->broken)
		return -EIO;
	if (d->failing)
		return -ENOSPC;
	drop_from(d, d->synced);
	d->refused = false;
	return 0;
}

bool disk_snapshot_due(struct disk *d, u32 snap_count, u64 snap_bytes)
{
	(void)d;
	(void)snap_count;
	(void)snap_bytes;
	return false;
}

int disk_snapshot(struct disk *d, struct store *st, const struct disk_session *s, u32 n)
{
	(void)d;
	(void)st;
	(void)s;
	(void)n;
	return -EBUSY;
}

void disk_snapshot_last(struct disk *d, struct store *st, const struct disk_session *s,
			u32 n)
{
	(void)d;
	(void)st;
	(void)s;
	(void)n;
}

int disk_epoch_write(struct disk *d, const char *name, u64 epoch)
{
	if (server_falls(d->sv))
		return 0;	/* nobody will know */
	if (d->failing || d->broken)
		return d->broken ? -EIO : -ENOSPC;
	if (!strcmp(name, "acceptedEpoch"))
		d->accepted = epoch;
	else
		d->current = epoch;
	server_falls(d->sv);
	return 0;
}

u64 disk_history_first(struct disk *d)
{
	return d->n ? d->log[0]->zxid : ~0ULL;
}

int disk_truncate(struct disk *d, u64 zxid, char *why, size_t why_len)
{
	u32 n = d->n;

	if (server_falls(d->sv))
		return 0;
	while (n && d->log[n - 1]->zxid > zxid)
		n--;
	if ((n ? d->log[n - 1]->zxid : d->base ? d->base->zxid : 0) != zxid && (u32)zxid) {
		snprintf(why, why_len, "0x%llx is not in the log", zxid);
		return -ENOENT;
	}
	if (d->sv->shown && store_zxid(d->sv->st) > zxid)
		wrong(d->sv->sim,
		      "server %llu cuts its log after 0x%llx, but its tree was seen at 0x%llx",
		      d->sv->id, zxid, store_zxid(d->sv->st));
	tell(d->sv->sim, "server %llu cuts its log after 0x%llx, had 0x%llx", d->sv->id, zxid,
	     disk_model_last(d));
	d->sv->sim->counts.truncs++;
	drop_from(d, n);
	d->synced = n;
	d->syncing = false;
	return 0;
}

void disk_model_install(struct disk *d, struct image *im)
{
	drop_from(d, 0);
	d->synced = 0;
	d->syncing = false;
	image_put(d->base);
	d->base = im;
}

void disk_model_crash(struct disk *d)
{
	u32 lost = d->n - d->synced;

	/* what was handed to the disk may be there in part */
	lost = lost ? rnd(d->sv->sim, lost + 1) : 0;
	d->sv->sim->counts.lost_txns += lost;
	drop_from(d, d->n - lost);
	d->synced = d->n;
	d->written = d->n;
	d->syncing = false;
	d->refused = false;
	d->dying = false;
	d->broken = false;
}

void disk_model_wipe(struct disk *d)
{
	disk_model_install(d, NULL);
	d->written = 0;
	d->accepted = 0;
	d->current = 0;
}

void disk_model_free(struct disk *d)
{
	drop_from(d, 0);
	free(d->log);
	image_put(d->base);
}

/* ---------------------------------------------------------------- trees */

/* DataTree()'s, as daemon/disk/recover.c makes it. */
static void new_tree(struct store *st)
{
	static const char *const paths[] = {
		"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct store_rec node = {
			.path = paths[i],
			.path_len = strlen(paths[i]),
			.acl = txn_open_acl,
			.acl_len = TXN_OPEN_ACL_LEN,
			.node.crc = txn_crc(paths[i], strlen(paths[i]), NULL, 0),
		};

		if (st->ops->load_node(st, &node))
			abort();
	}
}

static void count_session(struct disk_recovery *r, const struct txn *t)
{
	u32 i;

	for (i = 0; i < r->n_sessions && r->sessions[i].id != t->session; i++)
		;
	if (t->type == OP_CREATESESSION) {
		if (i == r->n_sessions)
			r->sessions = realloc(r->sessions, (i + 1) * sizeof(*r->sessions));
		if (i == r->n_sessions)
			r->n_sessions++;
		r->sessions[i] = (struct disk_session){ .id = t->session, .timeout = t->timeout };
	} else if (t->type == OP_CLOSESESSION && i < r->n_sessions) {
		r->sessions[i] = r->sessions[--r->n_sessions];
	}
}

void disk_config_node(struct disk *d, const char *text, u64 version, bool follows)
{
	(void)follows;
	d->config = text;
	d->config_version = version;
}

#define CONFIG_NODE	"/zookeeper/config"

static bool is_config(const struct image_node *n)
{
	return n->rec.path_len == strlen(CONFIG_NODE) &&
	       !memcmp(n->rec.path, CONFIG_NODE, n->rec.path_len);
}

/* As put_config() of daemon/disk/recover.c. */
static void put_config(struct disk *d, struct store *st, u64 written)
{
	struct zk_op op = {
		.type = ZK_OP_SETDATA, .version = -1, .path = CONFIG_NODE,
		.path_len = strlen(CONFIG_NODE), .data = d->config, .data_len = strlen(d->config),
	};
	struct zk_txn zk = {
		.zxid = d->config_version, .flags = ZK_TXN_REPLAY | ZK_TXN_ASIDE, .n_ops = 1,
		.ops = &op,
	};

	if (written && written >= d->config_version)
		return;
	op.crc = txn_crc(op.path, op.path_len, op.data, op.data_len);
	if (st->ops->load_txn(st, &zk, NULL))
		abort();
}

void disk_model_recover(struct disk *d, struct store *st, struct disk_recovery *r)
{
	u64 digest, config = 0;

	memset(r, 0, sizeof(*r));
	if (st->ops->load_begin(st, 0))
		abort();
	if (d->base) {
		for (u32 i = 0; i < d->base->n; i++) {
			if (is_config(&d->base->nodes[i]))
				config = d->base->nodes[i].rec.node.stat.mzxid;
			if (st->ops->load_node(st, &d->base->nodes[i].rec))
				abort();
		}
		r->zxid = d->base->zxid;
		r->n_sessions = d->base->n_sessions;
		r->sessions = malloc((r->n_sessions + 1) * sizeof(*r->sessions));
		memcpy(r->sessions, d->base->sessions, r->n_sessions * sizeof(*r->sessions));
	} else {
		new_tree(st);
	}
	for (u32 i = 0; i < d->n; i++) {
		struct zk_txn zk;

		count_session(r, d->log[i]);
		txn_to_zk(d->log[i], &zk);
		zk.flags = ZK_TXN_REPLAY;
		if (st->ops->load_txn(st, &zk, &digest))
			abort();
		r->zxid = d->log[i]->zxid;
		r->replayed++;
		if (d->log[i]->type == OP_RECONFIG)
			config = r->zxid;
	}
	put_config(d, st, config);
	/* as commit_tree() */
	d->sv->shown = false;
	if (st->ops->load_commit(st, r->zxid))
		abort();
}

/* As keep_tree() of daemon/disk/recover.c, of a member of an ensemble. */
bool disk_model_keep(struct disk *d, struct store *st, struct disk_recovery *r)
{
	u64 base = d->base ? d->base->zxid : 0;
	struct store_info info;
	u32 n = 0;

	memset(r, 0, sizeof(*r));
	if (st->ops->info(st, &info))
		abort();
	while (n < d->n && d->log[n]->zxid <= info.zxid)
		n++;
	if (info.zxid != (n ? d->log[n - 1]->zxid : base) ||
	    (n && (!d->log[n - 1]->has_digest || d->log[n - 1]->digest != info.digest)))
		return false;
	r->kept = true;
	r->zxid = info.zxid;
	if (d->base) {
		r->n_sessions = d->base->n_sessions;
		r->sessions = malloc((r->n_sessions + 1) * sizeof(*r->sessions));
		memcpy(r->sessions, d->base->sessions, r->n_sessions * sizeof(*r->sessions));
	}
	for (u32 i = 0; i < n; i++)
		count_session(r, d->log[i]);
	r->n_tail = d->n - n;
	r->tail = malloc((r->n_tail + 1) * sizeof(*r->tail));
	for (u32 i = n; i < d->n; i++)
		r->tail[i - n] = txn_get(d->log[i]);
	d->sv->sim->counts.kept++;
	d->sv->sim->counts.tails += r->n_tail > 0;
	return true;
}

int disk_reload(struct disk *d, struct store *st, struct disk_recovery *r, char *why,
		size_t why_len)
{
	(void)why;
	(void)why_len;
	disk_model_recover(d, st, r);
	d->sv->applied = r->zxid;
	return 0;
}
