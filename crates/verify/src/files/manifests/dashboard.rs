//! What a Grafana dashboard shows: its panels that ask for something.

use crate::files::yaml::Node;

/// A Grafana dashboard.
#[derive(Debug)]
pub(crate) struct Dashboard {
    pub(crate) path: String,
    pub(crate) title: String,
    /// Panels that ask a source of data for something.
    pub(crate) asking: usize,
    /// Titles of these panels.
    pub(crate) panel_titles: Vec<String>,
    /// Expression and line of each query of Prometheus.
    pub(crate) queries: Vec<(usize, String)>,
}

/// What a query says beside what it asks for.
const AROUND: [&str; 9] = [
    "refId",
    "datasource",
    "hide",
    "format",
    "legendFormat",
    "intervalFactor",
    "interval",
    "editorMode",
    "queryType",
];

impl Dashboard {
    /// Reads a dashboard as a file keeps it, or as the API of Grafana gives it.
    pub(crate) fn read(path: &str, node: &Node) -> Option<Self> {
        let wrapped = node.get("dashboard");
        let node = wrapped
            .filter(|inner| inner.get("panels").is_some() || inner.get("rows").is_some())
            .unwrap_or(node);
        // Older ones keep their panels in rows.
        let rows = node.items_at("rows").iter();
        let in_rows: Vec<&Node> = rows.flat_map(|row| row.items_at("panels")).collect();
        if node.get("panels").is_none() && in_rows.is_empty() {
            return None;
        }
        let mut dashboard = Self {
            path: path.to_owned(),
            title: node.text_at("title").unwrap_or_default().to_owned(),
            asking: 0,
            panel_titles: Vec::new(),
            queries: Vec::new(),
        };
        let mut open: Vec<&Node> = node.items_at("panels").iter().chain(in_rows).collect();
        while let Some(panel) = open.pop() {
            open.extend(panel.items_at("panels"));
            dashboard.add(panel);
        }
        dashboard.queries.sort();
        Some(dashboard)
    }

    fn add(&mut self, panel: &Node) {
        let asking: Vec<&Node> = panel
            .items_at("targets")
            .iter()
            .filter(|t| asks(t))
            .collect();
        if asking.is_empty() {
            return;
        }
        self.asking += 1;
        self.panel_titles
            .extend(panel.text_at("title").map(str::to_owned));
        for target in asking {
            if let Some(expression) = target.text_at("expr") {
                self.queries.push((target.line, expression.to_owned()));
            }
        }
    }
}

fn asks(target: &Node) -> bool {
    match target.get("expr") {
        Some(expression) => expression.says_something(),
        None => target
            .entries()
            .iter()
            .any(|(key, value)| !AROUND.contains(&key.as_str()) && value.says_something()),
    }
}

#[cfg(test)]
mod tests {
    use super::Dashboard;
    use crate::files::yaml::parse;

    #[test]
    fn only_panels_that_ask_for_something_show_it() {
        for (text, asking, queries) in [
            ("{panels: []}", 0, 0),
            ("{panels: [{title: T, type: text}]}", 0, 0),
            (
                "{panels: [{title: T, targets: [{refId: A, expr: ''}]}]}",
                0,
                0,
            ),
            ("{panels: [{title: T, targets: [{refId: A}]}]}", 0, 0),
            ("{panels: [{title: T, targets: [{expr: up}]}]}", 1, 1),
            (
                "{panels: [{title: T, targets: [{rawSql: SELECT 1}]}]}",
                1,
                0,
            ),
            (
                "{panels: [{type: row, panels: [{targets: [{expr: up}]}]}]}",
                1,
                1,
            ),
            ("{rows: [{panels: [{targets: [{expr: up}]}]}]}", 1, 1),
            ("{dashboard: {panels: [{targets: [{expr: up}]}]}}", 1, 1),
        ] {
            let node = parse(text).expect("valid").remove(0);
            let read = Dashboard::read("d.json", &node).expect("a dashboard");
            assert_eq!(
                (read.asking, read.queries.len()),
                (asking, queries),
                "{text}"
            );
        }
    }
}
