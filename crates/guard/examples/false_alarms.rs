//! Counts what the secrets detector reports in folders of ordinary code: `false_alarms DIR…`.
#![expect(clippy::print_stdout, reason = "a report for a person")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seaworthy_guard::detector::{Detector, Scan, Window};
use seaworthy_guard::secrets::Secrets;

const SOURCES: [&str; 10] = ["rs", "c", "h", "py", "toml", "md", "js", "ts", "sh", "json"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let detector = Secrets::built_in()?;
    let mut files = Vec::new();
    for folder in std::env::args().skip(1) {
        collect(Path::new(&folder), &mut files, 0)?;
    }
    let (mut lines, mut counts) = (0, BTreeMap::<String, u64>::new());
    for file in &files {
        let Ok(text) = std::fs::read_to_string(file) else {
            continue;
        };
        lines += text.lines().count();
        let mut scan = Scan::default();
        detector.scan(Window::whole(&text), &mut scan);
        for finding in scan.findings {
            let begin = text[..finding.span.start]
                .rfind('\n')
                .map_or(0, |at| at + 1);
            let line: String = text[begin..]
                .lines()
                .next()
                .unwrap_or("")
                .chars()
                .take(140)
                .collect();
            println!("{} {}: {line}", finding.rule, file.display());
            *counts.entry(finding.rule.to_string()).or_default() += 1;
        }
    }
    println!("\n{} files, {lines} lines", files.len());
    for (rule, count) in counts {
        println!("{rule}: {count}");
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>, depth: usize) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() && depth < 12 {
            collect(&path, files, depth + 1)?;
        } else if path
            .extension()
            .is_some_and(|kind| SOURCES.iter().any(|source| kind == *source))
        {
            files.push(path);
        }
    }
    Ok(())
}
