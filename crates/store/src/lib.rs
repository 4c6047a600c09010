//! Storage back ends behind the traits of seaworthy-core.
