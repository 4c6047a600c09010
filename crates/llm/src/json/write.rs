//! Writing JSON straight into a buffer, members in the order they are given.

/// Writes `text` as a JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    #[expect(
        clippy::expect_used,
        reason = "a Vec takes every write, a str is always valid"
    )]
    serde_json::to_writer(out, text).expect("a string is written into memory");
}

/// Writes one object.
pub(crate) fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Members<'_>)) {
    out.push(b'{');
    fill(&mut Members { out, empty: true });
    out.push(b'}');
}

/// Writes one array.
pub(crate) fn array(out: &mut Vec<u8>, fill: impl FnOnce(&mut Items<'_>)) {
    out.push(b'[');
    fill(&mut Items { out, empty: true });
    out.push(b']');
}

/// The members of an object that is being written.
pub(crate) struct Members<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl Members<'_> {
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        comma(self.out, &mut self.empty);
        write_string(self.out, key);
        self.out.push(b':');
        self.out
    }

    /// JSON text as it is; the caller vouches for it.
    pub(crate) fn raw(&mut self, key: &str, json: impl AsRef<[u8]>) -> &mut Self {
        self.key(key).extend_from_slice(json.as_ref());
        self
    }

    pub(crate) fn str(&mut self, key: &str, text: &str) -> &mut Self {
        write_string(self.key(key), text);
        self
    }

    pub(crate) fn str_or_null(&mut self, key: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.str(key, text),
            None => self.null(key),
        }
    }

    pub(crate) fn null(&mut self, key: &str) -> &mut Self {
        self.raw(key, "null")
    }

    pub(crate) fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    pub(crate) fn num(&mut self, key: &str, value: u64) -> &mut Self {
        self.raw(key, value.to_string())
    }

    pub(crate) fn int(&mut self, key: &str, value: i64) -> &mut Self {
        self.raw(key, value.to_string())
    }

    /// A finite number; anything else has no JSON form and becomes `null`.
    pub(crate) fn float(&mut self, key: &str, value: f64) -> &mut Self {
        let text = serde_json::Number::from_f64(value).map_or("null".into(), |n| n.to_string());
        self.raw(key, text)
    }

    pub(crate) fn object(&mut self, key: &str, fill: impl FnOnce(&mut Members<'_>)) -> &mut Self {
        object(self.key(key), fill);
        self
    }

    pub(crate) fn array(&mut self, key: &str, fill: impl FnOnce(&mut Items<'_>)) -> &mut Self {
        array(self.key(key), fill);
        self
    }
}

/// The items of an array that is being written.
pub(crate) struct Items<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl Items<'_> {
    fn next(&mut self) -> &mut Vec<u8> {
        comma(self.out, &mut self.empty);
        self.out
    }

    /// JSON text as it is; the caller vouches for it.
    pub(crate) fn raw(&mut self, json: impl AsRef<[u8]>) {
        self.next().extend_from_slice(json.as_ref());
    }

    pub(crate) fn str(&mut self, text: &str) {
        write_string(self.next(), text);
    }

    pub(crate) fn object(&mut self, fill: impl FnOnce(&mut Members<'_>)) {
        object(self.next(), fill);
    }
}

fn comma(out: &mut Vec<u8>, empty: &mut bool) {
    if !std::mem::replace(empty, false) {
        out.push(b',');
    }
}
