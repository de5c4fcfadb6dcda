CREATE INDEX IF NOT EXISTS content_key ON content (size, digest);
CREATE INDEX IF NOT EXISTS inode_content ON inode (content) WHERE content IS NOT NULL;
CREATE INDEX IF NOT EXISTS entry_inode ON entry (inode) WHERE node IS NULL;
