// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A model of the network between servers (daemon/peer/peer.h). Votes go one by one, the
 * latest to each server again and again until it arrives. Links keep their order. What is
 * sent where nothing passes waits, as TCP's does; a crash, a reset or a close is seen by
 * the other side when it gets there.
 */
#include "selftests/sim/sim.h"

#define RETRY_US	(60 * US_MS)
#define PACKETS_READ	16	/* at most, at once */
#define CONNECT_US	(8 * US_S)	/* initLimit ticks, about */
#define MASTER_US	US_S		/* it is refused; there are others */

enum item_kind { ITEM_PACKET, ITEM_TREE, ITEM_END };

struct item {
	struct item *next;
	enum item_kind kind;
	u64 ready;
	u32 len;
	struct image *image;
	u8 bytes[];
};

/* One direction of a link: what was sent by the other end. */
struct end {
	struct server *sv;	/* who receives */
	u32 life;
	u64 id;			/* the link's name there */
	bool open;
	bool held;		/* SNAP was delivered: wait for peer_receive() */
	bool takes;		/* peer_receive() was called */
	bool pumping;
	u64 last;
	struct item *head, **tail;
};

/* end[0]: the learner, end[1]: the leader. */
struct link {
	struct link *next;
	struct end end[2];
	bool there;		/* connected */
	bool half;		/* one end has gone without a word */
	u64 give_up;
	struct server *target;
	enum peer_port port;	/* of the target */
	u32 refs;		/* happenings that know it */
};

static bool cut(const struct sim *s, const struct server *a, const struct server *b)
{
	return s->cut[a->index][b->index];
}

static u64 delay(struct sim *s, const struct server *a, const struct server *b)
{
	u64 l = s->latency[a->index][b->index];

	return l / 2 + rnd(s, l);
}

/* ---------------------------------------------------------------- events */

static struct peer_event *event_new(enum peer_event_type type, u64 link, const void *bytes,
				    u32 len)
{
	struct peer_event *ev = calloc(1, sizeof(*ev) + len);

	ev->type = type;
	ev->link = link;
	ev->len = len;
	if (bytes)
		memcpy(ev->bytes, bytes, len);
	return ev;
}

static void deliver(struct server *sv, struct peer_event *ev)
{
	core_deliver(sv->core, ev);
	server_wake(sv, rnd(sv->sim, 200));
}

void peer_event_free(struct peers *p, struct peer_event *ev)
{
	(void)p;
	free(ev);
}

/* ---------------------------------------------------------------- votes */

static void try_vote(struct sim *s, struct happening *h)
{
	struct server *from = h->sv, *to = &s->servers[h->x];
	struct vote_slot *v = &from->peers.votes[h->x];
	struct peer_event *ev;

	if (!from->up || from->life != h->life)
		return;
	v->trying = false;
	if (!v->pending)
		return;
	/* its host is there, and says that it is not */
	if (!to->up && !cut(s, from, to) && !cut(s, to, from) && !v->refused) {
		v->refused = true;
		ev = event_new(PEER_ABSENT, 0, NULL, 0);
		ev->from = to->id;
		deliver(from, ev);
	}
	if (!to->up || cut(s, from, to)) {
		v->trying = true;
		happen(s, RETRY_US + rnd(s, RETRY_US), from, try_vote, NULL, h->x);
		return;
	}
	v->pending = false;
	ev = event_new(PEER_VOTE, 0, v->bytes->bytes, v->bytes->len);
	ev->from = from->id;
	if (zab_vote_read(ev->bytes, ev->len, &ev->vote)) {
		wrong(s, "server %llu sends a vote that cannot be read", from->id);
		free(ev);
		return;
	}
	deliver(to, ev);
}

static void send_vote(struct server *from, u32 to)
{
	struct vote_slot *v = &from->peers.votes[to];
	struct sim *s = from->sim;

	v->pending = true;
	v->refused = false;
	if (v->trying)
		return;
	v->trying = true;
	happen(s, delay(s, from, &s->servers[to]), from, try_vote, NULL, to);
}

int peer_notify(struct peers *p, u64 to, struct zab_bytes *b)
{
	struct server *sv = server_by_id(p->sv->sim, to);
	struct vote_slot *v;

	if (server_falls(p->sv) || !sv || sv == p->sv)
		return 0;
	v = &p->votes[sv->index];
	zab_bytes_put(v->bytes);
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	v->bytes = b;
	send_vote(p->sv, sv->index);
	return 0;
}

/* QuorumCnxManager sends its last message again on a new connection. */
void net_server_up(struct server *sv)
{
	struct sim *s = sv->sim;

	for (u32 i = 0; i < s->n; i++) {
		struct server *other = &s->servers[i];

		if (other != sv && other->up && other->peers.votes[sv->index].bytes)
			send_vote(other, sv->index);
	}
}

/* ---------------------------------------------------------------- links */

static struct link *link_find(struct server *sv, u64 id, int *which)
{
	for (struct link *l = sv->sim->links; l; l = l->next) {
		for (int i = 0; i < 2; i++) {
			const struct end *e = &l->end[i];

			if (e->sv == sv && e->id == id && e->life == sv->life) {
				*which = i;
				return l;
			}
		}
	}
	return NULL;
}

static void item_free(struct item *it)
{
	image_put(it->image);
	free(it);
}

static void empty(struct end *e)
{
	struct item *it;

	while ((it = e->head)) {
		e->head = it->next;
		item_free(it);
	}
	e->tail = &e->head;
}

/* Links that are closed at both ends, and that nothing knows, go. */
static void sweep(struct sim *s)
{
	struct link **p = &s->links, *l;

	while ((l = *p)) {
		if (l->refs || l->end[0].open || l->end[1].open) {
			p = &l->next;
			continue;
		}
		*p = l->next;
		empty(&l->end[0]);
		empty(&l->end[1]);
		free(l);
	}
}

static bool alive(const struct end *e)
{
	return e->open && e->sv->up && e->sv->life == e->life;
}

static void pump(struct sim *s, struct happening *h);

static void kick(struct link *l, int which, u64 after)
{
	struct end *e = &l->end[which];

	if (e->pumping)
		return;
	e->pumping = true;
	l->refs++;
	happen(e->sv->sim, after, NULL, pump, l, which);
}

static void end_link(struct end *e)
{
	e->open = false;
	deliver(e->sv, event_new(PEER_LINK_DOWN, e->id, NULL, 0));
}

static struct item *take_item(struct end *e)
{
	struct item *it = e->head;

	e->head = it->next;
	if (!e->head)
		e->tail = &e->head;
	return it;
}

static bool is_snap(const struct item *it)
{
	return jute_get32(it->bytes) == ZP_SNAP;
}

/* The first packet and some of those that have come as well, up to a SNAP, as one read
 * brings them. */
static void give_packets(struct end *e)
{
	struct sim *s = e->sv->sim;
	u32 n = 1 + rnd(s, PACKETS_READ), len = 0;
	struct peer_event *ev;
	struct item *it, *last = e->head;

	for (it = last; it && n-- && it->kind == ITEM_PACKET && it->ready <= s->now;
	     it = it->next) {
		last = it;
		len += it->len;
		if (is_snap(it))
			break;
	}
	e->held = is_snap(last);
	ev = event_new(PEER_PACKETS, e->id, NULL, len);
	len = 0;
	do {
		it = take_item(e);
		memcpy(ev->bytes + len, it->bytes, it->len);
		len += it->len;
		n = it == last;
		item_free(it);
	} while (!n);
	deliver(e->sv, ev);
}

static void give_tree(struct end *e)
{
	struct item *it = take_item(e);
	struct sim *s = e->sv->sim;
	struct peer_event *ev = event_new(PEER_RECEIVED, e->id, NULL, 0);

	ev->zxid = it->image->zxid;
	tell(s, "server %llu has received a tree as of 0x%llx", e->sv->id, ev->zxid);
	s->counts.trees++;
	disk_model_install(&e->sv->disk, it->image);
	it->image = NULL;
	e->held = false;
	e->takes = false;
	item_free(it);
	deliver(e->sv, ev);
}

static void give_end(struct end *e)
{
	item_free(take_item(e));
	end_link(e);
}

/* Gives the first item if its time has come and it gets through. */
static void pump(struct sim *s, struct happening *h)
{
	struct link *l = h->p;
	struct end *e = &l->end[h->x], *o = &l->end[!h->x];
	struct item *it = e->head;

	l->refs--;
	e->pumping = false;
	if (!alive(e)) {
		e->open = false;
		sweep(s);
		return;
	}
	if (!it)
		return;
	if (it->ready > s->now) {
		kick(l, h->x, it->ready - s->now);
		return;
	}
	if (cut(s, o->sv, e->sv)) {
		kick(l, h->x, RETRY_US + rnd(s, RETRY_US));
		return;
	}
	if (it->kind == ITEM_PACKET && e->held)
		return;
	if (it->kind == ITEM_TREE && !e->takes)
		return;
	if (it->kind == ITEM_PACKET)
		give_packets(e);
	else if (it->kind == ITEM_TREE)
		give_tree(e);
	else
		give_end(e);
	if (e->open && e->head)
		kick(l, h->x, e->head->ready > s->now ? e->head->ready - s->now : 0);
}

/* Queues to the end @which. */
static void queue_item(struct link *l, int which, struct item *it)
{
	struct end *e = &l->end[which], *o = &l->end[!which];
	struct sim *s = e->sv->sim;

	it->ready = s->now + delay(s, o->sv, e->sv);
	if (it->ready < e->last)
		it->ready = e->last;
	e->last = it->ready;
	*e->tail = it;
	e->tail = &it->next;
	kick(l, which, e->head->ready > s->now ? e->head->ready - s->now : 0);
}

static struct item *item_new(enum item_kind kind, const void *bytes, u32 len)
{
	struct item *it = calloc(1, sizeof(*it) + len);

	it->kind = kind;
	it->len = len;
	if (len)
		memcpy(it->bytes, bytes, len);
	return it;
}

/* ---------------------------------------------------------------- connecting */

static void open_end(struct end *e, struct server *sv, u64 id)
{
	e->sv = sv;
	e->life = sv->life;
	e->id = id;
	e->open = true;
	e->tail = &e->head;
}

static void try_connect(struct sim *s, struct happening *h)
{
	struct link *l = h->p;
	struct end *e = &l->end[0];
	struct server *to = l->target;

	l->refs--;
	if (!alive(e)) {
		e->open = false;
		sweep(s);
		return;
	}
	if (s->now > l->give_up) {
		end_link(e);
		return;
	}
	if (!to->up || to->dead || to->peers.open != l->port || cut(s, e->sv, to) ||
	    cut(s, to, e->sv)) {
		l->refs++;
		happen(s, RETRY_US + rnd(s, 5 * RETRY_US), NULL, try_connect, l, 0);
		return;
	}
	l->there = true;
	s->counts.masters += l->port == PEER_PORT_OBSERVERS;
	open_end(&l->end[1], to, s->next_link++);
	deliver(to, event_new(PEER_LINK_UP, l->end[1].id, NULL, 0));
	deliver(e->sv, event_new(PEER_LINK_UP, e->id, NULL, 0));
}

int peer_connect(struct peers *p, u64 to, u64 id, bool master)
{
	struct sim *s = p->sv->sim;
	struct link *l;

	if (server_falls(p->sv))
		return 0;
	l = calloc(1, sizeof(*l));
	l->next = s->links;
	s->links = l;
	l->target = server_by_id(s, to);
	l->port = master ? PEER_PORT_OBSERVERS : PEER_PORT_QUORUM;
	l->give_up = s->now + (master ? MASTER_US : CONNECT_US);
	open_end(&l->end[0], p->sv, id);
	l->end[1].tail = &l->end[1].head;
	l->refs++;
	happen(s, delay(s, p->sv, l->target), NULL, try_connect, l, 0);
	return 0;
}

/* Servers are reached by their ids here: addresses do not matter. */
int peer_ensemble(struct peers *p, struct ensemble *e, bool in_force)
{
	(void)e;
	(void)in_force;
	server_falls(p->sv);
	return 0;
}

int peer_lead(struct peers *p, enum peer_port port)
{
	p->open = p->sv->dead ? PEER_PORT_NONE : port;
	return 0;
}

/* The other end of @l hears of it, now or when what is queued is through. */
static void close_other(struct link *l, int which)
{
	struct end *o = &l->end[!which];
	struct sim *s = l->end[which].sv->sim;

	if (!l->there || !o->open)
		return;
	if (chance(s, 50))
		empty(o);
	queue_item(l, !which, item_new(ITEM_END, NULL, 0));
}

static void found_out(struct sim *s, struct happening *h)
{
	struct link *l = h->p;

	l->refs--;
	if (!alive(&l->end[h->x]))
		return;
	if (l->half) {
		l->half = false;
		s->counts.found_out++;
		queue_item(l, h->x, item_new(ITEM_END, NULL, 0));
	}
}

/*
 * Nothing tells the other end, to which packets are on their way still. Its limit for
 * silence does in the end, or what it sends, when the host is back.
 */
static void leave_half_open(struct link *l, int which)
{
	struct end *o = &l->end[!which];
	struct sim *s = l->end[which].sv->sim;

	if (!l->there || !o->open)
		return;
	l->half = true;
	s->counts.half_open++;
	l->refs++;
	happen(s, CONNECT_US / 2 + rnd(s, CONNECT_US / 2), NULL, found_out, l, !which);
}

int peer_close(struct peers *p, u64 id)
{
	struct link *l;
	int which;

	if (server_falls(p->sv))
		return 0;
	l = link_find(p->sv, id, &which);
	if (!l || !l->end[which].open)
		return 0;
	l->end[which].open = false;
	empty(&l->end[which]);
	close_other(l, which);
	return 0;
}

void net_server_down(struct server *sv, bool silent)
{
	struct sim *s = sv->sim;
	struct link *l;

	sv->peers.open = PEER_PORT_NONE;
	for (u32 i = 0; i < s->n; i++) {
		zab_bytes_put(sv->peers.votes[i].bytes);
		memset(&sv->peers.votes[i], 0, sizeof(sv->peers.votes[i]));
	}
	for (l = s->links; l; l = l->next) {
		for (int i = 0; i < 2; i++) {
			if (l->end[i].sv != sv || !l->end[i].open)
				continue;
			l->end[i].open = false;
			empty(&l->end[i]);
			if (silent)
				leave_half_open(l, i);
			else
				close_other(l, i);
		}
	}
}

void net_reset_one(struct sim *s)
{
	struct link *l;
	u32 n = 0, k;

	for (l = s->links; l; l = l->next)
		n += l->there && alive(&l->end[0]) && alive(&l->end[1]);
	k = rnd(s, n);
	for (l = s->links; l; l = l->next) {
		if (!l->there || !alive(&l->end[0]) || !alive(&l->end[1]) || k--)
			continue;
		tell(s, "the link of server %llu to %llu is reset", l->end[0].sv->id,
		     l->end[1].sv->id);
		s->counts.resets++;
		for (int i = 0; i < 2; i++) {
			empty(&l->end[i]);
			queue_item(l, i, item_new(ITEM_END, NULL, 0));
		}
		return;
	}
}

static bool whole(const struct link *l)
{
	return l->there && alive(&l->end[0]) && alive(&l->end[1]);
}

/* What the decoder refuses: that end closes, with all that was on its way to it. */
void net_junk_one(struct sim *s)
{
	struct link *l;
	u32 n = 0, k, which = rnd(s, 2);

	for (l = s->links; l; l = l->next)
		n += whole(l);
	k = rnd(s, n);
	for (l = s->links; l; l = l->next) {
		if (!whole(l) || k--)
			continue;
		tell(s, "server %llu gets what is no packet from %llu", l->end[which].sv->id,
		     l->end[!which].sv->id);
		s->counts.junk++;
		empty(&l->end[which]);
		end_link(&l->end[which]);
		close_other(l, which);
		return;
	}
}

static void say(struct link *l, s32 type, u64 zxid, const void *data, s32 len)
{
	const struct zab_packet pkt = { .type = type, .zxid = zxid, .data = data, .len = len };
	struct jw w;

	jw_init(&w, 0);
	zab_packet_write(&w, &pkt);
	queue_item(l, 1, item_new(ITEM_PACKET, w.buf, w.len));
	jw_free(&w);
}

/* He knows the first words, and says that he is some server, or one that nobody knows; he
 * makes no promise and acknowledges nothing, as nobody could bear a liar who does. */
static void first_words(struct sim *s, struct link *l, const struct server *leader)
{
	u64 epoch = zab_epoch(leader->core->zab) + rnd(s, 3) - 1;
	u8 info[20];

	jute_put64(info, chance(s, 60) ? 1 + rnd(s, s->n) : 100 + rnd(s, 100));
	jute_put32(info + 8, chance(s, 90) ? 0x10000 : 0);
	jute_put64(info + 12, 0);
	say(l, chance(s, 70) ? ZP_FOLLOWERINFO : ZP_OBSERVERINFO, epoch << 32, info,
	    chance(s, 90) ? 20 : rnd(s, 20));
}

void net_stranger(struct sim *s)
{
	static const s32 types[] = { ZP_PROPOSAL, ZP_COMMIT, ZP_NEWLEADER, ZP_UPTODATE, ZP_DIFF,
				     ZP_SNAP, ZP_LEADERINFO, ZP_INFORM, ZP_SYNC };
	struct server *to = &s->servers[rnd(s, s->n)];
	struct link *l;

	if (!to->up || to->dead || to->peers.open == PEER_PORT_NONE)
		return;
	tell(s, "a stranger connects to server %llu", to->id);
	s->counts.strangers++;
	l = calloc(1, sizeof(*l));
	l->next = s->links;
	s->links = l;
	l->there = true;
	l->target = to;
	l->port = to->peers.open;
	/* from the host of another one */
	l->end[0].sv = &s->servers[(to->index + 1) % s->n];
	l->end[0].tail = &l->end[0].head;
	open_end(&l->end[1], to, s->next_link++);
	deliver(to, event_new(PEER_LINK_UP, l->end[1].id, NULL, 0));
	if (chance(s, 90))
		first_words(s, l, to);
	for (u32 i = rnd(s, 4); i; i--)
		say(l, types[rnd(s, sizeof(types) / sizeof(types[0]))],
		    zab_committed(to->core->zab) + rnd(s, 3), NULL, -1);
	if (chance(s, 50)) {
		queue_item(l, 1, item_new(ITEM_END, NULL, 0));
		return;
	}
	/* he stays, and says nothing */
	l->half = true;
	l->refs++;
	happen(s, CONNECT_US, NULL, found_out, l, 1);
}

void net_vote_again(struct sim *s)
{
	struct server *from = &s->servers[rnd(s, s->n)], *to = &s->servers[rnd(s, s->n)];
	struct vote_slot *v = &from->peers.votes[to->index];

	if (!from->up || !to->up || cut(s, from, to) || !v->bytes || v->pending)
		return;
	s->counts.repeated_votes++;
	send_vote(from, to->index);
}

/* ---------------------------------------------------------------- sending */

static int send_bytes(struct peers *p, u64 id, const u8 *b, size_t len)
{
	struct link *l;
	int which;

	if (server_falls(p->sv))
		return 0;
	l = link_find(p->sv, id, &which);
	if (!l || !l->there || !l->end[which].open)
		return 0;
	if (l->half && l->end[!which].sv->up) {
		l->half = false;
		p->sv->sim->counts.found_out++;
		queue_item(l, which, item_new(ITEM_END, NULL, 0));
	}
	while (len) {
		struct zab_packet pkt;
		size_t need;
		ssize_t n = zab_packet_read(b, len, 1 << 24, &pkt, &need);

		if (n <= 0) {
			wrong(p->sv->sim, "server %llu sends what is no packet", p->sv->id);
			return 0;
		}
		if (l->end[!which].open)
			queue_item(l, !which, item_new(ITEM_PACKET, b, n));
		if (pkt.type == ZP_DIFF)
			p->sv->sim->counts.diffs++;
		b += n;
		len -= n;
	}
	return 0;
}

int peer_send(struct peers *p, u64 link, struct zab_bytes *b)
{
	return send_bytes(p, link, b->bytes, b->len);
}

static int send_packet(struct peers *p, u64 link, const struct zab_packet *pkt)
{
	struct jw w;
	int rc;

	jw_init(&w, 0);
	zab_packet_write(&w, pkt);
	rc = send_bytes(p, link, w.buf, w.len);
	jw_free(&w);
	return rc;
}

/* Nobody sleeps here. */
void peer_flush(struct peers *p)
{
	(void)p;
}

int peer_send_txn(struct peers *p, u64 link, s32 type, struct txn *t)
{
	const struct zab_packet pkt = {
		.type = type, .zxid = t->zxid, .data = t->bytes, .len = t->len,
	};

	return send_packet(p, link, &pkt);
}

int peer_send_history(struct peers *p, u64 link, u64 after, u64 to, bool observer)
{
	const struct disk *d = &p->sv->disk;
	bool found = false;
	u32 i;

	for (i = 0; i < d->synced && d->log[i]->zxid <= after; i++)
		found = d->log[i]->zxid == after;
	if (!found && !(!(u32)after && i < d->synced && d->log[i]->zxid == after + 1)) {
		int which;
		struct link *l = link_find(p->sv, link, &which);

		/* the real one finds out on a thread of its own, and closes */
		if (l && l->end[which].open)
			queue_item(l, which, item_new(ITEM_END, NULL, 0));
		peer_close(p, link);
		return 0;
	}
	p->sv->sim->counts.histories++;
	for (; i < d->synced && d->log[i]->zxid <= to; i++) {
		peer_send_txn(p, link, observer ? ZP_INFORM : ZP_PROPOSAL, d->log[i]);
		if (!observer)
			send_packet(p, link, &(struct zab_packet){
				.type = ZP_COMMIT, .zxid = d->log[i]->zxid, .len = -1 });
	}
	return 0;
}

static void *copy(const void *p, size_t len)
{
	void *c = malloc(len + 1);

	if (len)
		memcpy(c, p, len);
	return c;
}

static int take_node(void *arg, const struct store_rec *rec)
{
	struct image *im = arg;
	struct image_node *n;

	if (im->n == im->room) {
		im->room = im->room ? 2 * im->room : 64;
		im->nodes = realloc(im->nodes, im->room * sizeof(*im->nodes));
	}
	n = &im->nodes[im->n++];
	n->rec = *rec;
	n->path = copy(rec->path, rec->path_len);
	n->acl = copy(rec->acl, rec->acl_len);
	n->data = copy(rec->data, rec->node.data_len > 0 ? rec->node.data_len : 0);
	n->rec.path = n->path;
	n->rec.acl = n->acl;
	n->rec.data = n->data;
	return 0;
}

int peer_send_tree(struct peers *p, u64 id, u64 zxid, struct store *st,
		   struct store_snap *snap, const struct disk_session *s, u32 n)
{
	struct image *im = calloc(1, sizeof(*im));
	struct item *it;
	struct link *l;
	int which;

	im->refs = 1;
	im->zxid = zxid;
	im->sessions = copy(s, n * sizeof(*s));
	im->n_sessions = n;
	if (st->ops->snap_each(snap, "/", 1, take_node, im))
		abort();
	st->ops->snap_close(snap);
	send_packet(p, id, &(struct zab_packet){ .type = ZP_SNAP, .zxid = zxid, .len = -1 });
	l = link_find(p->sv, id, &which);
	if (p->sv->dead || !l || !l->end[which].open || !l->end[!which].open) {
		image_put(im);
		return 0;
	}
	it = item_new(ITEM_TREE, NULL, 0);
	it->image = im;
	queue_item(l, !which, it);
	return 0;
}

int peer_receive(struct peers *p, u64 id, u64 zxid)
{
	struct link *l;
	int which;

	(void)zxid;
	if (server_falls(p->sv))
		return 0;
	l = link_find(p->sv, id, &which);
	if (!l)
		return 0;
	l->end[which].takes = true;
	kick(l, which, rnd(p->sv->sim, 300 * US_MS));
	return 0;
}

int peer_settled(struct peers *p, u64 link)
{
	(void)p;
	(void)link;
	return 0;
}

void net_free(struct sim *s)
{
	struct link *l;

	while ((l = s->links)) {
		s->links = l->next;
		empty(&l->end[0]);
		empty(&l->end[1]);
		free(l);
	}
}
