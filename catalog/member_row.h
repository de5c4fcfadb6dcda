/* What the header of an archive's member says of an inode. */
#ifndef REEL_CATALOG_MEMBER_ROW_H
#define REEL_CATALOG_MEMBER_ROW_H

#include "catalog/builder.h"
#include "tape/member.h"

/* Metadata, without a content; ctime and the inode's number at the source are
 * in no archive. Xattrs and names of owners go into `b`. */
int member_row(struct builder *b, const struct member *m,
	       struct inode_row *row);

#endif
