//! Functions on moments, times and intervals.

use super::Returns::{Kind, WholeSeconds};
use super::{BOTH, Definition, MY, PG, table};
use crate::sim::sql::SqlType::{
    Date, Float8, Int4, Int8, Numeric, Text, Time, Timestamp, TimestampTz,
};

pub(super) const TABLE: &[Definition] = table! {
    PG   "now" () => Kind(TimestampTz), "sim_now";
    PG   "current_timestamp" (; Int4) => Kind(TimestampTz), "sim_now";
    PG   "transaction_timestamp" () => Kind(TimestampTz), "sim_now";
    PG   "statement_timestamp" () => Kind(TimestampTz), "sim_statement_time";
    PG   "clock_timestamp" () => Kind(TimestampTz), "sim_clock";
    PG   "localtimestamp" () => Kind(Timestamp), "sim_now";
    BOTH "current_date" () => Kind(Date), "sim_today";
    MY   "curdate" () => Kind(Date), "sim_today";
    MY   "utc_date" () => Kind(Date), "sim_today";
    MY   "now" () => WholeSeconds(Timestamp), "sim_now_to|0";
    MY   "now" (Int8) => Kind(Timestamp), "sim_now_to";
    MY   "current_timestamp" () => WholeSeconds(Timestamp), "sim_now_to|0";
    MY   "current_timestamp" (Int8) => Kind(Timestamp), "sim_now_to";
    MY   "localtimestamp" () => WholeSeconds(Timestamp), "sim_now_to|0";
    MY   "localtime" () => WholeSeconds(Timestamp), "sim_now_to|0";
    MY   "utc_timestamp" () => WholeSeconds(Timestamp), "sim_now_to|0";
    MY   "utc_timestamp" (Int8) => Kind(Timestamp), "sim_now_to";
    MY   "sysdate" () => WholeSeconds(Timestamp), "sim_now_to|0";
    MY   "sysdate" (Int8) => Kind(Timestamp), "sim_now_to";
    MY   "current_time" () => WholeSeconds(Time), "sim_time_of_day";
    MY   "curtime" () => WholeSeconds(Time), "sim_time_of_day";
    MY   "unix_timestamp" () => Kind(Int8), "sim_unix_now";
    MY   "unix_timestamp" (Timestamp) => Kind(Numeric), "sim_unix";
    MY   "from_unixtime" (Float8) => Kind(Timestamp), "sim_from_unix";
    PG   "to_timestamp" (Float8) => Kind(TimestampTz), "sim_from_unix";
    MY   "convert_tz" (Timestamp, Text, Text) => Kind(Timestamp), "sim_convert_zone";
    MY   "timediff" (Timestamp, Timestamp) => Kind(Time), "sim_time_difference";
    MY   "time_to_sec" (Time) => Kind(Int8), "sim_time_to_seconds";
    MY   "sec_to_time" (Int8) => WholeSeconds(Time), "sim_seconds_to_time";
    MY   "datediff" (Date, Date) => Kind(Int8), "sim_days_between";
    MY   "date" (Date) => Kind(Date), "sim_same";
    MY   "time" (Time) => Kind(Time), "sim_same";
    MY   "date_format" (Timestamp, Text) => Kind(Text), "sim_date_format";
    MY   "microsecond" (Timestamp) => Kind(Int8), "sim_microsecond";
    PG   "date_trunc" (Text, TimestampTz) => Kind(TimestampTz), "sim_truncate_moment";
};
