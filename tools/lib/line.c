// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A line of those who wait, see line.h. Names are Curator's, "_c_UUID-KIND-NUMBER", so that
 * its users and ours stand in one line; who else ends so in a number of ten digits (kazoo)
 * is taken for one of the line as well, if its kind is the same.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "line.h"

#define NUMBER		10	/* digits, as the server writes it */
#define SLICE_MS	2000	/* of a wait on a device, see zkern_wait_change() */
#define TRIES		5	/* of a write whose connection was lost */

int zkern_guid(char out[LINE_GUID + 1])
{
	u8 b[16];
	int n = 0;

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return -errno;
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	for (int i = 0; i < 16; i++)
		n += snprintf(out + n, LINE_GUID + 1 - n, "%s%02x",
			      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
	return 0;
}

char *zkern_join(const char *dir, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", strcmp(dir, "/") ? dir : "", name) < 0)
		return NULL;
	return path;
}

static int no_memory(struct zkern *zk)
{
	return zkern_fail(zk, -ENOMEM, "out of memory");
}

bool zkern_maybe_done(const struct zkern *zk, int err)
{
	return err && !zkern_undone(zk) &&
	       (err == -ECONNRESET || err == -ETIMEDOUT || err == -EINTR);
}

int zkern_left_ms(s64 end)
{
	s64 left = end - zkern_now_ms();

	if (end < 0)
		return -1;
	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

int zkern_make_path(struct zkern *zk, const char *path)
{
	char *part = strdup(path), *end;
	int err = 0;

	if (!part)
		return no_memory(zk);
	for (end = part; !err && end; ) {
		end = strchr(end + 1, '/');
		if (end)
			*end = '\0';
		if (part[1]) {
			err = zkern_create(zk, part, "", 0, NULL, NULL, NULL);
			if (err == -EEXIST)
				err = 0;
		}
		if (end)
			*end = '/';
	}
	free(part);
	return err;
}

int zkern_wait_change(struct zkern *zk, const char *path, int timeout_ms)
{
	struct zkern_mapping *map;
	struct zkern_map_got got;
	char none[1];
	int err;

	err = zkern_map_open(zk, path, &map);
	if (err)
		return err == -ENOENT ? 1 : err;
	err = zkern_map_get(map, none, 0, &got, NULL);
	if (err && err != -EMSGSIZE) {
		zkern_map_close(map);
		return err == -ENOENT ? 1 : err;
	}
	if (zkern_via(zk) != ZKERN_VIA_TCP && (timeout_ms < 0 || timeout_ms > SLICE_MS))
		timeout_ms = SLICE_MS;
	err = zkern_map_wait(map, got.version, timeout_ms);
	zkern_map_close(map);
	return err;
}

/* ------------------------------------------------------------ names */

/* The number that the server gave @name, which is one of @kind; else -1. */
static s64 number_of(const char *name, const char *kind)
{
	size_t len = strlen(name), k = strlen(kind);
	s64 n = 0;

	if (len < k + NUMBER || strncmp(name + len - NUMBER - k, kind, k))
		return -1;
	for (const char *p = name + len - NUMBER; *p; p++) {
		if (*p < '0' || *p > '9')
			return -1;
		n = n * 10 + (*p - '0');
	}
	return n;
}

static bool is_ours(const struct line *l, const char *name)
{
	return !strncmp(name, "_c_", 3) && !strncmp(name + 3, l->guid, LINE_GUID) &&
	       number_of(name, l->kind) >= 0;
}

/* ------------------------------------------------------------ a place */

int line_init(struct line *l, struct zkern *zk, const char *dir, const char *kind)
{
	int err;

	memset(l, 0, sizeof(*l));
	l->zk = zk;
	l->kind = kind;
	err = zkern_check_path(zk, dir);
	if (err)
		return err;
	err = zkern_guid(l->guid);
	if (err)
		return zkern_fail(zk, err, "no random number: %s", strerror(-err));
	l->dir = strdup(dir);
	return l->dir ? 0 : no_memory(zk);
}

void line_free(struct line *l)
{
	free(l->dir);
	free(l->name);
	l->dir = NULL;
	l->name = NULL;
}

/* Our node has the name @name. */
static int found(struct line *l, const char *name)
{
	char *path = zkern_join(l->dir, name);
	struct zkern_value v;
	int err;

	if (!path)
		return no_memory(l->zk);
	err = zkern_exists(l->zk, path, NULL, &v);
	free(path);
	if (err)
		return err;
	l->zxid = v.stat.czxid;
	zkern_value_free(&v);
	l->name = strdup(name);
	return l->name ? 0 : no_memory(l->zk);
}

/* Looks for our node, after all that was asked before. Sets l->name if it is there. */
static int look_for_ours(struct line *l)
{
	struct zkern_children c;
	int err = zkern_sync(l->zk, l->dir);

	if (!err)
		err = zkern_children(l->zk, l->dir, NULL, &c);
	if (err == -ENOENT) {
		l->lost = false;
		return 0;
	}
	if (err)
		return err;
	for (size_t i = 0; !err && !l->name && i < c.count; i++)
		if (is_ours(l, c.name[i]))
			err = found(l, c.name[i]);
	if (!err)
		l->lost = false;
	zkern_children_free(&c);
	return err;
}

static int create_ours(struct line *l, const void *data, size_t len)
{
	struct zkern_create_params p = { .flags = ZKERN_EPHEMERAL | ZKERN_SEQUENTIAL };
	struct zkern_value v;
	char *path, *made;
	int err;

	if (asprintf(&path, "%s/_c_%s-%s", strcmp(l->dir, "/") ? l->dir : "", l->guid,
		     l->kind) < 0)
		return no_memory(l->zk);
	err = zkern_create(l->zk, path, data, len, &p, &made, &v);
	free(path);
	if (err) {
		l->lost = zkern_maybe_done(l->zk, err);
		return err;
	}
	l->name = strdup(strrchr(made, '/') + 1);
	l->zxid = v.stat.czxid;
	zkern_value_free(&v);
	free(made);
	l->lost = !l->name;
	return l->name ? 0 : no_memory(l->zk);
}

int line_join(struct line *l, const void *data, size_t len)
{
	int err = 0;

	for (int tries = TRIES; !l->name && tries; tries--) {
		if (l->lost)
			err = look_for_ours(l);
		if (!err && !l->name)
			err = create_ours(l, data, len);
		if (err == -ENOENT)
			err = zkern_make_path(l->zk, l->dir);
		if (err && err != -ECONNRESET)
			return err;
	}
	return l->name ? 0 : err ? err :
		zkern_fail(l->zk, -EAGAIN, "%s is deleted again and again", l->dir);
}

int line_place(struct line *l, u32 *place, char **ahead)
{
	struct zkern_want want = { .min_zxid = l->zxid };
	s64 mine = l->name ? number_of(l->name, l->kind) : -1, best = -1;
	const char *nearest = NULL;
	struct zkern_children c;
	bool there = false;
	int err;

	*place = 0;
	if (ahead)
		*ahead = NULL;
	if (!l->name)
		return zkern_fail(l->zk, -EINVAL, "%s: not in line", l->dir);
	err = zkern_children(l->zk, l->dir, zkern_via(l->zk) == ZKERN_VIA_TCP ? NULL : &want, &c);
	if (err && err != -ENOENT)
		return err;
	for (size_t i = 0; !err && i < c.count; i++) {
		s64 n = number_of(c.name[i], l->kind);

		there |= !strcmp(c.name[i], l->name);
		if (n < 0 || n >= mine)
			continue;
		++*place;
		if (n > best) {
			best = n;
			nearest = c.name[i];
		}
	}
	if (!there)
		err = zkern_fail(l->zk, -ESHUTDOWN, "%s/%s: the place in line is gone", l->dir,
				 l->name);
	if (!err && ahead && nearest) {
		*ahead = zkern_join(l->dir, nearest);
		err = *ahead ? 0 : no_memory(l->zk);
	}
	zkern_children_free(&c);
	return err;
}

int line_wait(struct line *l, int timeout_ms)
{
	s64 end = timeout_ms < 0 ? -1 : zkern_now_ms() + timeout_ms;

	for (;;) {
		char *ahead;
		u32 place;
		int err = line_place(l, &place, &ahead);

		if (err)
			return err;
		if (!place)
			return 1;
		err = zkern_left_ms(end);
		if (err)
			err = zkern_wait_change(l->zk, ahead, err);
		free(ahead);
		if (err < 0 || (!err && !zkern_left_ms(end)))
			return err;
	}
}

int line_stay(struct line *l, int timeout_ms)
{
	s64 end = timeout_ms < 0 ? -1 : zkern_now_ms() + timeout_ms;
	char *path = l->name ? zkern_join(l->dir, l->name) : NULL;
	int third = zkern_session_timeout(l->zk) / 3 + 1, err = 0;
	u32 place;

	if (!path)
		return l->name ? no_memory(l->zk) : line_place(l, &place, NULL);
	while (err >= 0) {
		int left = zkern_left_ms(end);

		err = line_place(l, &place, NULL);
		if (err || !left)
			break;
		err = zkern_wait_change(l->zk, path, left < 0 || left > third ? third : left);
	}
	free(path);
	return err;
}

int line_leave(struct line *l)
{
	int err = 0, tries = TRIES;
	char *path;

	if (l->lost)
		err = look_for_ours(l);
	if (err || !l->name)
		return err;
	path = zkern_join(l->dir, l->name);
	if (!path)
		return no_memory(l->zk);
	do
		err = zkern_delete(l->zk, path, -1);
	while (err == -ECONNRESET && --tries);
	free(path);
	if (err && err != -ENOENT && err != -ESHUTDOWN)
		return err;
	free(l->name);
	l->name = NULL;
	return 0;
}

int line_first(struct zkern *zk, const char *dir, const char *kind, char **path)
{
	const char *first = NULL;
	struct zkern_children c;
	s64 least = INT64_MAX;
	int err;

	*path = NULL;
	err = zkern_children(zk, dir, NULL, &c);
	if (err)
		return err == -ENOENT ? 0 : err;
	for (size_t i = 0; i < c.count; i++) {
		s64 n = number_of(c.name[i], kind);

		if (n >= 0 && n < least) {
			least = n;
			first = c.name[i];
		}
	}
	if (first) {
		*path = zkern_join(dir, first);
		err = *path ? 0 : no_memory(zk);
	}
	zkern_children_free(&c);
	return err;
}
