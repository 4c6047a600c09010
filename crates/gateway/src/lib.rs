//! The data plane: one pipeline from request bytes to response bytes.
