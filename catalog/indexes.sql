CREATE INDEX IF NOT EXISTS entry_node ON entry (node) WHERE node IS NOT NULL;
CREATE INDEX IF NOT EXISTS past_node ON past (node) WHERE node IS NOT NULL;
