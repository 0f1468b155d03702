// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ZooKeeper's tree digest, version 2 (DigestCalculator.java, AdHash.java): the sum
 * modulo 2^64 of each node's CRC-32 over path, data and stat as stored. Nodes below
 * /zookeeper/ count nothing, /zookeeper itself does; the root's path counts as "".
 * The part over path and data is kept with the data (struct zk_op.crc), so that a
 * change of the stat costs 60 bytes of CRC.
 */
#include <asm/unaligned.h>
#include <linux/crc32.h>

#include "internal.h"

u64 zk_node_digest(const struct zk_node *node, u64 zxid)
{
	struct zk_view view;
	const struct zk_stat *st = &view.stat;
	u8 b[60];

	if (zk_node_meta(node) & ZK_NODE_NO_DIGEST || !zk_view(node, zxid, &view))
		return 0;
	put_unaligned_be64(st->czxid, b);
	put_unaligned_be64(st->mzxid, b + 8);
	put_unaligned_be64(st->pzxid, b + 16);
	put_unaligned_be64(st->ctime, b + 24);
	put_unaligned_be64(st->mtime, b + 32);
	put_unaligned_be32(st->version, b + 40);
	put_unaligned_be32(st->cversion, b + 44);
	put_unaligned_be32(st->aversion, b + 48);
	put_unaligned_be64(st->owner, b + 52);
	/*
	 * crc32_le() leaves the inversions before and after to its caller; @crc has
	 * them, as CRC-32 is commonly given.
	 */
	return (u32)~crc32_le(~view.crc, b, sizeof(b));
}
