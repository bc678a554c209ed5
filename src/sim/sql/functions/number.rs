//! Functions on numbers.

use super::Returns::{First, Kind};
use super::{BOTH, Definition, MY, PG, table};
use crate::sim::sql::SqlType::{Float8, Int4, Int8, Numeric, Unknown};

pub(super) const TABLE: &[Definition] = table! {
    BOTH "abs" (Unknown) => First, "sim_absolute";
    BOTH "sign" (Unknown) => First, "sim_sign";
    BOTH "mod" (Int8, Int8) => Kind(Int8), "sim_integer|'%'";
    BOTH "ceil" (Numeric) => Kind(Numeric), "sim_round|'ceil'";
    BOTH "ceiling" (Numeric) => Kind(Numeric), "sim_round|'ceil'";
    BOTH "floor" (Numeric) => Kind(Numeric), "sim_round|'floor'";
    BOTH "round" (Numeric; Int4) => Kind(Numeric), "sim_round|'round'";
    PG   "trunc" (Numeric; Int4) => Kind(Numeric), "sim_round|'trunc'";
    MY   "truncate" (Numeric, Int4) => Kind(Numeric), "sim_round|'trunc'";
    BOTH "power" (Float8, Float8) => Kind(Float8), "sim_math|'power'";
    BOTH "pow" (Float8, Float8) => Kind(Float8), "sim_math|'power'";
    BOTH "sqrt" (Float8) => Kind(Float8), "sim_math|'sqrt'";
    BOTH "exp" (Float8) => Kind(Float8), "sim_math|'exp'";
    BOTH "ln" (Float8) => Kind(Float8), "sim_math|'ln'";
    BOTH "pi" () => Kind(Float8), "sim_math|'pi'";
};
