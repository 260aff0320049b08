# PostgreSQL: a cluster of our own on a unix socket, which crosses network namespaces. Sourced by stack.sh.
# WOLKE_PG_DURABLE=1 keeps fsync; without it a crash of the machine (not of a process) may lose the cluster.
# shellcheck shell=bash
PG=/usr/lib/postgresql/15/bin
PG_ROLES="wolke_identity wolke_api wolke_worker wolke_ovn"
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; }
sql() { "$PG/psql" -X -q -v ON_ERROR_STOP=1 -h "$S/pg" -U postgres "$@"; }

postgres_service() {
    service postgres <<E
exec setpriv --reuid=postgres --regid=postgres --init-groups -- $PG/postgres -D $S/pg/data
E
    stop_signal postgres INT   # "fast": TERM would wait for every client
}

postgres_init() {
    [ ! -s "$S/pg/data/PG_VERSION" ] || return 0
    local sync=off; [ "${WOLKE_PG_DURABLE:-0}" = 0 ] || sync=on
    rm -rf "$S/pg"; install -d -o postgres -g postgres -m 750 "$S/pg"
    as_postgres "$PG/initdb" -D "$S/pg/data.new" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync
    cat >>"$S/pg/data.new/postgresql.conf" <<E
listen_addresses = ''
unix_socket_directories = '$S/pg'
unix_socket_permissions = 0770
fsync = $sync
synchronous_commit = $sync
full_page_writes = $sync
max_connections = 200
shared_buffers = 64MB
dynamic_shared_memory_type = mmap
max_wal_size = 512MB
jit = off
log_min_duration_statement = 1000
log_line_prefix = '%m [%p] %u@%d '
E
    mv "$S/pg/data.new" "$S/pg/data"
}

postgres_roles() {
    sql -d postgres <<E
SELECT format('CREATE ROLE %I LOGIN', r) FROM unnest(string_to_array('wolke_owner $PG_ROLES', ' ')) r
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) \gexec
SELECT 'CREATE DATABASE wolke OWNER wolke_owner' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'wolke') \gexec
E
}

postgres() {
    postgres_init
    up postgres
    until_ok 240 sql -d postgres -c 'SELECT 1'
    postgres_roles
}
