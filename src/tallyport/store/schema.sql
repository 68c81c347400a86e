-- Made by tools/schema.py from store/tables. Do not edit.
BEGIN;
CREATE TABLE admin_audit (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	recorded_at INTEGER NOT NULL,
	actor TEXT NOT NULL,
	user_id TEXT,
	token_id TEXT,
	address TEXT,
	request_id TEXT,
	action TEXT NOT NULL,
	object TEXT NOT NULL,
	name TEXT,
	changes TEXT NOT NULL,
	digest TEXT NOT NULL
);
CREATE INDEX admin_audit_object ON admin_audit (object, id);
CREATE TABLE audit (
	id INTEGER NOT NULL,
	job_id TEXT NOT NULL,
	execution_id INTEGER,
	item_id INTEGER,
	level INTEGER NOT NULL,
	event TEXT NOT NULL,
	path BLOB,
	message TEXT NOT NULL,
	recorded_at INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX audit_item ON audit (item_id) WHERE item_id IS NOT NULL;
CREATE INDEX audit_job ON audit (job_id, id);
CREATE TABLE categories (
	id INTEGER NOT NULL,
	name TEXT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (name)
);
CREATE TABLE connections (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	platform TEXT NOT NULL,
	settings TEXT NOT NULL,
	sealed TEXT,
	measured TEXT,
	restricted BOOLEAN DEFAULT 0 NOT NULL,
	labels TEXT DEFAULT '[]' NOT NULL,
	max_transfers INTEGER,
	version INTEGER DEFAULT '1' NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT,
	modified_at INTEGER NOT NULL,
	deleted_at INTEGER,
	PRIMARY KEY (id)
);
CREATE TABLE containers (
	item_id INTEGER NOT NULL,
	job INTEGER NOT NULL,
	parent_id INTEGER NOT NULL,
	path BLOB NOT NULL,
	d_path BLOB NOT NULL,
	signature BLOB,
	files INTEGER DEFAULT '0' NOT NULL,
	bytes INTEGER DEFAULT '0' NOT NULL,
	unclean BOOLEAN DEFAULT 0 NOT NULL,
	execution_id INTEGER NOT NULL,
	PRIMARY KEY (item_id)
);
CREATE INDEX containers_parent ON containers (parent_id);
CREATE INDEX containers_path ON containers (job, path);
CREATE TABLE environments (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	is_production BOOLEAN NOT NULL,
	document TEXT NOT NULL,
	version INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	modified_at INTEGER NOT NULL,
	deleted_at INTEGER,
	PRIMARY KEY (id)
);
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	topic TEXT NOT NULL,
	job_id TEXT,
	execution_id INTEGER,
	domain TEXT NOT NULL,
	operation TEXT NOT NULL,
	environment TEXT NOT NULL,
	space TEXT,
	facts TEXT NOT NULL,
	actor TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	acknowledged_at INTEGER,
	acknowledged_by TEXT
);
CREATE INDEX events_job ON events (job_id, id);
CREATE TABLE identity (
	id INTEGER NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE invitations (
	id TEXT NOT NULL,
	digest TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at INTEGER,
	PRIMARY KEY (id),
	UNIQUE (digest)
);
CREATE TABLE items (
	id INTEGER NOT NULL,
	job INTEGER NOT NULL,
	parent_id INTEGER NOT NULL,
	name BLOB NOT NULL,
	kind INTEGER NOT NULL,
	status INTEGER NOT NULL,
	reason TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	s_size INTEGER,
	s_modified INTEGER,
	s_tag BLOB,
	d_size INTEGER,
	d_modified INTEGER,
	d_tag BLOB,
	hash BLOB,
	level INTEGER NOT NULL,
	d_name BLOB,
	processing TEXT,
	message TEXT,
	execution_id INTEGER NOT NULL,
	settled_at INTEGER NOT NULL,
	lost INTEGER,
	PRIMARY KEY (id),
	CONSTRAINT kind_known CHECK (kind BETWEEN 1 AND 4),
	CONSTRAINT status_known CHECK (status BETWEEN 0 AND 6),
	CONSTRAINT level_known CHECK (level BETWEEN 0 AND 5)
);
CREATE INDEX items_job ON items (job, status, id);
CREATE INDEX items_lost ON items (job, id, lost) WHERE lost > 0;
CREATE UNIQUE INDEX items_name ON items (parent_id, name, job);
CREATE INDEX items_renamed ON items (parent_id, d_name) WHERE d_name IS NOT NULL;
CREATE TABLE linked_names (
	item_id INTEGER NOT NULL,
	job INTEGER NOT NULL,
	device INTEGER NOT NULL,
	inode INTEGER NOT NULL,
	PRIMARY KEY (item_id)
);
CREATE INDEX linked_names_file ON linked_names (job, device, inode);
CREATE TABLE locks (
	job INTEGER NOT NULL,
	side TEXT NOT NULL,
	"key" BLOB NOT NULL,
	path BLOB NOT NULL,
	d_path BLOB NOT NULL,
	token TEXT NOT NULL,
	execution_id INTEGER NOT NULL,
	PRIMARY KEY (job, side, "key"),
	CONSTRAINT side_word CHECK (side IN ('source', 'destination'))
);
CREATE TABLE named_secrets (
	id TEXT NOT NULL,
	environment TEXT NOT NULL,
	space TEXT NOT NULL,
	actor TEXT NOT NULL,
	name TEXT NOT NULL,
	sealed TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	modified_at INTEGER NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT secret_named_once UNIQUE (environment, space, actor, name)
);
CREATE TABLE replies (
	principal TEXT NOT NULL,
	"key" TEXT NOT NULL,
	request TEXT NOT NULL,
	status INTEGER,
	headers TEXT DEFAULT '{}' NOT NULL,
	body BLOB,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (principal, "key")
);
CREATE TABLE security_map (
	job INTEGER NOT NULL,
	side TEXT NOT NULL,
	source TEXT NOT NULL,
	resolution TEXT NOT NULL,
	destination TEXT,
	message TEXT,
	permissions INTEGER NOT NULL,
	execution_id INTEGER NOT NULL,
	PRIMARY KEY (job, side, source),
	CONSTRAINT side_word CHECK (side IN ('source', 'destination'))
);
CREATE TABLE unresolved (
	job INTEGER NOT NULL,
	number INTEGER NOT NULL,
	PRIMARY KEY (job)
);
CREATE TABLE users (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	email TEXT,
	password TEXT,
	role TEXT NOT NULL,
	disabled BOOLEAN DEFAULT 0 NOT NULL,
	failures INTEGER DEFAULT '0' NOT NULL,
	locked_until INTEGER,
	created_at INTEGER NOT NULL,
	version INTEGER DEFAULT '1' NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT role_word CHECK (role IN ('viewer', 'operator', 'manager', 'admin', 'auditor')),
	UNIQUE (name)
);
CREATE TABLE webhooks (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	url TEXT NOT NULL,
	topics TEXT DEFAULT '[]' NOT NULL,
	job_id TEXT,
	sealed TEXT NOT NULL,
	disabled TEXT,
	cursor INTEGER NOT NULL,
	resting_until INTEGER DEFAULT '0' NOT NULL,
	served_until INTEGER DEFAULT '0' NOT NULL,
	version INTEGER DEFAULT '1' NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT,
	modified_at INTEGER NOT NULL,
	deleted_at INTEGER,
	PRIMARY KEY (id)
);
CREATE TABLE workers (
	id TEXT NOT NULL,
	host TEXT NOT NULL,
	pid INTEGER NOT NULL,
	version TEXT NOT NULL,
	labels TEXT DEFAULT '' NOT NULL,
	width INTEGER NOT NULL,
	started_at INTEGER NOT NULL,
	beat_at INTEGER NOT NULL,
	draining BOOLEAN DEFAULT 0 NOT NULL,
	trouble TEXT,
	PRIMARY KEY (id)
);
CREATE TABLE connection_users (
	connection_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	PRIMARY KEY (connection_id, user_id),
	FOREIGN KEY(connection_id) REFERENCES connections (id),
	FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE TABLE deliveries (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	webhook_id TEXT NOT NULL,
	event_id INTEGER NOT NULL,
	topic TEXT NOT NULL,
	body TEXT NOT NULL,
	state TEXT NOT NULL,
	attempts INTEGER DEFAULT '0' NOT NULL,
	next_at INTEGER,
	created_at INTEGER NOT NULL,
	ended_at INTEGER,
	CONSTRAINT state_word CHECK (state IN ('pending', 'delivered', 'dead')),
	CONSTRAINT pending_has_time CHECK ((state = 'pending') = (next_at IS NOT NULL)),
	FOREIGN KEY(webhook_id) REFERENCES webhooks (id)
);
CREATE INDEX deliveries_due ON deliveries (webhook_id, state, id);
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE jobs (
	id TEXT NOT NULL,
	number INTEGER NOT NULL,
	kind TEXT NOT NULL,
	name TEXT NOT NULL,
	description TEXT,
	managed BOOLEAN DEFAULT 1 NOT NULL,
	state TEXT NOT NULL,
	result TEXT,
	source_connection TEXT,
	source_path BLOB DEFAULT '' NOT NULL,
	destination_connection TEXT,
	destination_path BLOB DEFAULT '' NOT NULL,
	transfer_type TEXT,
	transfer TEXT DEFAULT '{}' NOT NULL,
	schedule TEXT DEFAULT '{}' NOT NULL,
	schedule_mode TEXT DEFAULT 'manual' NOT NULL,
	stop_policy TEXT DEFAULT '{}' NOT NULL,
	category_id INTEGER,
	priority INTEGER DEFAULT '0' NOT NULL,
	parent_id TEXT,
	part INTEGER,
	on_predecessor_failure TEXT DEFAULT 'hold' NOT NULL,
	lease_until INTEGER,
	extra TEXT DEFAULT '{}' NOT NULL,
	warnings TEXT DEFAULT '[]' NOT NULL,
	held BOOLEAN DEFAULT 0 NOT NULL,
	closed BOOLEAN DEFAULT 0 NOT NULL,
	disabled TEXT,
	next_run_at INTEGER,
	reset TEXT,
	root_item_id INTEGER,
	execution_id INTEGER,
	executions INTEGER DEFAULT '0' NOT NULL,
	successes INTEGER DEFAULT '0' NOT NULL,
	failures INTEGER DEFAULT '0' NOT NULL,
	version INTEGER DEFAULT '1' NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT,
	modified_at INTEGER NOT NULL,
	deleted_at INTEGER,
	PRIMARY KEY (id),
	CONSTRAINT state_word CHECK (state IN ('created', 'planning', 'scheduled', 'ready', 'waiting', 'executing', 'pausing', 'paused', 'canceling', 'canceled', 'complete', 'failed', 'failed_to_start')),
	CONSTRAINT schedule_mode_word CHECK (schedule_mode IN ('auto', 'manual', 'ad-hoc')),
	CONSTRAINT on_predecessor_failure_word CHECK (on_predecessor_failure IN ('hold', 'fail', 'run')),
	UNIQUE (number),
	FOREIGN KEY(source_connection) REFERENCES connections (id),
	FOREIGN KEY(destination_connection) REFERENCES connections (id),
	FOREIGN KEY(category_id) REFERENCES categories (id),
	FOREIGN KEY(parent_id) REFERENCES jobs (id)
);
CREATE UNIQUE INDEX jobs_child ON jobs (parent_id, source_path) WHERE parent_id IS NOT NULL AND part IS NULL AND deleted_at IS NULL AND managed IS 1;
CREATE INDEX jobs_due ON jobs (next_run_at) WHERE next_run_at IS NOT NULL;
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX jobs_listed ON jobs (created_at, id);
CREATE INDEX jobs_parent ON jobs (parent_id, part) WHERE parent_id IS NOT NULL;
CREATE TABLE maps (
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	name TEXT NOT NULL,
	source_connection TEXT,
	destination_connection TEXT,
	document TEXT NOT NULL,
	version INTEGER DEFAULT '1' NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT,
	modified_at INTEGER NOT NULL,
	deleted_at INTEGER,
	PRIMARY KEY (id),
	CONSTRAINT kind_word CHECK (kind IN ('account_map', 'group_map')),
	FOREIGN KEY(source_connection) REFERENCES connections (id),
	FOREIGN KEY(destination_connection) REFERENCES connections (id)
);
CREATE TABLE probes (
	place TEXT NOT NULL,
	connection_id TEXT NOT NULL,
	path BLOB NOT NULL,
	uploads TEXT NOT NULL,
	holder TEXT NOT NULL,
	begun_at INTEGER NOT NULL,
	PRIMARY KEY (place),
	FOREIGN KEY(connection_id) REFERENCES connections (id)
);
CREATE INDEX probes_connection ON probes (connection_id);
CREATE TABLE tokens (
	id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	digest TEXT NOT NULL,
	kind TEXT NOT NULL,
	name TEXT,
	scopes TEXT DEFAULT '' NOT NULL,
	created_at INTEGER NOT NULL,
	used_at INTEGER NOT NULL,
	idle_seconds INTEGER,
	expires_at INTEGER,
	revoked_at INTEGER,
	family TEXT,
	PRIMARY KEY (id),
	CONSTRAINT kind_word CHECK (kind IN ('session', 'personal', 'server')),
	FOREIGN KEY(user_id) REFERENCES users (id),
	UNIQUE (digest)
);
CREATE INDEX tokens_family ON tokens (family) WHERE family IS NOT NULL;
CREATE TABLE views (
	id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	list TEXT NOT NULL,
	name TEXT NOT NULL,
	"query" TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT view_named_once UNIQUE (user_id, list, name),
	CONSTRAINT list_word CHECK (list IN ('jobs', 'items', 'failed')),
	FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE TABLE widths (
	connection_id TEXT NOT NULL,
	worker TEXT NOT NULL,
	places INTEGER,
	waits_until INTEGER,
	found_at INTEGER NOT NULL,
	PRIMARY KEY (connection_id, worker),
	CONSTRAINT places_possible CHECK (places BETWEEN 1 AND 1024),
	FOREIGN KEY(connection_id) REFERENCES connections (id)
);
CREATE TABLE delivery_attempts (
	delivery_id INTEGER NOT NULL,
	number INTEGER NOT NULL,
	attempted_at INTEGER NOT NULL,
	milliseconds INTEGER NOT NULL,
	status INTEGER,
	answer TEXT NOT NULL,
	PRIMARY KEY (delivery_id, number),
	FOREIGN KEY(delivery_id) REFERENCES deliveries (id)
);
CREATE TABLE error_categories (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	job_id TEXT,
	name TEXT NOT NULL,
	description TEXT DEFAULT '' NOT NULL,
	rules TEXT NOT NULL,
	action TEXT NOT NULL,
	max_retry INTEGER NOT NULL,
	level TEXT NOT NULL,
	priority INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	CONSTRAINT action_word CHECK (action IN ('retry', 'ignore', 'halt')),
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE INDEX error_categories_job ON error_categories (job_id);
CREATE TABLE executions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	job_id TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	retry_of INTEGER,
	"trigger" TEXT NOT NULL,
	state TEXT NOT NULL,
	result TEXT,
	phase TEXT DEFAULT 'pending' NOT NULL,
	scope TEXT,
	policies TEXT NOT NULL,
	token TEXT NOT NULL,
	simulation BOOLEAN DEFAULT 0 NOT NULL,
	reset TEXT,
	"full" BOOLEAN DEFAULT 0 NOT NULL,
	info TEXT,
	wait_until INTEGER,
	wait_reason TEXT,
	waits INTEGER DEFAULT '0' NOT NULL,
	waited_at INTEGER DEFAULT '0' NOT NULL,
	deadline INTEGER,
	approved_deletes INTEGER DEFAULT '0' NOT NULL,
	revision INTEGER DEFAULT '0' NOT NULL,
	halted_by TEXT,
	files INTEGER DEFAULT '0' NOT NULL,
	bytes INTEGER DEFAULT '0' NOT NULL,
	folders INTEGER DEFAULT '0' NOT NULL,
	transferred INTEGER DEFAULT '0' NOT NULL,
	transferred_bytes INTEGER DEFAULT '0' NOT NULL,
	unchanged INTEGER DEFAULT '0' NOT NULL,
	unchanged_bytes INTEGER DEFAULT '0' NOT NULL,
	skipped INTEGER DEFAULT '0' NOT NULL,
	failed INTEGER DEFAULT '0' NOT NULL,
	failed_folders INTEGER DEFAULT '0' NOT NULL,
	deleted INTEGER DEFAULT '0' NOT NULL,
	writes INTEGER DEFAULT '0' NOT NULL,
	pending INTEGER DEFAULT '0' NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT,
	started_at INTEGER,
	ended_at INTEGER,
	acknowledged_at INTEGER,
	CONSTRAINT state_word CHECK (state IN ('created', 'planning', 'scheduled', 'ready', 'waiting', 'executing', 'pausing', 'paused', 'canceling', 'canceled', 'complete', 'failed', 'failed_to_start')),
	CONSTRAINT result_word CHECK (result IN ('clean', 'no_changes', 'warnings', 'errors')),
	CONSTRAINT ended_has_time CHECK ((state IN ('canceled', 'complete', 'failed', 'failed_to_start')) = (ended_at IS NOT NULL)),
	CONSTRAINT complete_has_result CHECK (state <> 'complete' OR result IS NOT NULL),
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE INDEX executions_job ON executions (job_id, id);
CREATE INDEX executions_open ON executions (state) WHERE ended_at IS NULL;
CREATE TABLE map_exceptions (
	id INTEGER NOT NULL,
	map_id TEXT NOT NULL,
	"key" TEXT NOT NULL,
	source_id TEXT DEFAULT '' NOT NULL,
	source_username TEXT DEFAULT '' NOT NULL,
	source_name TEXT DEFAULT '' NOT NULL,
	source_caption TEXT DEFAULT '' NOT NULL,
	source_email TEXT DEFAULT '' NOT NULL,
	destination_id TEXT DEFAULT '' NOT NULL,
	destination_username TEXT DEFAULT '' NOT NULL,
	destination_name TEXT DEFAULT '' NOT NULL,
	destination_caption TEXT DEFAULT '' NOT NULL,
	destination_email TEXT DEFAULT '' NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(map_id) REFERENCES maps (id)
);
CREATE UNIQUE INDEX map_exceptions_key ON map_exceptions (map_id, "key");
CREATE TABLE map_exclusions (
	id INTEGER NOT NULL,
	map_id TEXT NOT NULL,
	side TEXT NOT NULL,
	"key" TEXT NOT NULL,
	principal_id TEXT DEFAULT '' NOT NULL,
	principal_username TEXT DEFAULT '' NOT NULL,
	principal_name TEXT DEFAULT '' NOT NULL,
	principal_caption TEXT DEFAULT '' NOT NULL,
	principal_email TEXT DEFAULT '' NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT side_word CHECK (side IN ('source', 'destination')),
	FOREIGN KEY(map_id) REFERENCES maps (id)
);
CREATE UNIQUE INDEX map_exclusions_key ON map_exclusions (map_id, side, "key");
CREATE TABLE plans (
	job_id TEXT NOT NULL,
	manifest TEXT,
	approved BOOLEAN DEFAULT 0 NOT NULL,
	made_at INTEGER,
	PRIMARY KEY (job_id),
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE TABLE predecessors (
	job_id TEXT NOT NULL,
	predecessor_id TEXT NOT NULL,
	place INTEGER NOT NULL,
	PRIMARY KEY (job_id, predecessor_id),
	FOREIGN KEY(job_id) REFERENCES jobs (id),
	FOREIGN KEY(predecessor_id) REFERENCES jobs (id)
);
CREATE INDEX predecessors_of ON predecessors (predecessor_id);
CREATE TABLE batches (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	execution_id INTEGER NOT NULL,
	queue TEXT NOT NULL,
	state TEXT NOT NULL,
	labels TEXT DEFAULT '' NOT NULL,
	seats INTEGER DEFAULT '0' NOT NULL,
	epoch INTEGER NOT NULL,
	attempts INTEGER DEFAULT '0' NOT NULL,
	owner TEXT,
	commits INTEGER DEFAULT '0' NOT NULL,
	created_at INTEGER NOT NULL,
	ended_at INTEGER,
	CONSTRAINT queue_word CHECK (queue IN ('control', 'enumerate', 'transfer', 'parts')),
	CONSTRAINT state_word CHECK (state IN ('ready', 'running', 'done')),
	FOREIGN KEY(execution_id) REFERENCES executions (id)
);
CREATE INDEX batches_open ON batches (execution_id) WHERE state != 'done';
CREATE TABLE carried_parts (
	item_id INTEGER NOT NULL,
	start INTEGER NOT NULL,
	execution_id INTEGER NOT NULL,
	size INTEGER NOT NULL,
	worker TEXT NOT NULL,
	carried_at INTEGER NOT NULL,
	PRIMARY KEY (item_id, start),
	FOREIGN KEY(execution_id) REFERENCES executions (id)
);
CREATE TABLE failures (
	execution_id INTEGER NOT NULL,
	item_id INTEGER NOT NULL,
	path BLOB NOT NULL,
	kind INTEGER NOT NULL,
	status INTEGER NOT NULL,
	reason TEXT NOT NULL,
	message TEXT NOT NULL,
	size INTEGER,
	modified INTEGER,
	attempts INTEGER NOT NULL,
	failed_at INTEGER NOT NULL,
	PRIMARY KEY (execution_id, item_id),
	FOREIGN KEY(execution_id) REFERENCES executions (id)
);
CREATE INDEX failures_path ON failures (execution_id, path, item_id);
CREATE TABLE losses (
	id INTEGER NOT NULL,
	execution_id INTEGER NOT NULL,
	item_id INTEGER NOT NULL,
	what TEXT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(execution_id) REFERENCES executions (id)
);
CREATE INDEX losses_execution ON losses (execution_id, item_id);
CREATE INDEX losses_item ON losses (item_id);
CREATE TABLE tasks (
	id INTEGER NOT NULL,
	execution_id INTEGER NOT NULL,
	task TEXT NOT NULL,
	item_id INTEGER NOT NULL,
	container_id INTEGER NOT NULL,
	path BLOB NOT NULL,
	d_path BLOB NOT NULL,
	device INTEGER DEFAULT '0' NOT NULL,
	inode INTEGER DEFAULT '0' NOT NULL,
	start INTEGER DEFAULT '0' NOT NULL,
	size INTEGER DEFAULT '0' NOT NULL,
	hash BLOB,
	"temporary" TEXT,
	payload BLOB DEFAULT '' NOT NULL,
	state TEXT NOT NULL,
	batch_id INTEGER,
	attempts INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT task_word CHECK (task IN ('part', 'finish', 'link', 'delete_source', 'delete_destination', 'stamp', 'lock')),
	CONSTRAINT state_word CHECK (state IN ('blocked', 'pending', 'claimed', 'done', 'failed')),
	CONSTRAINT claimed_has_batch CHECK ((state = 'claimed') = (batch_id IS NOT NULL)),
	FOREIGN KEY(execution_id) REFERENCES executions (id)
);
CREATE INDEX tasks_batch ON tasks (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX tasks_item ON tasks (item_id);
CREATE INDEX tasks_state ON tasks (execution_id, state, task, device, inode, id);
CREATE TABLE visits (
	id INTEGER NOT NULL,
	execution_id INTEGER NOT NULL,
	item_id INTEGER NOT NULL,
	path BLOB NOT NULL,
	d_path BLOB NOT NULL,
	fresh BOOLEAN NOT NULL,
	blank BOOLEAN DEFAULT 0 NOT NULL,
	gone TEXT DEFAULT '' NOT NULL,
	names TEXT,
	keeps BOOLEAN DEFAULT 0 NOT NULL,
	slice BLOB,
	through BLOB,
	state TEXT NOT NULL,
	batch_id INTEGER,
	attempts INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT state_word CHECK (state IN ('pending', 'claimed', 'done', 'failed')),
	CONSTRAINT claimed_has_batch CHECK ((state = 'claimed') = (batch_id IS NOT NULL)),
	FOREIGN KEY(execution_id) REFERENCES executions (id)
);
CREATE INDEX visits_batch ON visits (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX visits_item ON visits (item_id);
CREATE INDEX visits_keeping ON visits (execution_id) WHERE keeps;
CREATE INDEX visits_state ON visits (execution_id, state, id);
CREATE TRIGGER IF NOT EXISTS items_failed_insert AFTER INSERT ON items WHEN NEW.status IN (3, 4)
BEGIN
	INSERT INTO unresolved (job, number) VALUES (NEW.job, 1) ON CONFLICT (job) DO UPDATE SET number = number + excluded.number;
END;
CREATE TRIGGER IF NOT EXISTS items_failed_update AFTER UPDATE OF status ON items WHEN (OLD.status IN (3, 4)) <> (NEW.status IN (3, 4))
BEGIN
	INSERT INTO unresolved (job, number) VALUES (NEW.job, iif(NEW.status IN (3, 4), 1, -1)) ON CONFLICT (job) DO UPDATE SET number = number + excluded.number;
END;
CREATE TRIGGER IF NOT EXISTS items_failed_delete AFTER DELETE ON items WHEN OLD.status IN (3, 4)
BEGIN
	UPDATE unresolved SET number = number - 1 WHERE job = OLD.job;
END;
CREATE TABLE schema_version (version_num VARCHAR(32) NOT NULL);
INSERT INTO schema_version VALUES ('0001');
COMMIT;
