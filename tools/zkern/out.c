// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Printing: stats as lines, everything as JSON. In JSON zxids and times (ms since
 * 1970) are numbers, session ids strings in hex (they can have the top bit set).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli.h"

static char *base64(const unsigned char *p, size_t len)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = malloc((len + 2) / 3 * 4 + 1), *o = out;
	size_t i;

	for (i = 0; out && i < len; i += 3) {
		size_t n = len - i;
		uint32_t v = p[i] << 16 | (n > 1 ? p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0);

		*o++ = digit[v >> 18];
		*o++ = digit[v >> 12 & 63];
		*o++ = n > 1 ? digit[v >> 6 & 63] : '=';
		*o++ = n > 2 ? digit[v & 63] : '=';
	}
	if (out)
		*o = '\0';
	return out;
}

int out_json_data(json_t *o, const void *data, size_t len)
{
	json_t *s;
	char *b;
	int err;

	if (!data) {
		err = json_object_set_new(o, "data", json_null());
		return err || json_object_set_new(o, "encoding", json_null()) ? -ENOMEM : 0;
	}
	s = json_stringn(data, len);	/* NULL if it is not UTF-8 */
	if (s) {
		err = json_object_set_new(o, "data", s);
		return err || json_object_set_new(o, "encoding", json_string("utf-8")) ?
			-ENOMEM : 0;
	}
	b = base64(data, len);
	if (!b)
		return -ENOMEM;
	err = json_object_set_new(o, "data", json_string(b)) ||
	      json_object_set_new(o, "encoding", json_string("base64"));
	free(b);
	return err ? -ENOMEM : 0;
}

static json_t *session(uint64_t id)
{
	char hex[24];

	snprintf(hex, sizeof(hex), "0x%llx", (unsigned long long)id);
	return json_string(hex);
}

json_t *out_json_stat(const struct zkern_stat *st)
{
	return json_pack("{sI sI sI sI sI si si si so si si}",
			 "czxid", (json_int_t)st->czxid, "mzxid", (json_int_t)st->mzxid,
			 "pzxid", (json_int_t)st->pzxid, "ctime", (json_int_t)st->ctime,
			 "mtime", (json_int_t)st->mtime, "version", st->version,
			 "cversion", st->cversion, "aversion", st->aversion,
			 "ephemeralOwner", session(st->ephemeral_owner),
			 "dataLength", st->data_len < 0 ? 0 : st->data_len,
			 "numChildren", st->num_children);
}

const char *out_via(struct cli *cli)
{
	switch (zkern_via(cli->zk)) {
	case ZKERN_VIA_DEVICE:
		return "device";
	case ZKERN_VIA_NETLINK:
		return "netlink";
	default:
		return "tcp";
	}
}

/* A znode's path is UTF-8 where a server checked it; a loaded tree's may not be. */
static json_t *path_string(const char *path)
{
	json_t *s = json_string(path);

	return s ? s : json_sprintf("(not UTF-8, %zu bytes)", strlen(path));
}

json_t *out_json(struct cli *cli, const char *path, const struct zkern_seen *seen)
{
	json_t *o = json_object();
	int err;

	err = json_object_set_new(o, "path", path_string(path));
	if (seen) {
		bool state = seen->state != ZKERN_STATE_UNKNOWN;
		bool age = seen->age_ms != ZKERN_AGE_UNKNOWN;

		err |= json_object_set_new(o, "zxid", json_integer(seen->zxid));
		err |= json_object_set_new(o, "state", state ?
				json_string(zkern_state_name(seen->state)) : json_null());
		err |= json_object_set_new(o, "age_ms", age ?
				json_integer(seen->age_ms) : json_null());
	}
	err |= json_object_set_new(o, "via", json_string(out_via(cli)));
	if (!err)
		return o;
	json_decref(o);
	return NULL;
}

int out_print_json(json_t *o)
{
	int err = o ? json_dumpf(o, stdout, JSON_COMPACT) : -1;

	json_decref(o);
	if (err) {
		cli_error("out of memory");
		return -ENOMEM;
	}
	putchar('\n');
	fflush(stdout);
	return 0;
}

const char *out_time(int64_t ms, char buf[32])
{
	int part = (int)(ms % 1000 + 1000) % 1000;
	time_t s = (ms - part) / 1000;
	struct tm tm;
	size_t n;

	/* what a client or a file says need not be a year of four digits */
	if (s < -62135596800LL || s > 253402300799LL || !gmtime_r(&s, &tm)) {
		snprintf(buf, 32, "%lldms", (long long)ms);
		return buf;
	}
	n = strftime(buf, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, 32 - n, ".%03dZ", part);
	return buf;
}

void out_stat(FILE *f, struct cli *cli, const struct zkern_stat *st,
	      const struct zkern_seen *seen)
{
	char c[32], m[32];

	fprintf(f, "czxid           0x%llx\n", (unsigned long long)st->czxid);
	fprintf(f, "mzxid           0x%llx\n", (unsigned long long)st->mzxid);
	fprintf(f, "pzxid           0x%llx\n", (unsigned long long)st->pzxid);
	fprintf(f, "ctime           %s\n", out_time(st->ctime, c));
	fprintf(f, "mtime           %s\n", out_time(st->mtime, m));
	fprintf(f, "version         %d\n", st->version);
	fprintf(f, "cversion        %d\n", st->cversion);
	fprintf(f, "aversion        %d\n", st->aversion);
	fprintf(f, "ephemeralOwner  0x%llx\n", (unsigned long long)st->ephemeral_owner);
	fprintf(f, "dataLength      %d\n", st->data_len < 0 ? 0 : st->data_len);
	fprintf(f, "numChildren     %d\n", st->num_children);
	fprintf(f, "zxid            0x%llx\n", (unsigned long long)seen->zxid);
	if (seen->state != ZKERN_STATE_UNKNOWN)
		fprintf(f, "state           %s\n", zkern_state_name(seen->state));
	if (seen->age_ms != ZKERN_AGE_UNKNOWN)
		fprintf(f, "age_ms          %llu\n", (unsigned long long)seen->age_ms);
	fprintf(f, "via             %s\n", out_via(cli));
}

void out_escaped(FILE *f, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t i;

	if (!data) {
		fputs("\\0", f);
		return;
	}
	for (i = 0; i < len; i++) {
		switch (p[i]) {
		case '\n':
			fputs("\\n", f);
			break;
		case '\t':
			fputs("\\t", f);
			break;
		case '\r':
			fputs("\\r", f);
			break;
		case '\\':
			fputs("\\\\", f);
			break;
		default:
			if (p[i] < 0x20 || p[i] == 0x7f)
				fprintf(f, "\\x%02x", p[i]);
			else
				fputc(p[i], f);
		}
	}
}
