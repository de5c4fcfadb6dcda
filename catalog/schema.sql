-- The catalogue, and (the same tables, one session's rows) a session's index.
-- times: ns since 1970, signed. Sizes, offsets: bytes. Version: user_version.
-- Indexes stand in indexes.sql: a session's index goes without them.

CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
	-- set (uuid text); next_node, next_inode, next_content, next_xattrs

CREATE TABLE session (
	id INTEGER PRIMARY KEY,
	epoch INTEGER NOT NULL,
	time INTEGER NOT NULL,       -- when the backup began
	finished INTEGER NOT NULL,
	label TEXT,
	host TEXT,
	first_volume INTEGER NOT NULL,
	stream INTEGER NOT NULL,     -- bytes of stream before the index
	files INTEGER NOT NULL,      -- in the snapshot: non-directories
	directories INTEGER NOT NULL,
	bytes INTEGER NOT NULL,      -- logical size of the snapshot's files
	new_files INTEGER NOT NULL,  -- read in this session
	new_bytes INTEGER NOT NULL,  -- of those, logical
	unique_bytes INTEGER NOT NULL, -- of those, contents stored for the first time
	copies INTEGER NOT NULL,     -- files single-instanced in this session
	problems INTEGER NOT NULL    -- left out or changed while read
);

-- Runs of frames, in stream order: frames = n x (le32 stored, le32 length,
-- le32 checksum). Up to 1,024 frames of one volume a row.
CREATE TABLE run (
	session INTEGER NOT NULL,
	stream INTEGER NOT NULL,
	volume INTEGER NOT NULL,
	position INTEGER NOT NULL,
	length INTEGER NOT NULL,     -- stream bytes in this run
	frames BLOB NOT NULL,
	PRIMARY KEY (session, stream)
) WITHOUT ROWID;

-- What is alive. node: the identity of a directory, else NULL. Node 1 is the
-- root; it has no entry of its own but one with parent 0 and name ''.
CREATE TABLE entry (
	parent INTEGER NOT NULL,
	name BLOB NOT NULL,
	since INTEGER NOT NULL,      -- session
	node INTEGER,
	inode INTEGER NOT NULL,
	PRIMARY KEY (parent, name)
) WITHOUT ROWID;

-- What was: seen in sessions since <= N < until.
CREATE TABLE past (
	parent INTEGER NOT NULL,
	name BLOB NOT NULL,
	since INTEGER NOT NULL,
	until INTEGER NOT NULL,
	node INTEGER,
	inode INTEGER NOT NULL,
	PRIMARY KEY (parent, name, since)
) WITHOUT ROWID;

-- One immutable version of a file's metadata; its id is st_ino (directories:
-- see tree.h). Names that share a row are hard links of each other.
CREATE TABLE inode (
	id INTEGER PRIMARY KEY,
	mode INTEGER NOT NULL,       -- type and permissions, as st_mode
	uid INTEGER NOT NULL,
	gid INTEGER NOT NULL,
	size INTEGER NOT NULL,       -- as st_size
	mtime INTEGER NOT NULL,
	atime INTEGER,               -- NULL: not kept, shown as mtime
	ctime INTEGER,               -- NULL: as mtime
	nlink INTEGER NOT NULL,
	source INTEGER NOT NULL,     -- st_ino where it was read; with
				     -- INODE_LIVING its st_ino in current/
	rdev INTEGER,                -- devices: major << 32 | minor
	blocks INTEGER,              -- st_blocks; NULL: (size + 4095) / 4096 * 8
	flags INTEGER NOT NULL,      -- INODE_* of tree.h
	xattrs INTEGER,
	content INTEGER,             -- files with bytes
	target BLOB                  -- symlinks
);

CREATE TABLE xattrs (id INTEGER PRIMARY KEY, packed BLOB NOT NULL);

-- One distinct content, stored once in an epoch.
CREATE TABLE content (
	id INTEGER PRIMARY KEY,
	size INTEGER NOT NULL,       -- of the file
	digest BLOB NOT NULL,        -- of the stored bytes (size of them, or
				     -- of a sparse file: map and runs)
	session INTEGER NOT NULL,
	offset INTEGER NOT NULL,     -- of the stored bytes in the stream
	sparse BLOB,                 -- n x (le64 offset, le64 length); runs
				     -- follow the map in the stream
	map_bytes INTEGER,           -- sparse: bytes of map before the runs
	sha256 BLOB                  -- of the stored bytes, where the set has it
);

-- Contents that have a name in the reserved folder.
CREATE TABLE keep (content INTEGER PRIMARY KEY, session INTEGER NOT NULL);

-- Names of owners as seen: kind 0 user, 1 group.
CREATE TABLE owner (
	kind INTEGER NOT NULL,
	id INTEGER NOT NULL,
	name TEXT NOT NULL,
	PRIMARY KEY (kind, id)
) WITHOUT ROWID;

-- The catalogue of a tape set has two more tables, where its volumes lie:
-- cartridge and place (places.c).
