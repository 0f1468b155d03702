// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A transaction's bytes (TxnHeader, the record of its type, TxnDigest) as JSON and
 * as a line to read, field by field, and the bytes again from JSON. One table says
 * which fields a record has.
 *
 * Bytes that the fields would not give back (a bool that is 2, something behind the
 * digest, a type that is not known) are kept as "raw".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "disk.h"
#include "daemon/proto/zookeeper.h"

#define TXN_HEADER_LEN	32
#define DIGEST_LEN	12

enum kind { F_END, F_STR, F_DATA, F_ACL, F_BOOL, F_INT, F_LONG, F_PATHS, F_MULTI };

struct field {
	const char *name;
	enum kind kind;
	bool optional;		/* missing in what older servers wrote */
};

#define MAX_FIELDS	6

struct record {
	s32 type;
	const char *name;
	struct field fields[MAX_FIELDS];
};

static const struct record records[] = {
	{ OP_CREATE, "create", {
		{ "path", F_STR, 0 }, { "data", F_DATA, 0 }, { "acl", F_ACL, 0 },
		{ "ephemeral", F_BOOL, 0 }, { "parentCVersion", F_INT, 1 } } },
	{ OP_CREATE2, "create2", {
		{ "path", F_STR, 0 }, { "data", F_DATA, 0 }, { "acl", F_ACL, 0 },
		{ "ephemeral", F_BOOL, 0 }, { "parentCVersion", F_INT, 0 } } },
	{ OP_CREATECONTAINER, "createContainer", {
		{ "path", F_STR, 0 }, { "data", F_DATA, 0 }, { "acl", F_ACL, 0 },
		{ "parentCVersion", F_INT, 0 } } },
	{ OP_CREATETTL, "createTTL", {
		{ "path", F_STR, 0 }, { "data", F_DATA, 0 }, { "acl", F_ACL, 0 },
		{ "parentCVersion", F_INT, 0 }, { "ttl", F_LONG, 0 } } },
	{ OP_DELETE, "delete", { { "path", F_STR, 0 } } },
	{ OP_DELETECONTAINER, "deleteContainer", { { "path", F_STR, 0 } } },
	{ OP_SETDATA, "setData", {
		{ "path", F_STR, 0 }, { "data", F_DATA, 0 }, { "version", F_INT, 0 } } },
	{ OP_RECONFIG, "reconfig", {
		{ "path", F_STR, 0 }, { "data", F_DATA, 0 }, { "version", F_INT, 0 } } },
	{ OP_SETACL, "setACL", {
		{ "path", F_STR, 0 }, { "acl", F_ACL, 0 }, { "version", F_INT, 0 } } },
	{ OP_CHECK, "check", { { "path", F_STR, 0 }, { "version", F_INT, 0 } } },
	{ OP_CREATESESSION, "createSession", { { "timeout", F_INT, 0 } } },
	{ OP_CLOSESESSION, "closeSession", { { "paths", F_PATHS, 1 } } },
	{ OP_ERROR, "error", { { "err", F_INT, 0 } } },
	{ OP_MULTI, "multi", { { "txns", F_MULTI, 0 } } },
};

static const struct record *record_of(s32 type)
{
	size_t i;

	for (i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		if (records[i].type == type)
			return &records[i];
	}
	return NULL;
}

static const struct record *record_named(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		if (!strcmp(records[i].name, name))
			return &records[i];
	}
	return NULL;
}

/* Whether an optional field is there, and not already the digest. */
static bool is_there(const struct field *f, const struct jr *r)
{
	if (!f->optional)
		return true;
	if (jr_left(r) < 4)
		return false;
	return f->kind != F_PATHS || jr_left(r) != DIGEST_LEN || jute_get32(r->p) != 2;
}

/* ------------------------------------------------------------ to JSON */

static int fields_to_json(const struct record *rec, struct jr *r, json_t *o);

static int paths_to_json(struct jr *r, json_t *o, const char *key)
{
	s32 count = jr_int(r);
	json_t *list;
	int rc = 0;

	if (r->err || count < 0)
		return count < 0 ? -EBADMSG : r->err;
	list = json_array();
	while (list && !rc && count-- > 0) {
		struct jstr s = jr_str(r);

		if (r->err)
			rc = -EBADMSG;
		else if (json_array_append_new(list, dj_string(s.p, s.len)))
			rc = -ENOMEM;
	}
	if (!rc)
		return json_object_set_new(o, key, list) ? -ENOMEM : 0;
	json_decref(list);
	return rc;
}

static int member_to_json(struct jr *r, json_t *list)
{
	s32 type = jr_int(r);
	struct jstr s = jr_str(r);
	const struct record *rec = record_of(type);
	struct jr sub;
	json_t *o;
	int rc;

	if (r->err || s.len < 0 || !rec || type == OP_MULTI)
		return -EBADMSG;
	jr_init(&sub, s.p, s.len);
	o = json_object();
	if (!o)
		return -ENOMEM;
	rc = json_object_set_new(o, "type", json_string(rec->name)) ? -ENOMEM : 0;
	if (!rc)
		rc = fields_to_json(rec, &sub, o);
	if (!rc && json_array_append(list, o))
		rc = -ENOMEM;
	json_decref(o);
	return rc;
}

static int multi_to_json(struct jr *r, json_t *o, const char *key)
{
	s32 count = jr_int(r);
	json_t *list;
	int rc = 0;

	if (r->err || count < 0)
		return -EBADMSG;
	list = json_array();
	while (list && !rc && count-- > 0)
		rc = member_to_json(r, list);
	if (!rc)
		return json_object_set_new(o, key, list) ? -ENOMEM : 0;
	json_decref(list);
	return rc;
}

static int field_to_json(const struct field *f, struct jr *r, json_t *o)
{
	const u8 *start = r->p, *acl;
	struct jstr s;
	u32 len;
	int rc;

	switch (f->kind) {
	case F_STR:
		s = jr_str(r);
		return r->err ? r->err : dj_put_str(o, f->name, s.p, s.len);
	case F_DATA:
		s = jr_str(r);
		return r->err ? r->err : dj_put_data(o, f->name, s.p, s.len);
	case F_ACL:
		rc = txn_read_acl(r, &acl, &len);
		return rc ? rc : dj_put_acl(o, f->name, start, r->p - start);
	case F_BOOL:
		rc = dj_put_bool(o, f->name, jr_bool(r));
		break;
	case F_INT:
		rc = dj_put_int(o, f->name, jr_int(r));
		break;
	case F_LONG:
		rc = dj_put_int(o, f->name, jr_long(r));
		break;
	case F_PATHS:
		return paths_to_json(r, o, f->name);
	case F_MULTI:
		return multi_to_json(r, o, f->name);
	default:
		return -EBADMSG;
	}
	return r->err ? r->err : rc;
}

static int fields_to_json(const struct record *rec, struct jr *r, json_t *o)
{
	const struct field *f;
	int rc = 0;

	for (f = rec->fields; !rc && f < rec->fields + MAX_FIELDS && f->kind; f++) {
		if (!is_there(f, r))
			break;
		rc = field_to_json(f, r, o);
	}
	return rc;
}

static int digest_to_json(struct jr *r, json_t *o)
{
	json_t *d;
	int rc;

	if (jr_left(r) < DIGEST_LEN)
		return 0;
	d = json_object();
	if (!d)
		return -ENOMEM;
	rc = dj_put_int(d, "version", jr_int(r));
	if (!rc)
		rc = dj_put_hex(d, "value", jr_long(r));
	if (!rc)
		rc = json_object_set(o, "digest", d) ? -ENOMEM : 0;
	json_decref(d);
	return rc;
}

static int head_to_json(struct jr *r, json_t *o, s32 *type)
{
	u64 session = jr_long(r);
	s32 cxid = jr_int(r);
	s64 zxid = jr_long(r), time = jr_long(r);
	int rc;

	*type = jr_int(r);
	if (r->err)
		return r->err;
	rc = dj_put_int(o, "zxid", zxid);
	if (!rc)
		rc = dj_put_int(o, "time", time);
	if (!rc)
		rc = dj_put_hex(o, "session", session);
	return rc ? rc : dj_put_int(o, "cxid", cxid);
}

/* Whether the object gives these bytes again. */
static bool gives_back(const json_t *o, const u8 *bytes, u32 len)
{
	const char *what;
	struct jw w;
	bool same;

	jw_init(&w, 0);
	same = !txn_from_json(o, &w, &what) && w.len == len && !memcmp(w.buf, bytes, len);
	jw_free(&w);
	return same;
}

int txn_to_json(const u8 *bytes, u32 len, json_t **out)
{
	const struct record *rec = NULL;
	json_t *o = json_object();
	s32 type = 0;
	struct jr r;
	int rc;

	if (!o)
		return -ENOMEM;
	jr_init(&r, bytes, len);
	rc = head_to_json(&r, o, &type);
	if (!rc) {
		rec = record_of(type);
		rc = json_object_set_new(o, "type", rec ? json_string(rec->name) :
					 json_integer(type)) ? -ENOMEM : 0;
	}
	if (!rc && rec)
		rc = fields_to_json(rec, &r, o);
	if (!rc && rec)
		rc = digest_to_json(&r, o);
	if (rc != -ENOMEM && (rc || !rec || !gives_back(o, bytes, len)))
		rc = dj_put_data(o, "raw", bytes, len);
	if (rc) {
		json_decref(o);
		return rc;
	}
	*out = o;
	return 0;
}

/* ------------------------------------------------------------ from JSON */

static int fields_from_json(const struct record *rec, const json_t *o, struct jw *w,
			    const char **what);

static bool paths_from_json(const json_t *v, struct jw *w)
{
	const json_t *e;
	size_t i;

	if (!json_is_array(v))
		return false;
	jw_int(w, json_array_size(v));
	json_array_foreach(v, i, e) {
		if (!dj_get_str(e, w))
			return false;
	}
	return !w->err;
}

static bool multi_from_json(const json_t *v, struct jw *w, const char **what)
{
	const struct record *rec;
	const json_t *e;
	size_t i, at;

	if (!json_is_array(v))
		return false;
	jw_int(w, json_array_size(v));
	json_array_foreach(v, i, e) {
		const char *name = json_string_value(json_object_get(e, "type"));

		rec = name ? record_named(name) : NULL;
		if (!rec || rec->type == OP_MULTI) {
			*what = "type";
			return false;
		}
		jw_int(w, rec->type);
		at = w->len;
		jw_int(w, 0);
		if (fields_from_json(rec, e, w, what))
			return false;
		jute_put32(w->buf + at, w->len - at - 4);
	}
	return !w->err;
}

static bool field_from_json(const struct field *f, const json_t *o, struct jw *w,
			    const char **what)
{
	const json_t *v = json_object_get(o, f->name);

	switch (f->kind) {
	case F_STR:
		return dj_get_str(v, w);
	case F_DATA:
		return dj_get_data(v, w);
	case F_ACL:
		return dj_get_acl(v, w);
	case F_BOOL:
		jw_bool(w, json_is_true(v));
		return json_is_boolean(v);
	case F_INT:
		jw_int(w, json_integer_value(v));
		return json_is_integer(v) && json_integer_value(v) == (s32)json_integer_value(v);
	case F_LONG:
		jw_long(w, json_integer_value(v));
		return json_is_integer(v);
	case F_PATHS:
		return paths_from_json(v, w);
	case F_MULTI:
		return multi_from_json(v, w, what);
	default:
		return false;
	}
}

static int fields_from_json(const struct record *rec, const json_t *o, struct jw *w,
			    const char **what)
{
	const struct field *f;

	for (f = rec->fields; f < rec->fields + MAX_FIELDS && f->kind; f++) {
		if (f->optional && !json_object_get(o, f->name))
			break;
		*what = f->name;
		if (!field_from_json(f, o, w, what))
			return w->err ? w->err : -EBADMSG;
	}
	return 0;
}

static int raw_from_json(const json_t *o, struct jw *w)
{
	size_t at = w->len;

	if (!dj_get_data(json_object_get(o, "raw"), w))
		return w->err ? w->err : -EBADMSG;
	/* without the length that stands before data */
	memmove(w->buf + at, w->buf + at + 4, w->len - at - 4);
	w->len -= 4;
	return 0;
}

int txn_from_json(const json_t *o, struct jw *w, const char **what)
{
	const json_t *t = json_object_get(o, "type"), *d = json_object_get(o, "digest");
	const struct record *rec = json_is_string(t) ? record_named(json_string_value(t)) : NULL;
	s64 cxid, zxid, time, version;
	u64 session, value;
	int rc;

	*what = "raw";
	if (json_object_get(o, "raw"))
		return raw_from_json(o, w);
	*what = "zxid, time, session, cxid or type";
	if (!rec || !dj_get_int(o, "zxid", &zxid) || !dj_get_int(o, "time", &time) ||
	    !dj_get_hex(o, "session", &session) || !dj_get_int(o, "cxid", &cxid))
		return -EBADMSG;
	jw_long(w, session);
	jw_int(w, cxid);
	jw_long(w, zxid);
	jw_long(w, time);
	jw_int(w, rec->type);
	rc = fields_from_json(rec, o, w, what);
	if (rc || !d)
		return rc ? rc : w->err;
	*what = "digest";
	if (!dj_get_int(d, "version", &version) || !dj_get_hex(d, "value", &value))
		return -EBADMSG;
	jw_int(w, version);
	jw_long(w, value);
	return w->err;
}

/* ------------------------------------------------------------ to read */

static int fields_print(FILE *f, const struct record *rec, struct jr *r);

static void print_str(FILE *f, struct jstr s)
{
	out_escaped(f, s.len < 0 ? NULL : (const void *)s.p, s.len < 0 ? 0 : s.len);
}

static int acl_print(FILE *f, struct jr *r)
{
	const u8 *start = r->p, *acl;
	struct jw text;
	u32 len;
	int rc = txn_read_acl(r, &acl, &len);

	if (rc)
		return rc;
	jw_init(&text, 0);
	rc = dj_acl_text(&text, start, r->p - start);
	fputs(" acl=", f);
	out_escaped(f, text.buf ? (void *)text.buf : "", text.len);
	jw_free(&text);
	return rc;
}

static int paths_print(FILE *f, struct jr *r)
{
	s32 count = jr_int(r);

	while (!r->err && count-- > 0) {
		struct jstr s = jr_str(r);

		putc(' ', f);
		print_str(f, s);
	}
	return r->err;
}

static int multi_print(FILE *f, struct jr *r)
{
	s32 count = jr_int(r);
	int rc = r->err;

	fputs(" {", f);
	while (!rc && count-- > 0) {
		s32 type = jr_int(r);
		struct jstr s = jr_str(r);
		const struct record *rec = record_of(type);
		struct jr sub;

		if (r->err || !rec || type == OP_MULTI || s.len < 0)
			return -EBADMSG;
		jr_init(&sub, s.p, s.len);
		fprintf(f, " %s", rec->name);
		rc = fields_print(f, rec, &sub);
		putc(';', f);
	}
	fputs(" }", f);
	return rc;
}

static int field_print(FILE *f, const struct field *x, struct jr *r)
{
	struct jstr s;

	switch (x->kind) {
	case F_STR:
		s = jr_str(r);
		putc(' ', f);
		print_str(f, s);
		break;
	case F_DATA:
		s = jr_str(r);
		if (s.len < 0)
			fputs(" data=null", f);
		else
			fprintf(f, " data=%d", s.len);
		break;
	case F_ACL:
		return acl_print(f, r);
	case F_BOOL:
		if (jr_bool(r))
			fprintf(f, " %s", x->name);
		break;
	case F_INT:
		fprintf(f, " %s=%d", x->name, jr_int(r));
		break;
	case F_LONG:
		fprintf(f, " %s=%lld", x->name, jr_long(r));
		break;
	case F_PATHS:
		return paths_print(f, r);
	case F_MULTI:
		return multi_print(f, r);
	default:
		break;
	}
	return r->err;
}

static int fields_print(FILE *f, const struct record *rec, struct jr *r)
{
	const struct field *x;
	int rc = 0;

	for (x = rec->fields; !rc && x < rec->fields + MAX_FIELDS && x->kind; x++) {
		if (!is_there(x, r))
			break;
		rc = field_print(f, x, r);
	}
	return rc;
}

int txn_print(FILE *f, const u8 *bytes, u32 len)
{
	const struct record *rec;
	char when[32];
	struct jr r;
	u64 session, zxid;
	s32 cxid, type;
	s64 time;
	int rc = 0;

	jr_init(&r, bytes, len);
	session = jr_long(&r);
	cxid = jr_int(&r);
	zxid = jr_long(&r);
	time = jr_long(&r);
	type = jr_int(&r);
	if (r.err)
		return r.err;
	fprintf(f, "0x%llx %s session=0x%llx cxid=%d ", zxid, out_time(time, when), session,
		cxid);
	rec = record_of(type);
	if (rec) {
		fputs(rec->name, f);
		rc = fields_print(f, rec, &r);
	} else {
		fprintf(f, "type=%d bytes=%u", type, len);
	}
	if (!rc && rec && jr_left(&r) >= DIGEST_LEN) {
		s32 version = jr_int(&r);

		fprintf(f, " digest=%d:0x%llx", version, (u64)jr_long(&r));
	}
	putc('\n', f);
	return rc;
}
