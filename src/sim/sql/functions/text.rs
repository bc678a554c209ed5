//! Functions on texts.

use super::Returns::Kind;
use super::{BOTH, Definition, MY, PG, table};
use crate::sim::sql::SqlType::{Bool, Int4, Int8, Text, Unknown};

pub(super) const TABLE: &[Definition] = table! {
    BOTH "lower" (Text) => Kind(Text), "sim_lower";
    MY   "lcase" (Text) => Kind(Text), "sim_lower";
    BOTH "upper" (Text) => Kind(Text), "sim_upper";
    MY   "ucase" (Text) => Kind(Text), "sim_upper";
    PG   "length" (Text) => Kind(Int4), "length";
    MY   "length" (Unknown) => Kind(Int8), "octet_length";
    BOTH "char_length" (Text) => Kind(Int4), "length";
    BOTH "character_length" (Text) => Kind(Int4), "length";
    BOTH "octet_length" (Unknown) => Kind(Int4), "octet_length";
    BOTH "substring" (Text, Int8; Int8) => Kind(Text), "sim_substring";
    BOTH "substr" (Text, Int8; Int8) => Kind(Text), "sim_substring";
    MY   "mid" (Text, Int8, Int8) => Kind(Text), "sim_substring";
    BOTH "left" (Text, Int8) => Kind(Text), "sim_left";
    BOTH "right" (Text, Int8) => Kind(Text), "sim_right";
    BOTH "replace" (Text, Text, Text) => Kind(Text), "replace";
    BOTH "btrim" (Text; Text) => Kind(Text), "trim";
    MY   "trim" (Text) => Kind(Text), "trim";
    BOTH "ltrim" (Text; Text) => Kind(Text), "ltrim";
    BOTH "rtrim" (Text; Text) => Kind(Text), "rtrim";
    BOTH "lpad" (Text, Int8; Text) => Kind(Text), "sim_pad|'left'";
    BOTH "rpad" (Text, Int8; Text) => Kind(Text), "sim_pad|'right'";
    BOTH "repeat" (Text, Int8) => Kind(Text), "sim_repeat";
    BOTH "reverse" (Text) => Kind(Text), "sim_reverse";
    PG   "strpos" (Text, Text) => Kind(Int4), "instr";
    MY   "instr" (Text, Text) => Kind(Int8), "sim_find";
    PG   "position of" (Text, Text) => Kind(Int4), "instr";
    MY   "position of" (Text, Text) => Kind(Int8), "sim_find";
    PG   "split_part" (Text, Text, Int4) => Kind(Text), "sim_split_part";
    MY   "substring_index" (Text, Text, Int8) => Kind(Text), "sim_substring_index";
    PG   "starts_with" (Text, Text) => Kind(Bool), "sim_starts_with";
    PG   "quote_ident" (Text) => Kind(Text), "sim_quote_ident";
    MY   "hex" (Unknown) => Kind(Text), "hex";
    PG   "pg_encoding_to_char" (Int4) => Kind(Text), "sim_info|'encoding'";
};
