//! The tables: straggler's joins against the fastest other join.

/// The name of a join and its time in nanoseconds.
pub(crate) type Measured<'a> = (&'a str, f64);

/// A Markdown table of times and their ratios.
pub(crate) struct Table {
    head: String,
    rows: Vec<String>,
    /// The sum of the logarithms of all ratios, for the geometric mean.
    log_sum: f64,
    ratios: f64,
}

impl Table {
    /// Makes an empty table with a column for each number of futures.
    pub(crate) fn new(title: &str, counts: &[usize]) -> Self {
        let columns: Vec<String> = counts.iter().map(|count| format!("n={count}")).collect();
        let columns = columns.join(" | ");
        let rule = "---|".repeat(counts.len());
        Self {
            head: format!("\n{title}\n\n| | {columns} |\n|---|{rule}"),
            rows: Vec::new(),
            log_sum: 0.0,
            ratios: 0.0,
        }
    }

    /// Adds a row of straggler's join and the fastest other one. Skips a row without measurements.
    pub(crate) fn row(&mut self, name: &str, cells: &[(Option<f64>, Option<Measured<'_>>)]) {
        if cells.iter().all(|cell| *cell == (None, None)) {
            return;
        }
        let cells = cells.iter().map(|(ours, other)| match (ours, other) {
            (Some(ours), Some((other, nanoseconds))) => {
                let ratio = ours / nanoseconds;
                self.log_sum += ratio.ln();
                self.ratios += 1.0;
                format!(" {ours:.1} / {nanoseconds:.1} = **{ratio:.2}** (`{other}`) |")
            }
            (Some(ours), None) => format!(" {ours:.1} |"),
            (None, Some((other, nanoseconds))) => format!(" - / {nanoseconds:.1} (`{other}`) |"),
            (None, None) => " - |".to_owned(),
        });
        let cells: String = cells.collect();
        self.rows.push(format!("| {name} |{cells}"));
    }

    /// Prints the table and the geometric mean of its ratios. Skips an empty table.
    pub(crate) fn print(&self) {
        if self.rows.is_empty() {
            return;
        }
        println!("{}\n{}", self.head, self.rows.join("\n"));
        if self.ratios > 0.0 {
            let mean = (self.log_sum / self.ratios).exp();
            println!("\ngeometric mean of {} ratios: **{mean:.2}**", self.ratios);
        }
    }
}

/// Returns the fastest of the joins.
pub(crate) fn fastest<'a>(measured: impl Iterator<Item = Measured<'a>>) -> Option<Measured<'a>> {
    measured.min_by(|(_, one), (_, other)| one.total_cmp(other))
}
