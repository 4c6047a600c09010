//! What the options of authentication must be together.

use seaworthy_core::principal::{Role, is_name};

use super::Check;

impl Check<'_> {
    pub(super) fn roles(&mut self) {
        let config = self.config;
        for (name, role) in &config.auth.roles {
            let path = ["auth", "roles", name.as_str()];
            if Role::BUILT_IN.iter().any(|role| role.as_str() == name) {
                let message = format!("`{name}` is a built-in role");
                self.key_error(&path, message, "choose another name");
            } else if !is_name(name) {
                let message = format!("`{name}` cannot be the name of a role");
                let help = "use up to 128 letters, digits, `-`, `_`, `.` and `:`";
                self.key_error(&path, message, help);
            }
            if role.permissions.is_empty() && self.intact(&path) {
                let message = format!("the role `{name}` allows nothing");
                self.warn(&path, message, "add permissions, such as \"call_models\"");
            }
        }
    }
}
