pub(crate) struct Lookup;
pub(crate) struct Resolver;
