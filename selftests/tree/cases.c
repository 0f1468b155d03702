// SPDX-License-Identifier: GPL-2.0-or-later
/* The suite's table of contents. */
#include "zt.h"

const struct zt_case zt_cases[] = {
	{ "random operations against a model", zt_random },
	{ "random operations with replay against a model", zt_random_replay },
	{ "readers see whole transactions (A, B)", zt_readers },
	{ "pins stay as they were (A)", zt_pins_stable },
	{ "a pin's zxid and digest belong together", zt_pairs },
	{ "an aborted transaction leaves nothing (C)", zt_abort },
	{ "beyond the limit the oldest pin is revoked (G)", zt_retain_limit },
	{ "a pin of the owner's is not revoked (G)", zt_retain_owner_pin },
	{ "many children of one node (F)", zt_many_children },
	{ "closing a session with many ephemerals (F)", zt_close_many },
	{ "deep paths", zt_deep },
	{ "long names and odd bytes", zt_names },
	{ "bad input is refused", zt_bad_input },
	{ "index: equal and neighbouring hashes", zt_index_hashes },
	{ "index: readers never miss while it grows (E)", zt_index_readers },
	{ "paths and ACLs with equal hashes", zt_collisions },
	{ "ACLs are shared and go when unused", zt_acls_shared },
	{ "digests are those of Apache ZooKeeper's log", zt_apache_log },
	{ "replay over a fuzzy snapshot", zt_replay_rules },
	{ "a loaded tree equals the one it came from", zt_load },
	{ "a change beside the transactions", zt_aside },
	{ "quotas are counted with each transaction", zt_quota },
	{ "quotas of a loaded tree are counted anew", zt_quota_load },
	{ "the text of quotas", zt_track },
	{ NULL, NULL },
};
