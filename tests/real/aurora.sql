-- Aurora's functions over the true state of streaming replication.
--
-- They are replicated like everything else, so they answer by what the server itself is:
-- `cluster_name` is the instance's identifier; the primary sees its standbys in
-- pg_stat_replication; a standby sees its primary, from the address that it follows, and itself.
-- With `aurora.members` set to a list, both show these too, dead or alive, as if just updated.
-- Columns: Aurora User Guide, "aurora_replica_status".

CREATE FUNCTION pg_catalog.aurora_version() RETURNS text
LANGUAGE sql STABLE AS $$ SELECT '15.4.0' $$;

CREATE FUNCTION pg_catalog.aurora_db_instance_identifier() RETURNS character varying
LANGUAGE sql STABLE AS $$ SELECT pg_catalog.current_setting('cluster_name')::varchar $$;

-- Log positions as numbers.
CREATE FUNCTION pg_catalog.aurora_position(pg_lsn) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT ($1 OPERATOR(pg_catalog.-) '0/0'::pg_lsn)::bigint $$;

-- Whom a standby follows: 127.0.0.21 is the instance 21.
CREATE FUNCTION pg_catalog.aurora_followed() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT substring(current_setting('primary_conninfo') FROM 'host=127\.0\.0\.(\d+)')
$$;

CREATE FUNCTION pg_catalog.aurora_replica_status() RETURNS TABLE (
    server_id text, session_id text, durable_lsn bigint, highest_lsn_rcvd bigint,
    current_read_lsn bigint, cur_replay_latency_in_usec bigint, active_txns bigint,
    is_current boolean, last_transport_error integer, last_error_timestamp timestamptz,
    last_update_timestamp timestamptz, feedback_xmin bigint, feedback_epoch bigint,
    replica_lag_in_msec double precision, log_stream_speed_in_kib_per_second double precision,
    log_buffer_sequence_number bigint, oldest_read_view_trx_id bigint,
    oldest_read_view_lsn bigint, pending_read_ios bigint, read_ios bigint, iops integer,
    cpu double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
DECLARE
    own text := current_setting('cluster_name');
    shown text[] := ARRAY[own];
BEGIN
    IF NOT pg_is_in_recovery() THEN
        -- The own row has no time of its last update.
        RETURN QUERY SELECT own, 'MASTER_SESSION_ID', aurora_position(pg_current_wal_flush_lsn()),
            NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, true, 0, NULL::timestamptz,
            NULL::timestamptz, NULL::bigint, NULL::bigint, NULL::float8, 0::float8, 0::bigint,
            0::bigint, NULL::bigint, 0::bigint, 0::bigint, 0, 0::float8;
        RETURN QUERY SELECT r.application_name, 'session-' || r.pid, NULL::bigint,
            aurora_position(r.flush_lsn), aurora_position(r.replay_lsn),
            (extract(epoch FROM r.replay_lag) * 1e6)::bigint, 0::bigint, true, 0,
            NULL::timestamptz, r.reply_time, r.backend_xmin::text::bigint, 0::bigint,
            coalesce(extract(epoch FROM r.replay_lag) * 1e3, 0)::float8, 0::float8, 0::bigint,
            0::bigint, aurora_position(r.replay_lsn), 0::bigint, 0::bigint, 0, 0::float8
        FROM pg_stat_replication r WHERE r.state = 'streaming' AND r.application_name <> own;
        shown := shown || ARRAY(SELECT r.application_name FROM pg_stat_replication r
            WHERE r.state = 'streaming');
    ELSE
        RETURN QUERY SELECT aurora_followed(), 'MASTER_SESSION_ID',
            aurora_position(w.latest_end_lsn), NULL::bigint, NULL::bigint, NULL::bigint,
            NULL::bigint, true, 0, NULL::timestamptz,
            coalesce(w.last_msg_receipt_time, pg_last_xact_replay_timestamp()), NULL::bigint,
            NULL::bigint, NULL::float8, 0::float8, 0::bigint, 0::bigint, NULL::bigint, 0::bigint,
            0::bigint, 0, 0::float8
        FROM (VALUES (1)) AS one LEFT JOIN pg_stat_wal_receiver w ON true
        WHERE aurora_followed() IS NOT NULL;
        RETURN QUERY SELECT own, 'session-' || own, NULL::bigint,
            aurora_position(pg_last_wal_receive_lsn()), aurora_position(pg_last_wal_replay_lsn()),
            0::bigint, 0::bigint, true, 0, NULL::timestamptz, NULL::timestamptz, NULL::bigint,
            0::bigint,
            CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
                ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1e3
            END::float8, 0::float8, 0::bigint, 0::bigint,
            aurora_position(pg_last_wal_replay_lsn()), 0::bigint, 0::bigint, 0, 0::float8;
        shown := shown || aurora_followed();
    END IF;
    RETURN QUERY SELECT m.id, 'session-' || m.id, NULL::bigint, NULL::bigint, NULL::bigint,
        0::bigint, 0::bigint, true, 0, NULL::timestamptz, clock_timestamp(), NULL::bigint,
        0::bigint, 0::float8, 0::float8, 0::bigint, 0::bigint, NULL::bigint, 0::bigint, 0::bigint,
        0, 0::float8
    FROM unnest(string_to_array(current_setting('aurora.members', true), ',')) AS m (id)
    WHERE m.id <> ALL (shown);
END $$;
