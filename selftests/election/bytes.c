// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages as bytes. Those in hexadecimal come from Apache ZooKeeper 3.8.0's own classes
 * (FastLeaderElection.buildMsg(), QuorumPacket through BinaryOutputArchive).
 */
#include <string.h>

#include "daemon/zab/packet.h"
#include "selftests/election/election.h"

/* Between bytes there may be a space. */
static size_t unhex(const char *hex, u8 *out)
{
	unsigned int v;
	size_t n = 0;
	int took;

	for (; sscanf(hex, "%2x%n", &v, &took) == 1; hex += took)
		out[n++] = v;
	return n;
}

static bool bytes_are(const struct jw *w, const char *hex)
{
	u8 want[512];
	size_t n = unhex(hex, want);

	return !w->err && w->len == n && !memcmp(w->buf, want, n);
}

/* The packet, in pieces of a copy that ends where the bytes do. */
static void in_pieces(const char *hex, struct zab_packet *pkt, u8 *bytes)
{
	size_t n = unhex(hex, bytes), have = 0, needed = 1, i;
	ssize_t took;

	for (i = 0; i < n; i++) {
		u8 *copy = malloc(i + 1);

		need(copy);
		memcpy(copy, bytes, i);
		needed = 0;
		took = zab_packet_read(copy, i, 100, pkt, &needed);
		check_eq(took, 0);
		check(needed > i && needed <= n && needed >= have);
		have = needed;
		free(copy);
	}
	bytes[n] = 0xff;
	check_eq(zab_packet_read(bytes, n + 1, 100, pkt, &needed), n);
}

void test_packets(void)
{
	static const char ack[] = "000000030000000500000007ffffffffffffffff";
	static const char proposal[] = "0000000200000005000000070000000464617461ffffffff";
	static const char request[] = "00000001000000050000000700000004646174610000000200000002 "
		"6970000000093132372e302e302e310000000664696765737400000003753a70";
	struct zab_packet pkt;
	struct jw w;
	u8 bytes[256];

	in_pieces(ack, &pkt, bytes);
	check(pkt.type == ZP_ACK && pkt.zxid == 0x500000007 && pkt.len == -1 && !pkt.data &&
	      !pkt.auth);
	jw_init(&w, 0);
	zab_packet_write(&w, &pkt);
	check(bytes_are(&w, ack));
	jw_free(&w);

	in_pieces(proposal, &pkt, bytes);
	check(pkt.type == ZP_PROPOSAL && pkt.len == 4 && !memcmp(pkt.data, "data", 4) &&
	      !pkt.auth);
	jw_init(&w, 0);
	zab_packet_write(&w, &pkt);
	check(bytes_are(&w, proposal));
	jw_free(&w);

	in_pieces(request, &pkt, bytes);
	check(pkt.type == ZP_REQUEST && pkt.auth && pkt.auth_len == 40);
	jw_init(&w, 0);
	zab_packet_write(&w, &pkt);
	check(bytes_are(&w, request));
	jw_free(&w);

	check(!strcmp(zab_packet_name(ZP_INFORMANDACTIVATE), "INFORMANDACTIVATE") &&
	      !strcmp(zab_packet_name(ZP_REQUEST), "REQUEST") &&
	      !strcmp(zab_packet_name(0), "UNKNOWN") && !strcmp(zab_packet_name(-1), "UNKNOWN") &&
	      !strcmp(zab_packet_name(20), "UNKNOWN"));
}

static ssize_t read_hex(const char *hex, u32 max)
{
	u8 bytes[512];
	size_t n = unhex(hex, bytes), needed;
	struct zab_packet pkt;

	return zab_packet_read(bytes, n, max, &pkt, &needed);
}

void test_packet_refusals(void)
{
	/* types, lengths, counts; with nothing behind them */
	check_eq(read_hex("00000000", 100), -EBADMSG);
	check_eq(read_hex("00000014", 100), -EBADMSG);
	check_eq(read_hex("ffffffff", 100), -EBADMSG);
	check_eq(read_hex("000000020000000500000007fffffffe", 100), -EBADMSG);
	check_eq(read_hex("0000000200000005000000077fffffff", 100), -EBADMSG);
	check_eq(read_hex("00000002000000050000000700000069", 100), -EBADMSG);
	check_eq(read_hex("00000002000000050000000700000064", 100), 0);
	check_eq(read_hex("000000020000000500000007ffffffff7fffffff", 100), -EBADMSG);
	check_eq(read_hex("000000020000000500000007ffffffff0000000e", 100), -EBADMSG);
	check_eq(read_hex("000000020000000500000007ffffffff0000000c", 100), 0);
	check_eq(read_hex("000000020000000500000007ffffffff00000001000000027fffffff", 100), 0);
	check_eq(read_hex("000000020000000500000007ffffffff00000001000000026970fffffffe", 100),
		 -EBADMSG);
	/* data and ids together are more than there may be */
	check_eq(read_hex("000000020000000500000007000000030000000000000100000032", 40), -EBADMSG);
	/* a count that is negative is no ids, null ones are fine */
	check_eq(read_hex("000000020000000500000007fffffffffffffff0", 100), 20);
	check_eq(read_hex("000000020000000500000007ffffffff00000001ffffffffffffffff", 100), 28);
}

static int vote_hex(const char *hex, struct zab_vote *v, u8 *bytes)
{
	return zab_vote_read(bytes, unhex(hex, bytes), v);
}

#define VOTE_HEAD	"00000002000000000000000300000005000000070000000000000009"

void test_votes(void)
{
	static const char v40[] = VOTE_HEAD "000000000000000500000001";
	static const char v2[] = "00000000800000000000000000000005000000070000000000000009 "
		"000000000000000500000002000000247365727665722e313d683a313a323a "
		"7061727469636970616e740a76657273696f6e3d30";
	struct zab_vote v;
	struct jw w;
	u8 bytes[256];

	check_eq(vote_hex(VOTE_HEAD, &v, bytes), 0);
	check(v.state == PEER_LEADING && v.leader == 3 && v.zxid == 0x500000007 && v.round == 9 &&
	      v.epoch == 5 && !v.version && !v.config);
	check_eq(vote_hex(v40, &v, bytes), 0);
	check(v.epoch == 5 && !v.version && !v.config);
	jw_init(&w, 0);
	zab_vote_write(&w, &v);
	check(bytes_are(&w, v40));
	jw_free(&w);
	check_eq(vote_hex(v2, &v, bytes), 0);
	check(v.state == PEER_LOOKING && v.leader == 1ULL << 63 && v.version == 2 &&
	      v.config_len == 36 && !memcmp(v.config, "server.1=h:1:2:participant\nversion=0", 36));
	jw_init(&w, 0);
	zab_vote_write(&w, &v);
	check(bytes_are(&w, v2));
	jw_free(&w);
	/* version 1 has no configuration, whatever follows; a later one has at least that */
	check_eq(vote_hex(VOTE_HEAD "000000000000000600000001ff", &v, bytes), 0);
	check(v.epoch == 6 && v.version == 1 && !v.config);
	check_eq(vote_hex(VOTE_HEAD "0000000000000006000000030000000161ffff", &v, bytes), 0);
	check(v.version == 3 && v.config_len == 1 && *v.config == 'a');
	/* too short; a state that is none; lengths that lie */
	check_eq(vote_hex("", &v, bytes), -EBADMSG);
	check_eq(vote_hex("0000000200000000000000030000000500000007000000000000ff", &v, bytes),
		 -EBADMSG);
	check_eq(vote_hex(VOTE_HEAD "00", &v, bytes), -EBADMSG);
	check_eq(vote_hex(VOTE_HEAD "0000000000000005", &v, bytes), -EBADMSG);
	check_eq(vote_hex(VOTE_HEAD "0000000000000005000000", &v, bytes), -EBADMSG);
	check_eq(vote_hex(VOTE_HEAD "000000000000000500000002ff", &v, bytes), -EBADMSG);
	check_eq(vote_hex(VOTE_HEAD "000000000000000500000002ffffffff", &v, bytes), -EBADMSG);
	check_eq(vote_hex(VOTE_HEAD "0000000000000005000000027fffffff", &v, bytes), -EBADMSG);
	check_eq(vote_hex(VOTE_HEAD "000000000000000500000002000000026f", &v, bytes), -EBADMSG);
	check_eq(vote_hex("00000004" "000000000000000300000005000000070000000000000009", &v, bytes),
		 -EBADMSG);
	check_eq(vote_hex("ffffffff" "000000000000000300000005000000070000000000000009", &v, bytes),
		 -EBADMSG);
}

static ssize_t hello_hex(const char *hex, struct zab_hello *h, size_t *needed, u8 *bytes)
{
	return zab_hello_read(bytes, unhex(hex, bytes), h, needed);
}

void test_hellos(void)
{
	static const char v1[] = "ffffffffffff00000000000000000003000000046c3a3432";
	struct zab_hello h;
	struct jw w;
	u8 bytes[64];
	size_t needed, n;

	n = unhex(v1, bytes);
	for (size_t i = 0; i < n; i++) {
		check_eq(zab_hello_read(bytes, i, &h, &needed), 0);
		check_eq(needed, i < 8 ? 8 : i < 20 ? 20 : 24);
	}
	bytes[n] = 'x';
	check_eq(zab_hello_read(bytes, n + 1, &h, &needed), n);
	check(h.version == ZE_V1 && h.sid == 3 && h.len == 4 && !memcmp(h.addrs, "l:42", 4));
	jw_init(&w, 0);
	zab_hello_write(&w, &h);
	check(bytes_are(&w, v1));
	jw_free(&w);
	check_eq(hello_hex("ffffffffffff00010000000000000003000000016c", &h, &needed, bytes), 21);
	check(h.version == ZE_V2);
	/* the sid alone, as before there were versions */
	check_eq(hello_hex("0000000000000003ffff", &h, &needed, bytes), 8);
	check(!h.version && h.sid == 3 && !h.addrs && !h.len);
	check_eq(hello_hex("7fffffffffffffff", &h, &needed, bytes), 8);
	check(h.sid == ZE_NO_ID);
	/* another version, no address, one that is too long; SASL's magic; HTTP is a sid */
	check_eq(hello_hex("ffffffffffff0002", &h, &needed, bytes), -EBADMSG);
	check_eq(hello_hex("ffffffffffffffff", &h, &needed, bytes), -EBADMSG);
	check_eq(hello_hex("ffffffffffff0000000000000000000300000000", &h, &needed, bytes),
		 -EBADMSG);
	check_eq(hello_hex("ffffffffffff00000000000000000003ffffffff", &h, &needed, bytes),
		 -EBADMSG);
	check_eq(hello_hex("ffffffffffff0000000000000000000300000801", &h, &needed, bytes),
		 -EBADMSG);
	check_eq(hello_hex("ffffffffffff0000000000000000000300000800", &h, &needed, bytes), 0);
	check_eq(needed, 20 + 2048);
	check_eq(hello_hex("5f2435014e2435ed", &h, &needed, bytes), 8);
}
