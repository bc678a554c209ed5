//! What is known of MySQL's functions and tables.

use super::words::Words;

/// Functions that neither change anything nor depend on the session, the instance or chance (MySQL
/// manual, section 12). Native functions take precedence over stored ones of the same name (section
/// 11.2.5).
pub(super) static FUNCTIONS: Words = Words::new(
    "\
    abs acos adddate addtime any_value ascii asin atan atan2 avg bin bin_to_uuid bit_and \
    bit_count bit_length bit_or bit_xor ceil ceiling char char_length character_length charset \
    coalesce coercibility collation concat concat_ws conv convert_tz cos cot count crc32 \
    cume_dist curdate current_date current_role current_time current_timestamp current_user \
    curtime database date date_add date_format date_sub datediff day dayname dayofmonth \
    dayofweek dayofyear degrees dense_rank elt exp export_set field find_in_set first_value \
    floor format format_bytes from_base64 from_days from_unixtime get_format greatest \
    group_concat grouping hex hour if ifnull inet6_aton inet6_ntoa inet_aton inet_ntoa instr \
    is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 is_uuid isnull json_array json_array_append \
    json_array_insert json_arrayagg json_contains json_contains_path json_depth json_extract \
    json_insert json_keys json_length json_merge_patch json_merge_preserve json_object \
    json_objectagg json_overlaps json_pretty json_quote json_remove json_replace \
    json_schema_valid json_search json_set json_storage_size json_type json_unquote json_valid \
    json_value lag last_day last_value lcase lead least left length ln localtime localtimestamp \
    locate log log10 log2 lower lpad ltrim make_set makedate maketime max md5 microsecond mid \
    min minute mod month monthname now nth_value ntile nullif oct octet_length ord percent_rank \
    period_add period_diff pi point position pow power quarter quote radians rank regexp_instr \
    regexp_like regexp_replace regexp_substr repeat replace reverse right round row row_number \
    rpad rtrim schema sec_to_time second session_user sha sha1 sha2 sign sin soundex space sqrt \
    st_area st_asgeojson st_astext st_aswkb st_aswkt st_contains st_distance st_distance_sphere \
    st_geomfromgeojson st_geomfromtext st_intersects st_latitude st_longitude st_srid st_within \
    st_x st_y std stddev stddev_pop stddev_samp str_to_date strcmp subdate substr substring \
    substring_index subtime sum system_user tan time time_format time_to_sec timediff timestamp \
    timestampadd timestampdiff to_base64 to_days to_seconds trim truncate ucase unhex \
    unix_timestamp upper user utc_date utc_time utc_timestamp uuid_to_bin values var_pop var_samp \
    variance version week weekday weekofyear weight_string year yearweek",
);

/// Functions that leave something in their session that later statements meet.
pub(super) static LEAVES_STATE: Words = Words::new("get_lock");

/// Functions whose answer, or whose effect, is the session's or the instance's own.
pub(super) static OF_SESSION: Words = Words::new(
    "\
    connection_id found_rows is_free_lock is_used_lock last_insert_id ps_current_thread_id \
    ps_thread_id release_all_locks release_lock row_count",
);

/// Those of them that tell what an earlier statement of the session did. On another connection they
/// answer too, and wrongly.
pub(super) static OF_EARLIER: Words = Words::new("found_rows last_insert_id row_count");

/// Variables of the same kind.
pub(super) static VARIABLES_OF_EARLIER: Words =
    Words::new("error_count identity last_insert_id warning_count");

/// What tells, as a function or as a variable, which id was generated last. Where none was, it is 0.
pub(super) static OF_GENERATED: Words = Words::new("identity last_insert_id");

/// Tables of `information_schema` that tell of the schema. Others tell of one instance, such as
/// `PROCESSLIST` and `INNODB_METRICS`.
pub(super) static INFORMATION_SCHEMA: Words = Words::new(
    "\
    character_sets check_constraints collations column_privileges columns events \
    key_column_usage keywords parameters partitions referential_constraints routines \
    schema_privileges schemata statistics table_constraints table_privileges tables triggers \
    user_privileges views",
);

/// Functions that are native only where the bracket follows at once; with a space before it they are
/// stored functions (MySQL manual, section 11.2.5).
pub(super) static SPACED: Words = Words::new(
    "\
    adddate bit_and bit_or bit_xor cast count curdate curtime date_add date_sub extract \
    group_concat max mid min now position session_user std stddev stddev_pop stddev_samp subdate \
    substr substring sum sysdate system_user trim var_pop var_samp variance",
);
