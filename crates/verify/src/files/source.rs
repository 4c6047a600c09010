//! What a line-by-line look at source code shows: annotations, comments, swallowed errors, addresses.

use super::Problem;

/// Counts and problems of one file, or of all.
#[derive(Debug, Default, Clone)]
pub(crate) struct Source {
    /// Public functions and how many of them say what they do.
    pub(crate) public: usize,
    pub(crate) documented: usize,
    /// Functions in languages where types are optional, and how many have them.
    pub(crate) untyped_language: usize,
    pub(crate) annotated: usize,
    pub(crate) swallowed: Vec<Problem>,
    pub(crate) addresses: Vec<Problem>,
    pub(crate) unguarded: Vec<Problem>,
    /// Environment variables that are read.
    pub(crate) variables: Vec<String>,
}

/// Problems kept of each kind.
const MAX_PROBLEMS: usize = 50;

impl Source {
    pub(crate) fn merge(&mut self, more: Self) {
        self.public += more.public;
        self.documented += more.documented;
        self.untyped_language += more.untyped_language;
        self.annotated += more.annotated;
        for (all, new) in [
            (&mut self.swallowed, more.swallowed),
            (&mut self.addresses, more.addresses),
            (&mut self.unguarded, more.unguarded),
        ] {
            all.extend(new);
            all.sort();
            all.truncate(MAX_PROBLEMS);
        }
        self.variables.extend(more.variables);
        self.variables.sort();
        self.variables.dedup();
    }

    /// Reads one file that ships.
    pub(crate) fn read(path: &str, text: &str) -> Self {
        let mut source = Self::default();
        let lines: Vec<&str> = text.lines().collect();
        let python = path.ends_with(".py");
        let is_go = path.ends_with(".go");
        for (index, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let before = index
                .checked_sub(1)
                .and_then(|i| lines.get(i))
                .copied()
                .unwrap_or_default();
            let after = lines.get(index + 1).copied().unwrap_or_default();
            let problem = |found: String| Problem::new(path, index + 1, found);
            if python {
                source.python(code, &lines, index);
                let mut words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                let catches_all = code.starts_with("except")
                    && words.any(|word| matches!(word, "Exception" | "BaseException"));
                let drops = matches!(after.trim(), "pass" | "..." | "continue") || gives_up(after);
                if code == "except:" || catches_all && drops {
                    source
                        .swallowed
                        .push(problem(format!("`{code}` swallows every error")));
                }
                let calls = ["requests.get(", "requests.post(", "urllib.request.urlopen("];
                if calls.iter().any(|call| code.contains(call))
                    && (!near(&lines, index, "try:") && !line.contains("timeout")
                        || line.contains("timeout=None"))
                    || code.contains("timeout=None") && code.contains("httpx")
                {
                    source
                        .unguarded
                        .push(problem("calls out without a timeout or a guard".to_owned()));
                }
            } else if code.starts_with("pub fn ")
                || code.starts_with("pub async fn ")
                || code.starts_with("export function ")
                || (is_go && is_exported(code))
            {
                source.public += 1;
                let said = before.trim_start();
                let says = ["///", "//", "*/", "#[", "@"]
                    .iter()
                    .any(|start| said.starts_with(start));
                source.documented += usize::from(says);
            }
            if swallows(code, after) {
                source
                    .swallowed
                    .push(problem("an empty catch swallows every error".to_owned()));
            }
            if let Some(host) = address(code).filter(|host| !is_default(path, host)) {
                source
                    .addresses
                    .push(problem(format!("{host} is written into the code")));
            }
            source.variables.extend(variable(code));
        }
        source
    }

    fn python(&mut self, code: &str, lines: &[&str], index: usize) {
        let Some(name) = code
            .strip_prefix("def ")
            .or_else(|| code.strip_prefix("async def "))
        else {
            return;
        };
        let head: Vec<&str> = lines.iter().skip(index).take(12).copied().collect();
        let end = head
            .iter()
            .position(|line| line.trim_end().ends_with(':'))
            .unwrap_or(0);
        let signature = head.get(..=end).unwrap_or_default().join(" ");
        self.untyped_language += 1;
        self.annotated += usize::from(signature.contains("->"));
        if !name.starts_with('_') {
            self.public += 1;
            let first = head.get(end + 1).copied().unwrap_or_default().trim_start();
            let says = ["\"\"\"", "'''", "r\"\"\""]
                .iter()
                .any(|start| first.starts_with(start));
            self.documented += usize::from(says);
        }
    }
}

/// Whether a line leaves a function with nothing, as if nothing had happened.
fn gives_up(line: &str) -> bool {
    let Some(value) = line.trim().strip_prefix("return") else {
        return false;
    };
    let nothing = [
        "", "None", "\"\"", "''", "[]", "{}", "()", "dict()", "list()",
    ];
    nothing.contains(&value.trim())
}

/// Whether a line of JavaScript and its like catches everything and does nothing with it.
fn swallows(code: &str, after: &str) -> bool {
    if !code.contains("catch") {
        return false;
    }
    let tight: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let Some((before, caught)) = tight.split_once("catch") else {
        return false;
    };
    if before.ends_with('.') {
        return caught.starts_with("(()=>{})") || caught.starts_with("(()=>undefined)");
    }
    let begins = before.is_empty() || before.ends_with('}');
    let body = caught.split_once('{').map(|(_, body)| body);
    begins
        && body.is_some_and(|body| body.starts_with('}') || body.is_empty() && after.trim() == "}")
}

fn near(lines: &[&str], index: usize, what: &str) -> bool {
    let from = index.saturating_sub(8);
    lines
        .get(from..index)
        .unwrap_or_default()
        .iter()
        .any(|line| line.trim() == what)
}

/// `func Name(` with a capital letter.
fn is_exported(code: &str) -> bool {
    let Some(rest) = code.strip_prefix("func ") else {
        return false;
    };
    rest.starts_with(|c: char| c.is_ascii_uppercase())
}

/// A host in a URL that a literal holds, other than examples, schemas and this machine.
fn address(code: &str) -> Option<&str> {
    // Names of public services are the same in every environment.
    const FINE: [&str; 26] = [
        "localhost",
        "127.0.0.1",
        "0.0.0.0",
        "[::1]",
        "example",
        "w3.org",
        "json-schema.org",
        "schemastore.org",
        "schemas.",
        "github.com",
        "docs.",
        "www.",
        "opensource.org",
        "apache.org",
        "169.254.169.254",
        "amazonaws.com",
        "googleapis.com",
        "google.internal",
        "microsoftonline.com",
        "windows.net",
        "azure.",
        "openai.com",
        "anthropic.com",
        "cohere.",
        "mistral.ai",
        "{",
    ];
    if code.starts_with("//")
        || code.starts_with('#')
        || code.starts_with('*')
        || code.starts_with("/*")
    {
        return None;
    }
    let at = code
        .find("\"http://")
        .or_else(|| code.find("\"https://"))
        .or_else(|| code.find("'http://"))
        .or_else(|| code.find("'https://"))?;
    let rest = code.get(at + 1..)?;
    let host = rest
        .split("://")
        .nth(1)?
        .split(['/', '"', '\'', ':'])
        .next()?;
    let fine =
        host.is_empty() || !host.contains('.') || FINE.iter().any(|word| host.contains(word));
    (!fine).then_some(host)
}

/// The environment variable that a line reads.
fn variable(code: &str) -> Option<String> {
    const READS: [&str; 8] = [
        "os.environ[\"",
        "os.environ.get(\"",
        "os.getenv(\"",
        "env::var(\"",
        "process.env.",
        "os.Getenv(\"",
        "System.getenv(\"",
        "os.environ['",
    ];
    let (at, sign) = READS
        .iter()
        .find_map(|sign| Some((code.find(sign)?, sign)))?;
    let rest = code.get(at + sign.len()..)?;
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(rest.len());
    let name = rest.get(..end)?;
    (name.len() > 2).then(|| name.to_owned())
}

/// The default of a setting, where settings are defined, or a name that readers fill in.
fn is_default(path: &str, host: &str) -> bool {
    let defines = |part: &str| {
        let name = part.split('.').next().unwrap_or(part);
        matches!(name, "config" | "configuration" | "settings" | "defaults")
    };
    let placeholder = host.starts_with(|c: char| c.is_ascii_uppercase() || c == '{' || c == '<');
    placeholder || path.split('/').any(defines)
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn counts_annotations_and_docstrings() {
        let text = "def a(x: int) -> int:\n    \"\"\"Adds.\"\"\"\n    return x\n\ndef b(x):\n    return x\n";
        let source = Source::read("a.py", text);
        assert_eq!((source.untyped_language, source.annotated), (2, 1));
        assert_eq!((source.public, source.documented), (2, 1));
    }

    #[test]
    fn an_error_that_is_caught_and_dropped_is_swallowed() {
        for (path, text) in [
            ("a.py", "except (Exception, KeyError):\n    ...\n"),
            ("a.py", "except BaseException:\n    pass\n"),
            ("a.ts", "try { a(); } catch (e) { }\n"),
            ("a.ts", "} catch (e) {\n}\n"),
            ("a.ts", "a().catch(() => {});\n"),
        ] {
            assert_eq!(Source::read(path, text).swallowed.len(), 1, "{text}");
        }
        for (path, text) in [
            ("a.py", "except ValueError:\n    pass\n"),
            ("a.py", "except HTTPException:\n    pass\n"),
            ("a.py", "except Exception:\n    return fallback\n"),
            ("a.py", "except Exception as e:\n    log.error(e)\n"),
            ("a.ts", "} catch (e) {\n  log(e);\n}\n"),
            ("a.ts", "a().catch((e) => log(e));\n"),
            ("a.ts", "const catchment = {};\n"),
        ] {
            assert!(Source::read(path, text).swallowed.is_empty(), "{text}");
        }
    }

    #[test]
    fn finds_swallowed_errors_addresses_and_variables() {
        let text = "try:\n    x = os.getenv(\"API_URL\")\nexcept:\n    pass\nu = \"https://api.internal.net/v1\"\n";
        let source = Source::read("a.py", text);
        assert_eq!(source.swallowed.len(), 1);
        assert_eq!(source.addresses.len(), 1);
        assert_eq!(source.variables, ["API_URL"]);
    }
}
