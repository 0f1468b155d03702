// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Servers' messages from bytes and to bytes. Nothing is copied or allocated in reading;
 * a length is believed only as far as there are bytes, or as the caller allows.
 */
#include "daemon/zab/packet.h"

#define ID_MIN		8	/* bytes of an Id: two lengths */

/* ---------------------------------------------------------------- QuorumPacket */

static const char *const names[] = {
	[ZP_REQUEST] = "REQUEST",
	[ZP_PROPOSAL] = "PROPOSAL",
	[ZP_ACK] = "ACK",
	[ZP_COMMIT] = "COMMIT",
	[ZP_PING] = "PING",
	[ZP_REVALIDATE] = "REVALIDATE",
	[ZP_SYNC] = "SYNC",
	[ZP_INFORM] = "INFORM",
	[ZP_COMMITANDACTIVATE] = "COMMITANDACTIVATE",
	[ZP_NEWLEADER] = "NEWLEADER",
	[ZP_FOLLOWERINFO] = "FOLLOWERINFO",
	[ZP_UPTODATE] = "UPTODATE",
	[ZP_DIFF] = "DIFF",
	[ZP_TRUNC] = "TRUNC",
	[ZP_SNAP] = "SNAP",
	[ZP_OBSERVERINFO] = "OBSERVERINFO",
	[ZP_LEADERINFO] = "LEADERINFO",
	[ZP_ACKEPOCH] = "ACKEPOCH",
	[ZP_INFORMANDACTIVATE] = "INFORMANDACTIVATE",
};

const char *zab_packet_name(s32 type)
{
	if (type < ZP_REQUEST || type > ZP_INFORMANDACTIVATE)
		return "UNKNOWN";
	return names[type];
}

/* The bytes of one packet as they come; all counted from the first. */
struct scan {
	const u8 *p;
	size_t len;
	size_t at;
	size_t max;		/* bytes of a whole packet */
	size_t need;		/* bytes that there must be, but are not; 0: none missing */
};

/* @n more bytes. True: they are there. */
static bool scan_take(struct scan *s, size_t n)
{
	if (s->len - s->at < n) {
		s->need = s->at + n;
		return false;
	}
	s->at += n;
	return true;
}

/* A length and so many bytes: 1, there; 0, not all there; -EBADMSG. */
static int scan_string(struct scan *s, s32 *n)
{
	if (!scan_take(s, 4))
		return 0;
	*n = (s32)jute_get32(s->p + s->at - 4);
	if (*n < -1 || (*n > 0 && (size_t)*n > s->max - s->at))
		return -EBADMSG;
	return *n <= 0 || scan_take(s, *n);
}

/* vector<Id>: as scan_string(). A negative count that is not -1 is none, as in Java. */
static int scan_ids(struct scan *s, struct zab_packet *pkt)
{
	size_t from = s->at;
	s32 n, i, k, len;
	int rc;

	if (!scan_take(s, 4))
		return 0;
	n = (s32)jute_get32(s->p + from);
	if (n > 0 && (size_t)n > (s->max - s->at) / ID_MIN)
		return -EBADMSG;
	for (i = 0; i < n; i++) {
		for (k = 0; k < 2; k++) {
			rc = scan_string(s, &len);
			if (rc <= 0)
				return rc;
		}
	}
	pkt->auth = n == -1 ? NULL : s->p + from;
	pkt->auth_len = n == -1 ? 0 : s->at - from;
	return 1;
}

static int scan_packet(struct scan *s, struct zab_packet *pkt)
{
	int rc;

	if (!scan_take(s, 4))
		return 0;
	pkt->type = (s32)jute_get32(s->p);
	if (pkt->type < ZP_REQUEST || pkt->type > ZP_INFORMANDACTIVATE)
		return -EBADMSG;
	if (!scan_take(s, 8))
		return 0;
	pkt->zxid = jute_get64(s->p + 4);
	rc = scan_string(s, &pkt->len);
	if (rc <= 0)
		return rc;
	pkt->data = pkt->len < 0 ? NULL : s->p + s->at - pkt->len;
	return scan_ids(s, pkt);
}

ssize_t zab_packet_read(const u8 *p, size_t len, u32 max, struct zab_packet *pkt, size_t *need)
{
	struct scan s = { .p = p, .len = len, .max = (size_t)max + ZP_HEAD };
	int rc = scan_packet(&s, pkt);

	if (rc > 0)
		return s.at;
	if (!rc)
		*need = s.need < ZP_HEAD ? ZP_HEAD : s.need;
	return rc;
}

void zab_packet_write(struct jw *w, const struct zab_packet *pkt)
{
	jw_int(w, pkt->type);
	jw_long(w, pkt->zxid);
	jw_str(w, pkt->data, pkt->len);
	if (pkt->auth)
		jw_bytes(w, pkt->auth, pkt->auth_len);
	else
		jw_int(w, -1);
}

/* ---------------------------------------------------------------- notifications */

/* Up to 3.2, up to 3.4.5; what is longer tells its version. */
#define VOTE_OLD	28
#define VOTE_NO_VERSION	40
#define VOTE_VERSION	2

int zab_vote_read(const u8 *p, size_t len, struct zab_vote *v)
{
	struct jr r;
	s32 n;

	memset(v, 0, sizeof(*v));
	if (len > ZE_VOTE_MAX)
		return -EBADMSG;
	jr_init(&r, p, len);
	v->state = jr_int(&r);
	v->leader = jr_long(&r);
	v->zxid = jr_long(&r);
	v->round = jr_long(&r);
	v->epoch = len == VOTE_OLD ? v->zxid >> 32 : (u64)jr_long(&r);
	if (len != VOTE_OLD && len != VOTE_NO_VERSION)
		v->version = jr_int(&r);
	if (v->version >= VOTE_VERSION) {
		n = jr_int(&r);
		if (n < 0)
			return -EBADMSG;
		v->config = (const char *)jr_take(&r, n);
		v->config_len = v->config ? n : 0;
	}
	if (r.err || v->state < PEER_LOOKING || v->state > PEER_OBSERVING)
		return -EBADMSG;
	return 0;
}

void zab_vote_write(struct jw *w, const struct zab_vote *v)
{
	jw_int(w, v->state);
	jw_long(w, v->leader);
	jw_long(w, v->zxid);
	jw_long(w, v->round);
	jw_long(w, v->epoch);
	if (v->config) {
		jw_int(w, VOTE_VERSION);
		jw_str(w, v->config, v->config_len);
	} else {
		jw_int(w, VOTE_VERSION - 1);
	}
}

/* ---------------------------------------------------------------- the first words */

#define HELLO_HEAD	20	/* version, sid, length */

ssize_t zab_hello_read(const u8 *p, size_t len, struct zab_hello *h, size_t *need)
{
	s32 n;

	memset(h, 0, sizeof(*h));
	*need = 8;
	if (len < *need)
		return 0;
	h->version = jute_get64(p);
	if (h->version >= 0) {
		h->sid = h->version;
		h->version = 0;
		return *need;
	}
	if (h->version != ZE_V1 && h->version != ZE_V2)
		return -EBADMSG;
	*need = HELLO_HEAD;
	if (len < *need)
		return 0;
	h->sid = jute_get64(p + 8);
	n = (s32)jute_get32(p + 16);
	if (n <= 0 || n > ZE_HELLO_MAX)
		return -EBADMSG;
	*need += n;
	if (len < *need)
		return 0;
	h->addrs = (const char *)p + HELLO_HEAD;
	h->len = n;
	return *need;
}

void zab_hello_write(struct jw *w, const struct zab_hello *h)
{
	jw_long(w, h->version);
	jw_long(w, h->sid);
	jw_str(w, h->addrs, h->len);
}
