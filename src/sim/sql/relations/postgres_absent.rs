//! PostgreSQL's catalogs of what the simulator has not (policies, triggers, publications), so
//! that clients that ask find nothing instead of an error.

use super::{Source, SystemColumn, SystemRelation, column};
use crate::sim::sql::SqlType::{Bool, Float4, Int4, Int8, Name, Oid, Text};

const fn empty(
    name: &'static str,
    columns: &'static [SystemColumn],
    query: &'static str,
) -> SystemRelation {
    SystemRelation {
        is_function: false,
        schema: "pg_catalog",
        name,
        is_topology: false,
        columns,
        source: Source::Query(query),
    }
}

pub(super) const AUTH_MEMBERS: SystemRelation = empty(
    "pg_auth_members",
    &[column("roleid", Oid), column("member", Oid)],
    "SELECT NULL, NULL WHERE false",
);

pub(super) const INHERITS: SystemRelation = empty(
    "pg_inherits",
    &[
        column("inhrelid", Oid),
        column("inhparent", Oid),
        column("inhseqno", Int4),
        column("inhdetachpending", Bool),
    ],
    "SELECT NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const RANGE: SystemRelation = empty(
    "pg_range",
    &[
        column("rngtypid", Oid),
        column("rngsubtype", Oid),
        column("rngmultitypid", Oid),
    ],
    "SELECT NULL, NULL, NULL WHERE false",
);

pub(super) const COLLATION: SystemRelation = empty(
    "pg_collation",
    &[
        column("oid", Oid),
        column("collname", Name),
        column("collnamespace", Oid),
    ],
    "SELECT NULL, NULL, NULL WHERE false",
);

pub(super) const DESCRIPTION: SystemRelation = empty(
    "pg_description",
    &[
        column("objoid", Oid),
        column("classoid", Oid),
        column("objsubid", Int4),
        column("description", Text),
    ],
    "SELECT NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const POLICY: SystemRelation = empty(
    "pg_policy",
    &[
        column("oid", Oid),
        column("polname", Name),
        column("polrelid", Oid),
        column("polcmd", Text),
        column("polpermissive", Bool),
        column("polroles", Text),
        column("polqual", Text),
        column("polwithcheck", Text),
    ],
    "SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const STATISTIC_EXT: SystemRelation = empty(
    "pg_statistic_ext",
    &[
        column("oid", Oid),
        column("stxrelid", Oid),
        column("stxname", Name),
        column("stxnamespace", Oid),
        column("stxkind", Text),
        column("stxkeys", Text),
        column("stxstattarget", Int4),
    ],
    "SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const PUBLICATION: SystemRelation = empty(
    "pg_publication",
    &[
        column("oid", Oid),
        column("pubname", Name),
        column("puballtables", Bool),
    ],
    "SELECT NULL, NULL, NULL WHERE false",
);

pub(super) const PUBLICATION_REL: SystemRelation = empty(
    "pg_publication_rel",
    &[
        column("oid", Oid),
        column("prpubid", Oid),
        column("prrelid", Oid),
        column("prqual", Text),
        column("prattrs", Text),
    ],
    "SELECT NULL, NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const PUBLICATION_NAMESPACE: SystemRelation = empty(
    "pg_publication_namespace",
    &[
        column("oid", Oid),
        column("pnpubid", Oid),
        column("pnnspid", Oid),
    ],
    "SELECT NULL, NULL, NULL WHERE false",
);

pub(super) const TRIGGER: SystemRelation = empty(
    "pg_trigger",
    &[
        column("oid", Oid),
        column("tgrelid", Oid),
        column("tgname", Name),
        column("tgenabled", Text),
        column("tgisinternal", Bool),
        column("tgparentid", Oid),
        column("tgconstraint", Oid),
    ],
    "SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const REWRITE: SystemRelation = empty(
    "pg_rewrite",
    &[
        column("oid", Oid),
        column("rulename", Name),
        column("ev_class", Oid),
        column("ev_enabled", Text),
    ],
    "SELECT NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const SEQUENCE: SystemRelation = empty(
    "pg_sequence",
    &[
        column("seqrelid", Oid),
        column("seqtypid", Oid),
        column("seqstart", Int8),
        column("seqincrement", Int8),
        column("seqmax", Int8),
        column("seqmin", Int8),
        column("seqcache", Int8),
        column("seqcycle", Bool),
    ],
    "SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const FOREIGN_TABLE: SystemRelation = empty(
    "pg_foreign_table",
    &[
        column("ftrelid", Oid),
        column("ftserver", Oid),
        column("ftoptions", Text),
    ],
    "SELECT NULL, NULL, NULL WHERE false",
);

pub(super) const FOREIGN_SERVER: SystemRelation = empty(
    "pg_foreign_server",
    &[column("oid", Oid), column("srvname", Name)],
    "SELECT NULL, NULL WHERE false",
);

pub(super) const DEPEND: SystemRelation = empty(
    "pg_depend",
    &[
        column("classid", Oid),
        column("objid", Oid),
        column("objsubid", Int4),
        column("refclassid", Oid),
        column("refobjid", Oid),
        column("refobjsubid", Int4),
        column("deptype", Text),
    ],
    "SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const ENUM: SystemRelation = empty(
    "pg_enum",
    &[
        column("oid", Oid),
        column("enumtypid", Oid),
        column("enumsortorder", Float4),
        column("enumlabel", Name),
    ],
    "SELECT NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const VIEWS: SystemRelation = empty(
    "pg_views",
    &[
        column("schemaname", Name),
        column("viewname", Name),
        column("viewowner", Name),
        column("definition", Text),
    ],
    "SELECT NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const OPERATOR_CLASS: SystemRelation = empty(
    "pg_opclass",
    &[
        column("oid", Oid),
        column("opcname", Name),
        column("opcnamespace", Oid),
        column("opcdefault", Bool),
    ],
    "SELECT NULL, NULL, NULL, NULL WHERE false",
);

pub(super) const TABLESPACE: SystemRelation = empty(
    "pg_tablespace",
    &[
        column("oid", Oid),
        column("spcname", Name),
        column("spcowner", Oid),
    ],
    "VALUES (1663, 'pg_default', 10), (1664, 'pg_global', 10)",
);
