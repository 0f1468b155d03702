// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Numbers drawn from the seed, names, users, passwords, and text.
 */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <time.h>
#include "differ.h"

#define TEXT_MAX 1048576

const char *const side_name[SIDES] = { "control", "subject" };

/* ------------------------------------------------------------ numbers */

static u64 state;

void rnd_seed(u64 seed)
{
	state = seed;
}

u64 rnd_state(void)
{
	return state;
}

/* splitmix64 */
u64 rnd64(void)
{
	u64 z = state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

u32 rnd(u32 n)
{
	return (u32)(rnd64() >> 32) % n;
}

void *must(void *p)
{
	if (!p)
		die("no memory");
	return p;
}

void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	fprintf(stderr, "differ: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

s64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* ------------------------------------------------------------ names */

const char *op_name(s32 op)
{
	static const char *const low[] = {
		"notification", "create", "delete", "exists", "getData", "setData",
		"getACL", "setACL", "getChildren", "sync", "10", "ping", "getChildren2",
		"check", "multi", "create2", "reconfig", "checkWatches", "removeWatches",
		"createContainer", "deleteContainer", "createTTL", "multiRead" };
	static const char *const high[] = {
		"auth", "setWatches", "sasl", "getEphemerals", "getAllChildrenNumber",
		"setWatches2", "addWatch", "whoAmI" };
	static char other[16];

	if (op >= 0 && op <= OP_MULTIREAD)
		return low[op];
	if (op >= OP_AUTH && op <= OP_WHOAMI)
		return high[op - OP_AUTH];
	if (op == OP_CLOSESESSION)
		return "closeSession";
	snprintf(other, sizeof(other), "%d", op);
	return other;
}

/* java.util.Random(sid ^ 0xB3415C00).nextBytes(16) */
void session_password(u64 sid, u8 *out)
{
	const u64 mask = (1ULL << 48) - 1;
	u64 x = ((sid ^ 0xB3415C00ULL) ^ 0x5DEECE66DULL) & mask;
	int i;

	for (i = 0; i < ZK_PASSWD_LEN; i++) {
		if (i % 4 == 0)
			x = (x * 0x5DEECE66DULL + 0xB) & mask;
		out[i] = x >> (16 + 8 * (i % 4));
	}
}

const char *user_auth(u32 n)
{
	static const char *const auths[USERS] = { "u0:p0", "u1:p1", "u2:p:2", ":p3" };

	return auths[n];
}

const char *user_id(u32 n)
{
	static char ids[USERS][64];
	u8 sha[SHA_DIGEST_LENGTH], b64[32];
	const char *a = user_auth(n);

	if (!ids[n][0]) {
		SHA1((const u8 *)a, strlen(a), sha);
		EVP_EncodeBlock(b64, sha, sizeof(sha));
		snprintf(ids[n], sizeof(ids[n]), "%.*s:%s", (int)strcspn(a, ":"), a, b64);
	}
	return ids[n];
}

/* ------------------------------------------------------------ text */

void t_reset(struct text *t)
{
	t->len = 0;
	if (t->s)
		t->s[0] = 0;
}

static char *t_room(struct text *t, u32 n)
{
	if (t->cap < t->len + n + 1) {
		t->cap = (t->len + n + 1) * 2;
		t->s = must(realloc(t->s, t->cap));
	}
	return t->s + t->len;
}

void t_str(struct text *t, const char *s)
{
	u32 n = strlen(s);

	if (t->len > TEXT_MAX)
		return;
	memcpy(t_room(t, n), s, n + 1);
	t->len += n;
}

void t_num(struct text *t, s64 v)
{
	char b[24], *p = b + sizeof(b) - 1;
	u64 u = v < 0 ? -(u64)v : (u64)v;

	*p = 0;
	do {
		*--p = '0' + u % 10;
		u /= 10;
	} while (u);
	if (v < 0)
		*--p = '-';
	t_str(t, p);
}

void t_fmt(struct text *t, const char *fmt, ...)
{
	char b[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b, sizeof(b), fmt, ap);
	va_end(ap);
	t_str(t, b);
}

void t_bytes(struct text *t, const u8 *p, s32 len)
{
	static const char hex[] = "0123456789abcdef";
	u64 h = 0xcbf29ce484222325ULL;
	s32 i;

	if (len < 0) {
		t_str(t, "null");
		return;
	}
	for (i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	if (len > 200) {
		t_fmt(t, "(%d bytes, hash %llx)", len, (unsigned long long)h);
		return;
	}
	t_str(t, "'");
	for (i = 0; i < len; i++) {
		char *q = t_room(t, 4);

		if (p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\\' && p[i] != '\'') {
			q[0] = p[i];
			q[1] = 0;
			t->len++;
		} else {
			q[0] = '\\';
			q[1] = hex[p[i] >> 4];
			q[2] = hex[p[i] & 15];
			q[3] = 0;
			t->len += 3;
		}
	}
	t_str(t, "'");
}
