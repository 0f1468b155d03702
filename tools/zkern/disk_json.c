// SPDX-License-Identifier: GPL-2.0-or-later
/* Values of the files on disk in JSON, both ways: see disk.h. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "disk.h"

#define B64	sodium_base64_VARIANT_ORIGINAL

static int put(json_t *o, const char *key, json_t *v)
{
	return json_object_set_new(o, key, v) ? -ENOMEM : 0;
}

int dj_put_int(json_t *o, const char *key, s64 v)
{
	return put(o, key, json_integer(v));
}

int dj_put_bool(json_t *o, const char *key, bool v)
{
	return put(o, key, json_boolean(v));
}

int dj_put_hex(json_t *o, const char *key, u64 v)
{
	char hex[24];

	snprintf(hex, sizeof(hex), "0x%llx", v);
	return put(o, key, json_string(hex));
}

static json_t *base64(const void *p, size_t len)
{
	size_t n = sodium_base64_ENCODED_LEN(len, B64);
	char *b = malloc(n);
	json_t *v = NULL;

	if (b) {
		sodium_bin2base64(b, n, p, len, B64);
		v = json_stringn_nocheck(b, n - 1);
	}
	free(b);
	return v;
}

json_t *dj_string(const void *p, s32 len)
{
	json_t *v;

	if (len < 0)
		return json_null();
	v = json_stringn(len ? p : "", len);	/* NULL if it is not UTF-8 */
	if (v)
		return v;
	v = json_object();
	if (v && !put(v, "base64", base64(p, len)))
		return v;
	json_decref(v);
	return NULL;
}

int dj_put_str(json_t *o, const char *key, const void *p, s32 len)
{
	return put(o, key, dj_string(p, len));
}

int dj_put_data(json_t *o, const char *key, const void *p, s32 len)
{
	return put(o, key, len < 0 ? json_null() : base64(p, len));
}

static int put_entry(json_t *list, struct jr *r)
{
	s32 perms = jr_int(r);
	struct jstr scheme = jr_str(r), id = jr_str(r);
	json_t *e;
	int rc;

	if (r->err)
		return -EBADMSG;
	e = json_object();
	if (!e)
		return -ENOMEM;
	rc = dj_put_int(e, "perms", perms);
	if (!rc)
		rc = dj_put_str(e, "scheme", scheme.p, scheme.len);
	if (!rc)
		rc = dj_put_str(e, "id", id.p, id.len);
	if (!rc && !json_array_append(list, e)) {
		json_decref(e);
		return 0;
	}
	json_decref(e);
	return rc ? rc : -ENOMEM;
}

int dj_put_acl(json_t *o, const char *key, const void *jute, u32 len)
{
	json_t *list;
	struct jr r;
	s32 count;
	int rc = 0;

	jr_init(&r, jute, len);
	count = jr_int(&r);
	if (r.err)
		return -EBADMSG;
	if (count < 0)
		return put(o, key, json_null());
	list = json_array();
	while (list && !rc && count-- > 0)
		rc = put_entry(list, &r);
	if (!rc)
		return put(o, key, list);
	json_decref(list);
	return rc;
}

/* ------------------------------------------------------------ the way back */

bool dj_get_int(const json_t *o, const char *key, s64 *v)
{
	const json_t *n = json_object_get(o, key);

	if (!json_is_integer(n))
		return false;
	*v = json_integer_value(n);
	return true;
}

bool dj_get_hex(const json_t *o, const char *key, u64 *v)
{
	const char *s = json_string_value(json_object_get(o, key));
	char *end;

	if (!s || s[0] != '0' || s[1] != 'x' || !s[2] || strlen(s) > 18)
		return false;
	*v = strtoull(s + 2, &end, 16);
	return !*end;
}

static bool unbase64(const json_t *v, struct jw *w)
{
	const char *s = json_string_value(v);
	size_t len = json_string_length(v), n = len / 4 * 3, at = w->len;
	u8 *p;

	if (!s || n > INT32_MAX)
		return false;
	jw_int(w, 0);
	p = jw_room(w, n + 1);
	if (!p || sodium_base642bin(p, n + 1, s, len, NULL, &n, NULL, B64))
		return false;
	w->len += n;
	jute_put32(w->buf + at, n);
	return true;
}

bool dj_get_data(const json_t *v, struct jw *w)
{
	if (!json_is_null(v))
		return unbase64(v, w);
	jw_int(w, -1);
	return !w->err;
}

bool dj_get_str(const json_t *v, struct jw *w)
{
	if (json_is_string(v)) {
		jw_str(w, json_string_value(v), json_string_length(v));
		return !w->err;
	}
	return dj_get_data(json_is_object(v) ? json_object_get(v, "base64") : v, w);
}

bool dj_get_acl(const json_t *v, struct jw *w)
{
	const json_t *e;
	size_t i;
	s64 perms;

	if (json_is_null(v)) {
		jw_int(w, -1);
		return !w->err;
	}
	if (!json_is_array(v))
		return false;
	jw_int(w, json_array_size(v));
	json_array_foreach(v, i, e) {
		if (!dj_get_int(e, "perms", &perms))
			return false;
		jw_int(w, perms);
		if (!dj_get_str(json_object_get(e, "scheme"), w) ||
		    !dj_get_str(json_object_get(e, "id"), w))
			return false;
	}
	return !w->err;
}

/* ------------------------------------------------------------ lines */

int dj_line(json_t *o)
{
	int err = o ? json_dumpf(o, stdout, JSON_COMPACT) : -1;

	json_decref(o);
	if (err) {
		cli_error(ferror(stdout) ? "standard output: cannot be written to" :
			  "out of memory");
		return ferror(stdout) ? -EPIPE : -ENOMEM;
	}
	putchar('\n');
	return ferror(stdout) ? -EPIPE : 0;
}

json_t *dj_next(FILE *f, int *err)
{
	json_error_t e;
	json_t *o;
	int c;

	*err = 0;
	do {
		c = getc(f);
	} while (c == '\n' || c == '\r' || c == ' ' || c == '\t');
	if (c == EOF) {
		if (ferror(f)) {
			*err = -EIO;
			cli_error("standard input: %s", strerror(errno));
		}
		return NULL;
	}
	ungetc(c, f);
	o = json_loadf(f, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &e);
	if (o && json_is_object(o))
		return o;
	json_decref(o);
	cli_error("standard input: %s", o ? "not an object" : e.text);
	*err = -EBADMSG;
	return NULL;
}

/* ------------------------------------------------------------ text */

int dj_acl_text(struct jw *out, const void *jute, u32 len)
{
	static const char letters[] = "rwcda";
	struct jr r;
	s32 count, i, n;

	jr_init(&r, jute, len);
	count = jr_int(&r);
	if (count < 0)
		jw_bytes(out, "null", 4);
	for (n = 0; n < count && !r.err; n++) {
		s32 perms = jr_int(&r);
		struct jstr scheme = jr_str(&r), id = jr_str(&r);

		if (r.err)
			break;
		if (n)
			jw_bytes(out, ",", 1);
		jw_bytes(out, scheme.p, scheme.len > 0 ? scheme.len : 0);
		jw_bytes(out, ":", 1);
		jw_bytes(out, id.p, id.len > 0 ? id.len : 0);
		jw_bytes(out, ":", 1);
		for (i = 0; i < 5; i++) {
			if (perms & 1 << i)
				jw_bytes(out, &letters[i], 1);
		}
	}
	return r.err ? r.err : out->err;
}
