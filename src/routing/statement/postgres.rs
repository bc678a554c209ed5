//! What is known of PostgreSQL's functions, catalogs, types and settings.

use super::words::Words;

/// Functions that neither change anything nor depend on the session or the instance: none is volatile
/// (`provolatile` of `pg_proc`, checked against a real server by `tests/real`), and what is the
/// session's own has been left out.
pub(super) static FUNCTIONS: Words = Words::new(
    "\
    abs acos acosd acosh age array_agg array_append array_cat array_dims array_fill array_length \
    array_lower array_ndims array_position array_positions array_prepend array_remove \
    array_replace array_to_json array_to_string array_upper ascii asin asind asinh atan atan2 \
    atan2d atand atanh avg bit_and bit_count bit_length bit_or bit_xor bool_and bool_or \
    broadcast btrim cardinality cbrt ceil ceiling char_length character_length chr \
    col_description concat concat_ws convert convert_from convert_to corr cos cosd cosh cot cotd \
    count covar_pop covar_samp cume_dist current_database current_schema current_schemas date \
    date_bin date_part date_trunc daterange decode degrees dense_rank div encode enum_first \
    enum_last enum_range every exp extract factorial family first_value floor format format_type \
    gcd generate_series generate_subscripts get_bit get_byte has_any_column_privilege \
    has_column_privilege has_database_privilege has_function_privilege has_schema_privilege \
    has_sequence_privilege has_table_privilege has_type_privilege host hostmask inet_merge \
    inet_same_family initcap int4range int8range isempty isfinite json_agg json_array_elements \
    json_array_elements_text json_array_length json_build_array json_build_object json_each \
    json_each_text json_extract_path json_extract_path_text json_object json_object_agg \
    json_object_keys json_populate_record json_populate_recordset json_strip_nulls \
    json_to_record json_to_recordset json_typeof jsonb_agg jsonb_array_elements \
    jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each \
    jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object \
    jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match \
    jsonb_path_match_tz jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz \
    jsonb_path_query_first jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record \
    jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls \
    jsonb_to_record jsonb_to_recordset jsonb_typeof justify_days justify_hours justify_interval \
    lag last_value lcm lead left length ln log log10 lower lower_inc lower_inf lpad ltrim \
    make_date make_interval make_time make_timestamp make_timestamptz masklen max md5 min \
    min_scale mod mode netmask network normalize now nth_value ntile num_nonnulls num_nulls \
    numnode numrange obj_description octet_length overlay parse_ident percent_rank \
    percentile_cont percentile_disc pg_column_size pg_encoding_to_char pg_get_constraintdef \
    pg_get_expr pg_get_function_arguments pg_get_function_identity_arguments \
    pg_get_function_result pg_get_functiondef pg_get_indexdef pg_get_keywords pg_get_partkeydef \
    pg_get_ruledef pg_get_serial_sequence pg_get_triggerdef pg_get_userbyid pg_get_viewdef \
    pg_size_bytes pg_size_pretty pg_typeof phraseto_tsquery pi plainto_tsquery position pow \
    power querytree quote_ident quote_literal quote_nullable radians range_agg \
    range_intersect_agg range_merge rank regexp_count regexp_instr regexp_like regexp_match \
    regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr \
    regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy \
    repeat replace reverse right round row_number row_to_json rpad rtrim scale set_bit set_byte \
    set_masklen setweight sha224 sha256 sha384 sha512 shobj_description sign sin sind sinh \
    split_part sqrt starts_with statement_timestamp stddev stddev_pop stddev_samp string_agg \
    string_to_array string_to_table strip strpos substr substring sum tan tand tanh timezone \
    to_ascii to_char to_date to_hex to_json to_jsonb to_number to_regclass to_regnamespace \
    to_regproc to_regprocedure to_regrole to_regtype to_timestamp to_tsquery to_tsvector \
    transaction_timestamp translate trim_array trim_scale trunc ts_delete ts_filter ts_headline \
    ts_rank ts_rank_cd tsrange tstzrange unistr unnest upper upper_inc upper_inf var_pop \
    var_samp variance version websearch_to_tsquery width_bucket xmlagg xmlcomment xpath \
    xpath_exists",
);

/// What looks like a function and is part of the grammar (PostgreSQL manual, section 9).
pub(super) static FUNCTION_WORDS: Words = Words::new(
    "\
    array coalesce current_catalog current_date current_role current_time current_timestamp \
    current_user greatest grouping least localtime localtimestamp nullif row session_user trim \
    user",
);

/// Functions that leave something in their session that later statements meet.
pub(super) static LEAVES_STATE: Words = Words::new(
    "\
    dblink_connect dblink_connect_u dblink_open lo_open pg_advisory_lock pg_advisory_lock_shared \
    pg_try_advisory_lock pg_try_advisory_lock_shared set_config set_limit setseed",
);

/// Functions whose answer, or whose effect, is the session's or the instance's own.
pub(super) static OF_SESSION: Words = Words::new(
    "\
    current_setting currval inet_client_addr inet_client_port inet_server_addr inet_server_port \
    lastval pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared pg_backend_pid \
    pg_blocking_pids pg_conf_load_time pg_current_snapshot pg_current_xact_id \
    pg_current_xact_id_if_assigned pg_is_in_recovery pg_is_other_temp_schema \
    pg_last_committed_xact pg_last_wal_receive_lsn pg_last_wal_replay_lsn \
    pg_last_xact_replay_timestamp pg_listening_channels pg_my_temp_schema \
    pg_notification_queue_usage pg_postmaster_start_time pg_trigger_depth txid_current \
    txid_current_if_assigned txid_current_snapshot",
);

/// Those of them that tell what an earlier statement of the session did.
pub(super) static OF_EARLIER: Words = Words::new("currval lastval");

/// Catalogs that replicate with the data. Other relations named `pg_*` tell of one instance, or of one
/// session, such as `pg_stat_activity`, `pg_locks` and `pg_settings`.
pub(super) static CATALOGS: Words = Words::new(
    "\
    pg_am pg_attrdef pg_attribute pg_auth_members pg_authid pg_cast pg_class pg_collation \
    pg_constraint pg_conversion pg_database pg_default_acl pg_depend pg_description pg_enum \
    pg_extension pg_foreign_data_wrapper pg_foreign_server pg_foreign_table pg_index pg_indexes \
    pg_inherits pg_language pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily \
    pg_partitioned_table pg_policies pg_policy pg_proc pg_publication pg_range pg_rewrite \
    pg_roles pg_rules pg_sequence pg_sequences pg_shdescription pg_statistic_ext pg_tables \
    pg_tablespace pg_trigger pg_ts_config pg_ts_dict pg_type pg_user pg_views",
);

/// Built-in types that the parser does not know by a name of its own. Others may be somebody's own,
/// with functions of theirs behind a cast.
pub(super) static TYPES: Words = Words::new(
    "\
    bpchar cid cidr datemultirange daterange inet int4multirange int4range int8multirange \
    int8range jsonpath macaddr macaddr8 money name nummultirange numrange oid pg_lsn record \
    regclass regcollation regconfig regdictionary regnamespace regoper regoperator regproc \
    regprocedure regrole regtype tid timestamptz timetz tsmultirange tsquery tsrange \
    tstzmultirange tstzrange tsvector varbit xid xid8 xml",
);

/// Operators that are built in (`pg_operator` of PostgreSQL 15), none of which is volatile. `@@@` is left out: extensions have taken it
/// for themselves.
pub(super) static OPERATORS: Words = Words::new(
    "\
    !! != !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < \
    <-> << <<= <<| <= <> <@ <^ = => > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ ^ ^@ | |&> |/ \
    |>> || ||/ ~ ~* ~<=~ ~<~ ~= ~>=~ ~>~ ~~ ~~*",
);

/// Settings that are alike on all instances, and in all sessions that set none.
pub(super) static SHOWN: Words = Words::new(
    "\
    block_size client_encoding datestyle integer_datetimes intervalstyle lc_collate lc_ctype \
    max_identifier_length search_path server_encoding server_version server_version_num \
    standard_conforming_strings timezone",
);
