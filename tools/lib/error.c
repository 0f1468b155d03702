// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Errors: ZooKeeper's codes, the errno each is given to callers as (the table in
 * zkern.h), and one line of text for each.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "internal.h"

static const struct {
	int code;
	int err;
	const char *text;
} codes[] = {
	{ ZSYSTEMERROR, -EREMOTEIO, "the server had an internal error" },
	{ ZRUNTIMEINCONSISTENCY, -EREMOTEIO, "the server found itself inconsistent" },
	{ ZDATAINCONSISTENCY, -EREMOTEIO, "the server found its data inconsistent" },
	{ ZCONNECTIONLOSS, -ECONNRESET, "the connection was lost" },
	{ ZMARSHALLINGERROR, -EINVAL, "the server could not decode the request" },
	{ ZUNIMPLEMENTED, -EOPNOTSUPP, "the server does not offer this operation" },
	{ ZOPERATIONTIMEOUT, -ETIMEDOUT, "the operation took too long" },
	{ ZBADARGUMENTS, -EINVAL, "bad arguments" },
	{ ZUNKNOWNSESSION, -ESHUTDOWN, "the session is not known" },
	{ ZNONODE, -ENOENT, "no such znode" },
	{ ZNOAUTH, -EACCES, "permission denied by the znode's ACL" },
	{ ZBADVERSION, -EBADE, "the version is not the one expected" },
	{ ZNOCHILDRENFOREPHEMERALS, -ENOTDIR, "ephemeral znodes cannot have children" },
	{ ZNODEEXISTS, -EEXIST, "the znode already exists" },
	{ ZNOTEMPTY, -ENOTEMPTY, "the znode has children" },
	{ ZSESSIONEXPIRED, -ESHUTDOWN, "the session has expired" },
	{ ZINVALIDACL, -EINVAL, "invalid ACL" },
	{ ZAUTHFAILED, -EKEYREJECTED, "authentication failed" },
	{ ZSESSIONMOVED, -ESHUTDOWN, "the session has moved to another server" },
	{ ZNOTREADONLY, -EROFS, "the server is read-only" },
	{ ZEPHEMERALONLOCALSESSION, -EINVAL, "a local session cannot have ephemerals" },
	{ ZNOWATCHER, -ENOENT, "no such watch" },
	{ ZREQUESTTIMEOUT, -ETIMEDOUT, "the server answered too late" },
	{ ZRECONFIGDISABLED, -EOPNOTSUPP, "reconfiguration is switched off" },
	{ ZCLOSEDREQUIRESASL, -EKEYREJECTED, "the server demands SASL" },
	{ ZQUOTAEXCEEDED, -EDQUOT, "the quota is exceeded" },
	{ ZTHROTTLEDOP, -EBUSY, "the server is overloaded" },
};

#define N_CODES (sizeof(codes) / sizeof(codes[0]))

int zkern_errno_of(int code)
{
	size_t i;

	if (!code)
		return 0;
	for (i = 0; i < N_CODES; i++)
		if (codes[i].code == code)
			return codes[i].err;
	return -EREMOTEIO;
}

const char *zkern_code_text(int code)
{
	size_t i;

	for (i = 0; i < N_CODES; i++)
		if (codes[i].code == code)
			return codes[i].text;
	return NULL;
}

const char *zkern_strerror(int err)
{
	switch (err) {
	case -ENOENT:
		return "no such znode";
	case -EACCES:
		return "permission denied";
	case -EEXIST:
		return "the znode already exists";
	case -ENOTEMPTY:
		return "the znode has children";
	case -EBADE:
		return "the version is not the one expected";
	case -ENOTDIR:
		return "ephemeral znodes cannot have children";
	case -EKEYREJECTED:
		return "authentication failed";
	case -ESHUTDOWN:
		return "the session has expired";
	case -ECONNRESET:
		return "the connection was lost";
	case -ETIMEDOUT:
		return "no answer in time";
	case -ESTALE:
		return "the tree is not as fresh as asked, or there is none yet";
	case -ENODEV:
		return "no such instance";
	case -EDQUOT:
		return "the quota is exceeded";
	default:
		return strerror(-err);
	}
}

const char *zkern_state_name(uint32_t state)
{
	static const char *const names[] = {
		[ZKERN_STATE_EMPTY] = "empty",
		[ZKERN_STATE_LEADING] = "leading",
		[ZKERN_STATE_FOLLOWING] = "following",
		[ZKERN_STATE_OBSERVING] = "observing",
		[ZKERN_STATE_DISCONNECTED] = "disconnected",
		[ZKERN_STATE_ORPHANED] = "orphaned",
		[ZKERN_STATE_STANDALONE] = "standalone",
	};

	if (state < sizeof(names) / sizeof(names[0]))
		return names[state];
	return "unknown";
}

int zkern_fail(struct zkern *zk, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(zk->msg, sizeof(zk->msg), fmt, ap);
	va_end(ap);
	return err;
}

int zkern_fail_path(struct zkern *zk, int err, const char *path)
{
	const char *text = zk->zk_error ? zkern_code_text(zk->zk_error) : NULL;

	if (zk->zk_error && !text)
		return zkern_fail(zk, err, "%.400s: error %d from the server", path,
				  zk->zk_error);
	return zkern_fail(zk, err, "%.400s: %s", path, text ? text : zkern_strerror(err));
}

void zkern_why(const struct zkern *zk, char *why, size_t why_len)
{
	if (why && why_len)
		snprintf(why, why_len, "%s", zk->msg);
}
