//! Everything HTTP that is not about models: listeners, upstream connections, telemetry sinks.
