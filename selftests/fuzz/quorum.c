// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What other servers send, by the first byte: a packet, a notification and the membership
 * in it, the first words of an election connection, a membership alone. What is read lies
 * within the input; in pieces it is the same; written again it is the same bytes; and a
 * membership's text is that of the same membership.
 */
#include <sys/types.h>

#include "daemon/zab/ensemble.h"
#include "daemon/zab/packet.h"
#include "selftests/fuzz/drive.h"

#define PACKET_MAX	300

static bool within(const void *p, size_t n, const u8 *data, size_t len)
{
	const u8 *b = p;

	return b >= data && b <= data + len && n <= (size_t)(data + len - b);
}

static void same_bytes(struct jw *w, const u8 *data, size_t len, const char *what)
{
	if (w->err || w->len != len || (len && memcmp(w->buf, data, len)))
		fuzz_fail(what);
	jw_free(w);
}

/* What is too short says so, asks for more than there is, and for no more than it took. */
static void packet_pieces(const u8 *data, size_t took)
{
	struct zab_packet pkt;
	size_t i, need, last = 0;

	for (i = 0; i < took; i++) {
		need = 0;
		if (zab_packet_read(data, i, PACKET_MAX, &pkt, &need))
			fuzz_fail("a piece of a packet is a packet, or none");
		if (need <= i || need > took || need < last)
			fuzz_fail("a piece of a packet needs what it does not");
		last = need;
	}
}

static void packet(const u8 *data, size_t len)
{
	struct zab_packet pkt;
	struct jw w;
	size_t need = 0;
	ssize_t n = zab_packet_read(data, len, PACKET_MAX, &pkt, &need);

	if (!n && need <= len)
		fuzz_fail("more is needed, but not more than there is");
	if (n <= 0)
		return;
	if ((size_t)n > len || n > PACKET_MAX + ZP_HEAD ||
	    (pkt.len >= 0 && !within(pkt.data, pkt.len, data, n)) ||
	    (pkt.auth && !within(pkt.auth, pkt.auth_len, data, n)))
		fuzz_fail("a packet outside of what was read");
	if (!zab_packet_name(pkt.type)[0])
		fuzz_fail("a packet without a name");
	packet_pieces(data, n);
	jw_init(&w, 0);
	zab_packet_write(&w, &pkt);
	same_bytes(&w, data, n, "another packet is written");
}

static void members(const char *text, size_t len)
{
	char why[256] = "", *printed;
	struct ensemble *e = ensemble_parse(text, len, why, sizeof(why)), *again;
	struct idset all = { 0 };
	u32 i;

	if (!e) {
		if (!why[0])
			fuzz_fail("refused without a word");
		return;
	}
	printed = ensemble_print(e);
	if (!printed)
		fuzz_fail("out of memory");
	again = ensemble_parse(printed, strlen(printed), why, sizeof(why));
	if (!again || again->n != e->n || again->version != e->version ||
	    again->groups != e->groups || ensemble_voters(e) != ensemble_voters(again))
		fuzz_fail("the text is of another membership");
	for (i = 0; i < e->n; i++) {
		const struct peer *a = &e->peers[i], *b = ensemble_find(again, a->id);

		if (!b || a->observer != b->observer || a->weight != b->weight ||
		    a->group != b->group || a->n_addrs != b->n_addrs ||
		    a->client_port != b->client_port)
			fuzz_fail("the text is of another server");
		idset_add(&all, a->id);
		if (ensemble_quorum(e, &all) != ensemble_quorum(again, &all))
			fuzz_fail("the text has other quorums");
	}
	free(printed);
	ensemble_put(again);
	ensemble_put(e);
}

static void vote(const u8 *data, size_t len)
{
	struct zab_vote v, w_;
	struct jw w;

	if (zab_vote_read(data, len, &v))
		return;
	if (v.config && !within(v.config, v.config_len, data, len))
		fuzz_fail("a membership outside of what was read");
	if (v.config)
		members(v.config, v.config_len);
	jw_init(&w, 0);
	zab_vote_write(&w, &v);
	if (w.err || zab_vote_read(w.buf, w.len, &w_) || w_.state != v.state ||
	    w_.leader != v.leader || w_.zxid != v.zxid || w_.round != v.round ||
	    w_.epoch != v.epoch || w_.config_len != v.config_len)
		fuzz_fail("another vote is written");
	jw_free(&w);
}

static void hello(const u8 *data, size_t len)
{
	struct zab_hello h;
	struct jw w;
	size_t need = 0;
	ssize_t n = zab_hello_read(data, len, &h, &need);

	if (!n && need <= len)
		fuzz_fail("more is needed, but not more than there is");
	if (n <= 0)
		return;
	if ((size_t)n > len || h.len > ZE_HELLO_MAX ||
	    (h.addrs && !within(h.addrs, h.len, data, n)))
		fuzz_fail("first words outside of what was read");
	if (!h.addrs)
		return;
	jw_init(&w, 0);
	zab_hello_write(&w, &h);
	same_bytes(&w, data, n, "other first words are written");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	if (!len)
		return 0;
	switch (*data % 4) {
	case 0:
		packet(data + 1, len - 1);
		break;
	case 1:
		vote(data + 1, len - 1);
		break;
	case 2:
		hello(data + 1, len - 1);
		break;
	default:
		members((const char *)data + 1, len - 1);
	}
	return 0;
}
