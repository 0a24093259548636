-- A new database, made of the migrations by `make tables`.
CREATE TABLE address_state (
	address TEXT NOT NULL, 
	domain TEXT NOT NULL, 
	deliverability VARCHAR(16) NOT NULL, 
	strikes FLOAT NOT NULL, 
	messages INTEGER NOT NULL, 
	first_strike_at DATETIME, 
	last_strike_at DATETIME, 
	last_success_at DATETIME, 
	reason VARCHAR(32), 
	capped BOOLEAN NOT NULL, 
	CONSTRAINT pk_address_state PRIMARY KEY (address)
)
 WITHOUT ROWID

;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0008');
CREATE TABLE alert (
	name TEXT NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	subject TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	raised_at DATETIME, 
	CONSTRAINT pk_alert PRIMARY KEY (name)
);
CREATE TABLE attempt (
	identity VARCHAR(64) NOT NULL, 
	at DATETIME NOT NULL, 
	trust VARCHAR(16) NOT NULL, 
	CONSTRAINT pk_attempt PRIMARY KEY (identity, at, trust)
)
 WITHOUT ROWID

;
CREATE TABLE audit (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at DATETIME NOT NULL, 
	author TEXT NOT NULL, 
	action VARCHAR(16) NOT NULL, 
	address TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	cause VARCHAR(64), 
	"before" JSON, 
	"after" JSON
);
CREATE TABLE counter (
	name VARCHAR(32) NOT NULL, 
	value INTEGER NOT NULL, 
	CONSTRAINT pk_counter PRIMARY KEY (name)
);
INSERT INTO "counter" VALUES('message_id',0);
INSERT INTO "counter" VALUES('duplicates',0);
CREATE TABLE delivery (
	address TEXT NOT NULL, 
	reference BIGINT NOT NULL, 
	delivered_at INTEGER NOT NULL, 
	CONSTRAINT pk_delivery PRIMARY KEY (address, reference, delivered_at)
)
 WITHOUT ROWID

;
CREATE TABLE endpoint (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	url TEXT NOT NULL, 
	format VARCHAR(16) NOT NULL, 
	events JSON NOT NULL, 
	filters JSON, 
	"key" TEXT NOT NULL, 
	secret VARCHAR(128) NOT NULL, 
	previous_secret VARCHAR(128) NOT NULL, 
	previous_until DATETIME, 
	enabled BOOLEAN NOT NULL, 
	why TEXT NOT NULL, 
	created_at FLOAT NOT NULL, paused_until FLOAT, 
	CONSTRAINT uq_endpoint_name UNIQUE (name)
);
CREATE TABLE left_mail (
	identity VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_left_mail PRIMARY KEY (identity)
);
CREATE TABLE mailbox_account (
	account VARCHAR(64) NOT NULL, 
	checked_at DATETIME, 
	error TEXT, 
	error_at DATETIME, 
	failing BOOLEAN NOT NULL, 
	next_try_at DATETIME, 
	waiting INTEGER NOT NULL, 
	taken INTEGER NOT NULL, 
	CONSTRAINT pk_mailbox_account PRIMARY KEY (account)
);
CREATE TABLE mailbox_folder (
	account VARCHAR(64) NOT NULL, 
	folder TEXT NOT NULL, 
	uid_validity BIGINT NOT NULL, 
	last_uid BIGINT NOT NULL, 
	CONSTRAINT pk_mailbox_folder PRIMARY KEY (account, folder)
);
CREATE TABLE mailbox_mail (
	account VARCHAR(64) NOT NULL, 
	folder TEXT NOT NULL, 
	uid VARCHAR(255) NOT NULL, 
	task VARCHAR(16) NOT NULL, 
	unparsed BOOLEAN NOT NULL, 
	attempts INTEGER NOT NULL, 
	CONSTRAINT pk_mailbox_mail PRIMARY KEY (account, folder, uid)
);
CREATE TABLE manual_act (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	address TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	act VARCHAR(16) NOT NULL, 
	kind VARCHAR(16), 
	until DATETIME, 
	author TEXT NOT NULL, 
	reason TEXT NOT NULL
);
CREATE TABLE message (
	id INTEGER NOT NULL, 
	identity VARCHAR(64) NOT NULL, 
	received_at DATETIME NOT NULL, 
	source TEXT NOT NULL, 
	envelope_sender TEXT, 
	envelope_recipients JSON, 
	size INTEGER NOT NULL, 
	truncated BOOLEAN NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	last_error TEXT, 
	codec VARCHAR(16) NOT NULL, 
	raw BLOB NOT NULL, 
	CONSTRAINT pk_message PRIMARY KEY (id), 
	CONSTRAINT uq_message_identity UNIQUE (identity)
);
CREATE TABLE recipient_event (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	message_id INTEGER NOT NULL, 
	identity VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	occurred_at DATETIME NOT NULL, 
	address TEXT NOT NULL, 
	canonical TEXT NOT NULL, 
	domain TEXT NOT NULL, 
	original TEXT, 
	action VARCHAR(16), 
	status TEXT, 
	reply_code INTEGER, 
	diagnostic_code TEXT, 
	diagnostic_type TEXT, 
	explanation TEXT NOT NULL, 
	remote_mta TEXT, 
	smtp_command TEXT, 
	last_attempt_date TEXT, 
	will_retry_until TEXT, 
	bounce_category TEXT, 
	origin VARCHAR(64) NOT NULL, 
	bounce_type VARCHAR(16), 
	reason VARCHAR(32), 
	scope VARCHAR(16), 
	confidence FLOAT, 
	rule_id VARCHAR(255), 
	evidence JSON, 
	block JSON, 
	trust VARCHAR(16) NOT NULL, proved_by INTEGER, matched_by VARCHAR(16), mailed_address TEXT, sent_message_id TEXT, stream TEXT, campaign TEXT, tags JSON, findings JSON, about BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT fk_recipient_event_message_id_message FOREIGN KEY(message_id) REFERENCES message (id) ON DELETE CASCADE, 
	CONSTRAINT uq_recipient_event_identity UNIQUE (identity)
);
CREATE TABLE report (
	message_id INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	header_message_id TEXT, 
	date TEXT, 
	from_ TEXT, 
	subject TEXT, 
	reporting_mta TEXT, 
	original_envelope_id TEXT, 
	arrival_date TEXT, 
	returned_message JSON, 
	feedback JSON, 
	defects JSON, 
	rules VARCHAR(64) NOT NULL, 
	repeated INTEGER NOT NULL, mode VARCHAR(16) DEFAULT 'observe' NOT NULL, 
	CONSTRAINT pk_report PRIMARY KEY (message_id), 
	CONSTRAINT fk_report_message_id_message FOREIGN KEY(message_id) REFERENCES message (id) ON DELETE CASCADE
);
CREATE TABLE sent_address (
	id INTEGER NOT NULL, 
	address TEXT NOT NULL, 
	mailing_list BOOLEAN NOT NULL, 
	CONSTRAINT pk_sent_address PRIMARY KEY (id), 
	CONSTRAINT uq_sent_address_address UNIQUE (address)
);
CREATE TABLE sent_domain (
	domain TEXT NOT NULL, 
	addresses INTEGER NOT NULL, 
	CONSTRAINT pk_sent_domain PRIMARY KEY (domain)
)
 WITHOUT ROWID

;
CREATE TABLE sent_label (
	id INTEGER NOT NULL, 
	words TEXT NOT NULL, 
	CONSTRAINT pk_sent_label PRIMARY KEY (id), 
	CONSTRAINT uq_sent_label_words UNIQUE (words)
);
CREATE TABLE sent_mail (
	id INTEGER NOT NULL, 
	reference BIGINT NOT NULL, 
	address_id INTEGER NOT NULL, 
	message_id TEXT NOT NULL, 
	label_id INTEGER, 
	sent_at INTEGER NOT NULL, 
	delivered_at INTEGER, 
	CONSTRAINT pk_sent_mail PRIMARY KEY (id)
);
CREATE TABLE suppression (
	address TEXT NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	proposed BOOLEAN NOT NULL, 
	held BOOLEAN NOT NULL, 
	at DATETIME NOT NULL, 
	until DATETIME, 
	reason TEXT NOT NULL, 
	cause VARCHAR(64) NOT NULL, 
	tier INTEGER NOT NULL, 
	author TEXT NOT NULL, 
	guarded BOOLEAN NOT NULL, 
	domain TEXT NOT NULL, 
	remote_mta TEXT NOT NULL, 
	hour INTEGER NOT NULL, 
	CONSTRAINT pk_suppression PRIMARY KEY (address, kind)
)
 WITHOUT ROWID

;
CREATE TABLE wave (
	name TEXT NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	subject TEXT NOT NULL, 
	hour INTEGER NOT NULL, 
	addresses INTEGER NOT NULL, 
	decision VARCHAR(16) NOT NULL, 
	CONSTRAINT pk_wave PRIMARY KEY (name)
);
CREATE TABLE webhook (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	endpoint_id INTEGER NOT NULL, 
	message_id VARCHAR(64) NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	address TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at FLOAT NOT NULL, 
	attempted_at FLOAT, 
	status INTEGER, 
	error TEXT NOT NULL, 
	content_type VARCHAR(64) NOT NULL, 
	headers JSON, 
	body BLOB NOT NULL, 
	CONSTRAINT fk_webhook_endpoint_id_endpoint FOREIGN KEY(endpoint_id) REFERENCES endpoint (id) ON DELETE CASCADE
);
CREATE INDEX ix_message_state ON message (state);
CREATE INDEX ix_recipient_event_domain ON recipient_event (domain);
CREATE INDEX ix_recipient_event_kind_bounce_type_reason ON recipient_event (kind, bounce_type, reason);
CREATE INDEX ix_recipient_event_message_id ON recipient_event (message_id);
CREATE INDEX ix_recipient_event_occurred_at ON recipient_event (occurred_at);
CREATE INDEX ix_recipient_event_reason ON recipient_event (reason);
CREATE INDEX ix_report_kind ON report (kind);
CREATE UNIQUE INDEX ix_sent_mail_reference_address_id ON sent_mail (reference, address_id);
CREATE INDEX ix_sent_mail_address_id ON sent_mail (address_id);
CREATE INDEX ix_suppression_domain_hour ON suppression (domain, hour) WHERE guarded AND NOT proposed;
CREATE INDEX ix_suppression_remote_mta_hour ON suppression (remote_mta, hour) WHERE guarded AND NOT proposed;
CREATE INDEX ix_manual_act_address ON manual_act (address);
CREATE INDEX ix_audit_address ON audit (address);
CREATE UNIQUE INDEX ix_webhook_endpoint_id_message_id ON webhook (endpoint_id, message_id);
CREATE INDEX ix_webhook_endpoint_id_next_at_id ON webhook (endpoint_id, next_at, id) WHERE state = 'pending';
CREATE INDEX ix_webhook_endpoint_id_address_id ON webhook (endpoint_id, address, id) WHERE state = 'pending';
CREATE INDEX ix_webhook_attempted_at ON webhook (attempted_at) WHERE state != 'pending';
CREATE INDEX ix_alert_raised_at ON alert (raised_at);
CREATE INDEX ix_recipient_event_canonical_occurred_at ON recipient_event (canonical, occurred_at);
CREATE INDEX ix_recipient_event_mailed_address_occurred_at ON recipient_event (mailed_address, occurred_at) WHERE mailed_address IS NOT NULL;
