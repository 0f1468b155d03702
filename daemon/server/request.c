// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What threads share by reference: sets of identities, event bodies. The counts
 * are atomic, the contents immutable.
 */
#include <stdlib.h>

#include "daemon/server/request.h"

/* Any thread that has a reference; NULL is passed through. */
struct auth_set *auth_set_get(struct auth_set *a)
{
	if (a)
		__atomic_add_fetch(&a->refs, 1, __ATOMIC_RELAXED);
	return a;
}

void auth_set_put(struct auth_set *a)
{
	if (a && !__atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL))
		free(a);
}

void blob_put(struct blob *b)
{
	if (b && !__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL))
		free(b);
}
