/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jute, ZooKeeper's serialisation: big-endian integers, byte strings with an
 * int32 length (-1: null), vectors with an int32 count (BinaryInputArchive.java,
 * BinaryOutputArchive.java).
 *
 * A reader (struct jr) walks bytes that it does not own; what it returns points
 * into them. The first thing that does not fit sets ->err and makes every later
 * call return zero or NULL, so a decoder checks once, at its end.
 *
 * A writer (struct jw) appends to a growing buffer that it owns, up to ->limit;
 * failure (memory, limit) is sticky in ->err.
 *
 * Neither is shared between threads.
 */
#ifndef ZKD_PROTO_JUTE_H
#define ZKD_PROTO_JUTE_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

struct jr {
	const u8 *p;
	const u8 *end;
	int err;		/* 0 or -EBADMSG */
};

/* A byte string inside the bytes read: @p is NULL and @len -1 for null. */
struct jstr {
	const u8 *p;
	s32 len;
};

static inline void jr_init(struct jr *r, const void *p, size_t len)
{
	r->p = p;
	r->end = len ? r->p + len : r->p;	/* of no bytes @p may be NULL */
	r->err = 0;
}

static inline size_t jr_left(const struct jr *r)
{
	return r->end - r->p;
}

static inline const u8 *jr_take(struct jr *r, size_t n)
{
	const u8 *p = r->p;

	if (r->err || jr_left(r) < n) {
		r->err = -EBADMSG;
		return NULL;
	}
	r->p += n;
	return p;
}

static inline u32 jute_get32(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static inline u64 jute_get64(const u8 *p)
{
	return (u64)jute_get32(p) << 32 | jute_get32(p + 4);
}

static inline void jute_put32(u8 *p, u32 v)
{
	p[0] = v >> 24;
	p[1] = v >> 16;
	p[2] = v >> 8;
	p[3] = v;
}

static inline void jute_put64(u8 *p, u64 v)
{
	jute_put32(p, v >> 32);
	jute_put32(p + 4, v);
}

static inline s32 jr_int(struct jr *r)
{
	const u8 *p = jr_take(r, 4);

	return p ? (s32)jute_get32(p) : 0;
}

static inline s64 jr_long(struct jr *r)
{
	const u8 *p = jr_take(r, 8);

	return p ? (s64)jute_get64(p) : 0;
}

static inline bool jr_bool(struct jr *r)
{
	const u8 *p = jr_take(r, 1);

	return p ? *p != 0 : false;
}

/* A string or buffer. Any negative length is null, as in Java's readString and
 * readBuffer for -1; lengths below -1 are an error there and here. */
static inline struct jstr jr_str(struct jr *r)
{
	struct jstr s = { NULL, -1 };
	s32 n = jr_int(r);

	if (r->err || n == -1)
		return s;
	if (n < 0) {
		r->err = -EBADMSG;
		return s;
	}
	s.p = jr_take(r, n);
	s.len = s.p ? n : -1;
	return s;
}

struct jw {
	u8 *buf;
	size_t len;
	size_t cap;
	size_t limit;		/* bytes at most, 0: SIZE_MAX */
	int err;		/* 0, -ENOMEM or -EMSGSIZE */
};

static inline void jw_init(struct jw *w, size_t limit)
{
	memset(w, 0, sizeof(*w));
	w->limit = limit ? limit : (size_t)-1;
}

static inline void jw_free(struct jw *w)
{
	free(w->buf);
	memset(w, 0, sizeof(*w));
}

/* Room for @n more bytes without moving len; NULL (and err) if there is none. */
static inline u8 *jw_room(struct jw *w, size_t n)
{
	if (w->err)
		return NULL;
	if (n > w->limit - w->len) {
		w->err = -EMSGSIZE;
		return NULL;
	}
	if (w->cap - w->len < n) {
		size_t cap = w->cap ? w->cap * 2 : 256;
		u8 *b;

		if (cap < w->len + n)
			cap = w->len + n;
		b = realloc(w->buf, cap);
		if (!b) {
			w->err = -ENOMEM;
			return NULL;
		}
		w->buf = b;
		w->cap = cap;
	}
	return w->buf + w->len;
}

static inline u8 *jw_add(struct jw *w, size_t n)
{
	u8 *p = jw_room(w, n);

	if (p)
		w->len += n;
	return p;
}

static inline void jw_int(struct jw *w, s32 v)
{
	u8 *p = jw_add(w, 4);

	if (p)
		jute_put32(p, v);
}

static inline void jw_long(struct jw *w, s64 v)
{
	u8 *p = jw_add(w, 8);

	if (p)
		jute_put64(p, v);
}

static inline void jw_bool(struct jw *w, bool v)
{
	u8 *p = jw_add(w, 1);

	if (p)
		*p = v;
}

static inline void jw_bytes(struct jw *w, const void *b, size_t n)
{
	u8 *p = jw_add(w, n);

	if (p && n)
		memcpy(p, b, n);
}

/* A string or buffer; @len -1 writes null. */
static inline void jw_str(struct jw *w, const void *b, s32 len)
{
	jw_int(w, len);
	if (len > 0)
		jw_bytes(w, b, len);
}

/* Text as printf() has it, without a length; of a longer one its first JW_LINE - 1 bytes. */
#define JW_LINE	1024
static inline void jw_printf(struct jw *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline void jw_printf(struct jw *w, const char *fmt, ...)
{
	char line[JW_LINE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		jw_bytes(w, line, n < JW_LINE ? n : JW_LINE - 1);
}

#endif
