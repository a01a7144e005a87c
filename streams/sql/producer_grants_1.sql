-- The log is only added to. Never edited once released: a change is another file.
REVOKE ALL ON streams_meta, streams_shard, streams_pending, streams_log FROM APP_ROLE;

GRANT SELECT ON streams_meta TO APP_ROLE;

GRANT SELECT, UPDATE ON streams_shard TO APP_ROLE;

GRANT SELECT, INSERT, DELETE ON streams_pending TO APP_ROLE;

GRANT SELECT, INSERT ON streams_log TO APP_ROLE;
