-- The spool (spool.h): what differs from a snapshot. Version: user_version.
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
	-- base, inode, change, file (the numbers given last), tick

CREATE TABLE node (
	id INTEGER PRIMARY KEY,
	inode INTEGER NOT NULL,
	base INTEGER NOT NULL,
	parent INTEGER NOT NULL,
	state INTEGER NOT NULL,
	change INTEGER NOT NULL,
	mode INTEGER NOT NULL,
	uid INTEGER NOT NULL,
	gid INTEGER NOT NULL,
	nlink INTEGER NOT NULL,
	size INTEGER NOT NULL,
	blocks INTEGER NOT NULL,
	rdev INTEGER NOT NULL,
	mtime INTEGER NOT NULL,
	atime INTEGER NOT NULL,
	ctime INTEGER NOT NULL,
	flags INTEGER NOT NULL,
	content INTEGER NOT NULL,
	file INTEGER NOT NULL,
	synced INTEGER NOT NULL,
	digest BLOB,
	xattrs BLOB,
	target BLOB
);

CREATE TABLE entry (
	parent INTEGER NOT NULL,
	name BLOB NOT NULL,
	node INTEGER NOT NULL,
	state INTEGER NOT NULL,
	change INTEGER NOT NULL,
	PRIMARY KEY (parent, name)
) WITHOUT ROWID;
