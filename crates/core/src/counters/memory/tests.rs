//! What a claim means, statement by statement.
