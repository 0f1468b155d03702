// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The packets of one event, one by one, by whoever handles it: any thread. That they are
 * whole was seen when the event was made.
 */
#include "daemon/peer/peer.h"

/* Whether @pkt, of @n bytes at @at, has a later acknowledgement right behind it. */
static bool outdone(const struct zab_packet *pkt, const u8 *at, size_t n, size_t left)
{
	u64 next;

	if (pkt->type != ZP_ACK || n != ZP_HEAD || left < 2 * ZP_HEAD)
		return false;
	at += n;
	next = jute_get64(at + 4);
	return jute_get32(at) == ZP_ACK && (s32)jute_get32(at + 12) == -1 &&
	       (s32)jute_get32(at + 16) == -1 && (u32)pkt->zxid && next > pkt->zxid &&
	       next >> 32 == pkt->zxid >> 32;
}

bool peer_event_packet(struct peer_event *ev)
{
	const u8 *at;
	size_t left, need;
	ssize_t n;

	do {
		at = ev->bytes + ev->at;
		left = ev->len - ev->at;
		if (!left)
			return false;
		n = zab_packet_read(at, left, ev->len, &ev->packet, &need);
		if (n <= 0)
			return false;
		ev->at += n;
	} while (outdone(&ev->packet, at, n, left));
	return true;
}
