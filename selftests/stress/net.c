// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who reads through netlink. By hand, since nothing here may allocate. A failure anywhere
 * may have cost an answer: the socket is made anew then.
 */
#include "net.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../kernel/tap.h"
#include "model.h"

struct request {
	struct nlmsghdr n;
	struct genlmsghdr g;
	uint8_t attrs[128];
};

static void put(struct request *r, int type, const void *data, uint32_t len)
{
	struct nlattr a = { .nla_len = NLA_HDRLEN + len, .nla_type = type };
	uint8_t *p = (uint8_t *)r + r->n.nlmsg_len;

	memcpy(p, &a, sizeof(a));
	memcpy(p + NLA_HDRLEN, data, len);
	r->n.nlmsg_len += NLA_ALIGN(a.nla_len);
}

static struct request request(struct worker *w, int cmd, int flags, uint32_t inst, const char *path)
{
	struct request r = {
		.n = { .nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN, .nlmsg_type = w->family,
		       .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++w->state[3] },
		.g = { .cmd = cmd, .version = ZKERN_GENL_VERSION },
	};

	if (inst != ~0u)
		put(&r, ZKERN_A_INSTANCE, &inst, 4);
	if (path)
		put(&r, ZKERN_A_PATH, path, strlen(path));
	return r;
}

static int connected(void)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	struct timeval tv = { .tv_sec = LONG };
	int one = 1, s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);

	need(s >= 0 && !connect(s, (void *)&to, sizeof(to)), "netlink");
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(s, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	return s;
}

/* The attributes of a message of the family. */
struct answer {
	const struct nlattr *attrs[ZKERN_A_MAX + 1];
};

static uint32_t attr_len(const struct nlattr *a)
{
	return a->nla_len - NLA_HDRLEN;
}

static const void *attr_data(const struct nlattr *a)
{
	return (const uint8_t *)a + NLA_HDRLEN;
}

static uint64_t attr_u64(const struct nlattr *a)
{
	uint64_t v = 0;

	if (a)
		memcpy(&v, attr_data(a), sizeof(v));
	return v;
}

static void parse(struct answer *answer, const struct nlmsghdr *n)
{
	const uint8_t *p = (const uint8_t *)n + NLMSG_HDRLEN + GENL_HDRLEN;
	const uint8_t *end = (const uint8_t *)n + n->nlmsg_len;
	const struct nlattr *a;

	memset(answer, 0, sizeof(*answer));
	while (p + NLA_HDRLEN <= end) {
		a = (const void *)p;
		if (a->nla_len < NLA_HDRLEN || p + a->nla_len > end)
			break;
		if ((a->nla_type & NLA_TYPE_MASK) <= ZKERN_A_MAX)
			answer->attrs[a->nla_type & NLA_TYPE_MASK] = a;
		p += NLA_ALIGN(a->nla_len);
	}
}

static void renew(struct worker *w)
{
	calm(w);
	close(w->nl);
	w->nl = connected();
	harm(w);
}

/* The messages in w->buf, of an answer to @seq: 1: it goes on; 0 or -errno: that was all. */
static int messages(struct worker *w, ssize_t n, uint32_t seq,
		    void (*each)(struct worker *w, const struct answer *a, void *arg), void *arg)
{
	const struct nlmsghdr *h = (void *)w->buf;
	struct answer answer;
	int err;

	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		if (h->nlmsg_seq != seq)
			continue;
		if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
			memcpy(&err, NLMSG_DATA(h), sizeof(err));
			return err;
		}
		parse(&answer, h);
		each(w, &answer, arg);
		if (!(h->nlmsg_flags & NLM_F_MULTI))
			return 0;
	}
	return 1;
}

/* Sends and has each message of the answer looked at; 0 or a negative errno. */
static int ask(struct worker *w, const struct request *r,
	       void (*each)(struct worker *w, const struct answer *a, void *arg), void *arg)
{
	ssize_t n;
	int err = 1;

	if (send(w->nl, r, r->n.nlmsg_len, 0) < 0) {
		err = -errno;
		renew(w);
		return err;
	}
	while (err == 1) {
		n = recv(w->nl, w->buf, BIG, 0);
		if (n < 0) {
			err = -errno;
			renew(w);
			return err;
		}
		err = messages(w, n, r->n.nlmsg_seq, each, arg);
		if (err == 1 && r->n.nlmsg_flags & NLM_F_DUMP && !rnd(w, 200)) {
			renew(w);	/* leaves in the middle */
			return -EINTR;
		}
	}
	if (err)
		renew(w);
	return err;
}

/* ENOBUFS is how a socket says that there was no memory for what it was to get. */
static bool answered(struct worker *w, int err, const struct before *b, const char *what)
{
	if (w->armed && (err == -ENOBUFS || err == -EINTR))
		err = -ENOMEM;
	if (err == -EINTR)	/* it left */
		return false;
	return may_fail_also(w, err, hidden_since(b) ? -ESTALE : 0, "%s", what);
}

struct got {
	struct zkern_stat stat;
	uint64_t zxid;
	int group;
	int count;
};

static void each_get(struct worker *w, const struct answer *a, void *arg)
{
	const struct nlattr *data = a->attrs[ZKERN_A_DATA], *stat = a->attrs[ZKERN_A_STAT];
	struct got *got = arg;

	got->count++;
	got->zxid = attr_u64(a->attrs[ZKERN_A_ZXID]);
	if (!stat || attr_len(stat) < sizeof(got->stat)) {
		wrong(w, "netlink: no stat");
		return;
	}
	memcpy(&got->stat, attr_data(stat), sizeof(got->stat));
	right(w, data, "netlink: no data of group %d", got->group);
	check_member(w, got->group, &got->stat, data ? attr_data(data) : NULL,
		     data ? attr_len(data) : 0);
}

void round_netlink_get(struct worker *w)
{
	struct got got = { .group = rnd(w, GROUPS) };
	char path[8] = "/g0/0";
	struct request r;
	struct before b;
	int err;

	path[2] += got.group;
	path[4] += rnd(w, MEMBERS);
	r = request(w, ZKERN_CMD_GET, 0, main_inst, path);
	b = before_read(got.group);
	err = ask(w, &r, each_get, &got);
	/* more than a message holds */
	if (got.group == GROUPS - 1 && err == -EMSGSIZE)
		return;
	if (!answered(w, err, &b, "netlink get"))
		return;
	right(w, got.count == 1 && got.zxid >= b.zxid && got.stat.mzxid >= b.group_zxid,
	      "netlink get: %d answers, %llu of %llu", got.count,
	      (unsigned long long)got.stat.mzxid, (unsigned long long)got.zxid);
}

struct dumped {
	struct picture p;
	struct before b;
	bool begun;
};

static void each_dump(struct worker *w, const struct answer *a, void *arg)
{
	const struct nlattr *data = a->attrs[ZKERN_A_DATA], *path = a->attrs[ZKERN_A_PATH];
	const struct nlattr *stat = a->attrs[ZKERN_A_STAT];
	uint64_t zxid = attr_u64(a->attrs[ZKERN_A_ZXID]);
	struct dumped *d = arg;
	struct zkern_stat st;

	if (!path || !stat || attr_len(stat) < sizeof(st)) {
		wrong(w, "netlink dump: no path or stat");
		return;
	}
	memcpy(&st, attr_data(stat), sizeof(st));
	if (!d->begun)
		picture_begin(&d->p, zxid);
	d->begun = true;
	right(w, zxid == d->p.zxid && zxid >= d->b.zxid, "netlink dump: %llu in one of %llu",
	      (unsigned long long)zxid, (unsigned long long)d->p.zxid);
	right(w, data || a->attrs[ZKERN_A_TRUNCATED] ||
	      group_of(attr_data(path), attr_len(path)) < 0, "netlink dump: no data");
	picture_node(w, &d->p, attr_data(path), attr_len(path), &st,
		     data ? attr_data(data) : NULL, data ? attr_len(data) : 0);
}

void round_netlink_dump(struct worker *w)
{
	struct request r = request(w, ZKERN_CMD_SUBTREE, NLM_F_DUMP, main_inst, "/");
	struct dumped d = { .b = before_read(-1) };
	int err = ask(w, &r, each_dump, &d);

	/* of a snapshot that was revoked */
	if (err == -ESTALE)
		return;
	if (answered(w, err, &d.b, "netlink dump"))
		picture_end(w, &d.p);
	usleep(5000);
}

static void each_status(struct worker *w, const struct answer *a, void *arg)
{
	const struct nlattr *info = a->attrs[ZKERN_A_INFO];
	uint64_t *zxid = arg;
	struct zkern_info i;

	if (!info || attr_len(info) < sizeof(i)) {
		wrong(w, "netlink status: no info");
		return;
	}
	memcpy(&i, attr_data(info), sizeof(i));
	if (i.instance == (uint32_t)main_inst)
		*zxid = i.zxid;
}

static void each_any(struct worker *w, const struct answer *a, void *arg)
{
	int *count = arg;

	(void)w;
	(void)a;
	++*count;
}

/* An instance of its own number comes and goes by netlink. */
static void come_and_go(struct worker *w)
{
	uint32_t inst = 200 + w->number;
	struct request r = request(w, ZKERN_CMD_NEW, 0, inst, NULL);
	struct before b = before_read(-1);
	int count = 0, err;

	if (answered(w, ask(w, &r, each_any, &count), &b, "netlink new"))
		right(w, count == 1, "netlink new: %d answers", count);
	r = request(w, ZKERN_CMD_DEL, NLM_F_ACK, inst, NULL);
	err = ask(w, &r, each_any, &count);
	if (err && w->armed) {	/* which of them failed is not known */
		calm(w);
		err = zk_del(inst, 0);
		right(w, !err || err == -ENODEV, "del: %d", err);
		harm(w);
	} else {
		right(w, !err, "netlink del: %d", err);
	}
}

void round_netlink_status(struct worker *w)
{
	bool all = rnd(w, 2);
	struct request r = request(w, ZKERN_CMD_STATUS, all ? NLM_F_DUMP : 0,
				   all ? ~0u : (uint32_t)main_inst, NULL);
	struct before b = before_read(-1);
	uint64_t zxid = 0;

	if (answered(w, ask(w, &r, each_status, &zxid), &b, "netlink status"))
		right(w, zxid >= b.zxid, "netlink status: %llu after %llu",
		      (unsigned long long)zxid, (unsigned long long)b.zxid);
	if (!rnd(w, 4))
		come_and_go(w);
}

int net_family(struct worker *w)
{
	struct request r = {
		.n = { .nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN, .nlmsg_type = GENL_ID_CTRL,
		       .nlmsg_flags = NLM_F_REQUEST },
		.g = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 },
	};
	const struct nlattr *a;
	ssize_t n, off;

	put(&r, CTRL_ATTR_FAMILY_NAME, ZKERN_GENL_NAME, sizeof(ZKERN_GENL_NAME));
	if (send(w->nl, &r, r.n.nlmsg_len, 0) < 0)
		return -1;
	n = recv(w->nl, w->buf, BIG, 0);
	for (off = NLMSG_HDRLEN + GENL_HDRLEN; off + NLA_HDRLEN < n; off += NLA_ALIGN(a->nla_len)) {
		a = (void *)(w->buf + off);
		if (a->nla_type == CTRL_ATTR_FAMILY_ID) {
			w->family = *(const uint16_t *)attr_data(a);
			return 0;
		}
	}
	return -1;
}

int net_open(struct worker *w)
{
	w->nl = connected();
	return net_family(w);
}

int net_status(struct worker *w)
{
	struct request r = request(w, ZKERN_CMD_STATUS, NLM_F_DUMP, ~0u, NULL);
	int count = 0;

	return ask(w, &r, each_any, &count);
}
