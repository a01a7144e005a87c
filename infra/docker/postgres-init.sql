-- One service's database and its two roles. Safe to repeat: passwords are set anew, nothing else changes.
--
-- psql -v service=academics -v database=academics -v migrate_password=… -v app_password=… -f postgres-init.sql
-- infra/local/databases.py reads this file too: it knows :'variable', :"variable", \gexec and \connect, no more of psql.

SELECT format('CREATE ROLE %I LOGIN', :'service' || suffix) FROM (VALUES ('_migrate'), ('_app')) AS wanted (suffix)
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'service' || suffix)
\gexec
SELECT format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD %L', :'service' || suffix, password)
  FROM (VALUES ('_migrate', :'migrate_password'), ('_app', :'app_password')) AS wanted (suffix, password)
\gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'service' || '_migrate')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database')
\gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', :'database', :'service' || suffix)
  FROM (VALUES ('_migrate'), ('_app')) AS wanted (suffix)
\gexec

\connect :"database"

-- The app may use what migrations make, and make nothing itself.
SELECT format(statement, :'service' || '_migrate', :'service' || '_app')
  FROM (VALUES
    ('ALTER SCHEMA public OWNER TO %1$I'),
    ('GRANT USAGE ON SCHEMA public TO %2$I'),
    ('ALTER DEFAULT PRIVILEGES FOR ROLE %1$I REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC'),
    ('ALTER DEFAULT PRIVILEGES FOR ROLE %1$I IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %2$I'),
    ('ALTER DEFAULT PRIVILEGES FOR ROLE %1$I IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO %2$I'),
    ('ALTER DEFAULT PRIVILEGES FOR ROLE %1$I IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO %2$I')
  ) AS wanted (statement)
\gexec
