// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One key's value into its field of struct config.
 */
#include <linux/compiler.h>
#include <linux/types.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/base/conf_impl.h"

int conf_set_str(char **field, const char *value)
{
	char *s = strdup(value);

	if (!s)
		return -ENOMEM;
	free(*field);
	*field = s;
	return 0;
}

/*
 * QuorumPeerConfig reads its own keys by Integer.parseInt: decimal. The system
 * properties go through Integer.decode: 0x10 and #10 are 16, 010 is 8.
 */
static bool is_decimal(const char *key)
{
	static const char *const keys[] = {
		"clientPort", "secureClientPort", "tickTime", "minSessionTimeout",
		"maxSessionTimeout", "maxClientCnxns", "autopurge.snapRetainCount",
		"autopurge.purgeInterval", "preAllocSize", "initLimit", "syncLimit",
		"cnxTimeout", "commitLogCount", "multiAddress.reachabilityCheckTimeoutMs",
	};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

static bool read_number(struct conf_load *l, const char *key, const char *value, s64 *v)
{
	const char *digits = value + (*value == '-' || *value == '+');
	int base = is_decimal(key) ? 10 : *digits == '#' ? 16 : 0;
	char *end;

	errno = 0;
	*v = strtoll(digits + (*digits == '#' && base == 16), &end, base);
	if (*value == '-')
		*v = -*v;
	if (isxdigit((unsigned char)digits[*digits == '#' && base == 16]) && !*end && !errno) {
		if (!base && *digits == '0' && isdigit((unsigned char)digits[1]))
			conf_say(l, CONFIG_WARN, key, "%.100s is octal, as in Java: %lld",
				 value, *v);
		return true;
	}
	conf_wrong(l, key, "not a number: %.100s", value);
	return false;
}

bool conf_number(struct conf_load *l, const char *key, const char *value, s64 min, s64 max,
		 s64 *v)
{
	if (!read_number(l, key, value, v))
		return false;
	if (*v >= min && *v <= max)
		return true;
	conf_wrong(l, key, "%lld is not in %lld to %lld", *v, min, max);
	return false;
}

bool conf_bool(struct conf_load *l, const char *key, const char *value, const char *yes,
	       const char *no, bool *v)
{
	bool is_yes = !strcasecmp(value, yes);

	if (is_yes || !strcasecmp(value, no)) {
		*v = is_yes;
		return true;
	}
	conf_wrong(l, key, "neither %s nor %s: %.100s", yes, no, value);
	return false;
}

static int set_low(struct conf_load *l, const struct conf_key *k, const char *value, u32 *field)
{
	int rc = 0;
	s64 v;

	if (!read_number(l, k->name, value, &v))
		return 0;
	if (v > k->max)
		return conf_wrong(l, k->name, "%lld is not in %lld to %lld", v, k->min, k->max);
	if (v < k->min) {
		if (k->min)
			rc = conf_say(l, CONFIG_WARN, k->name, "%lld is too low, taken as %lld",
				      v, k->min);
		v = k->min;
	}
	*field = v;
	return rc;
}

static int set_kib(struct conf_load *l, const struct conf_key *k, const char *value, u64 *field)
{
	s64 v;

	if (!read_number(l, k->name, value, &v))
		return 0;
	if (v > k->max)
		return conf_wrong(l, k->name, "%lld is more than %lld", v, k->max);
	*field = v > 0 ? (u64)v * 1024 : 0;
	return 0;
}

static int set_share(struct conf_load *l, const struct conf_key *k, const char *value,
		     double *field)
{
	char *end;
	double v = strtod(value, &end);

	if (!*value || *end)
		return conf_wrong(l, k->name, "not a number: %.100s", value);
	if (!(v >= k->min && v <= k->max))
		return conf_wrong(l, k->name, "%.100s is not in %lld to %lld", value, k->min,
				  k->max);
	*field = v;
	return 0;
}

int conf_set(struct conf_load *l, const struct conf_key *k, const char *value)
{
	char *field = (char *)l->cfg + k->offset;
	int rc = 0;
	s64 v;

	switch (k->kind) {
	case DIRECTORY:
		if (*value && *value != '/')
			rc = conf_say(l, CONFIG_WARN, k->name,
				      "%.200s is not absolute: it depends on where the daemon is started",
				      value);
		fallthrough;
	case STR:
		if (!*value)
			return conf_wrong(l, k->name, "is empty");
		return rc ? rc : conf_set_str((char **)field, value);
	case NUM:
		if (conf_number(l, k->name, value, k->min, k->max, &v))
			*(u32 *)field = v;
		return 0;
	case NUM_LOW:
		return set_low(l, k, value, (u32 *)field);
	case KIB:
		return set_kib(l, k, value, (u64 *)field);
	case SHARE:
		return set_share(l, k, value, (double *)field);
	case BOOL:
		conf_bool(l, k->name, value, "true", "false", (bool *)field);
		return 0;
	case YES:
		conf_bool(l, k->name, value, "yes", "no", (bool *)field);
		return 0;
	}
	return 0;
}
