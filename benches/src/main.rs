#![doc = include_str!("../README.md")]

use std::io::Write as _;
use std::path::PathBuf;

use clap::Parser;

mod bench;
mod clock;
mod documents;
mod engine;
mod floor;
mod heap;
mod machine;
mod peer;
mod receiving;
mod report;
mod rows;
mod sqlite;
mod survey;
mod sync;
mod trace;

use bench::Bench;
use report::Report;

/// Whatever stops a measurement; it is shown and ends the program.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How much smaller everything is with `--quick`.
const QUICK: usize = 20;

/// Measures Threads against what it is built of, and against SQLite, each as a ratio in one run.
#[derive(Debug, Parser)]
#[command(name = "threads-benches")]
struct Args {
    /// Print the table as JSON.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the table as Markdown, for docs/benchmarks.md.
    #[arg(long)]
    markdown: bool,
    /// Measure these rows only; a name picks every row that begins with it.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Divide all sizes by 20: shows that every row runs, and says nothing of speed.
    #[arg(long, conflicts_with = "divide")]
    quick: bool,
    /// Divide all sizes by this.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    divide: u32,
    /// How often each side is measured, in turns; the table shows medians.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure how long the program keeps processors busy, not how long it takes: for a machine that does
    /// other work. What waits for a disk or a peer is cheaper then than it is.
    #[arg(long)]
    processor: bool,
    /// The directory for data, on the disk to be measured; the program's own directory otherwise.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// What a process of its own measures for a row.
    #[arg(long, hide = true, num_args = 1.., value_name = "WORD")]
    child: Vec<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if !args.child.is_empty() {
        return rows::child(&args.child);
    }
    if args.processor {
        clock::count_processor();
    }
    let divide = if args.quick {
        QUICK
    } else {
        args.divide as usize
    };
    let bench = Bench::new(args.dir.as_deref(), divide, args.rounds as usize)?;
    let picked = rows::picked(&args.only)?;
    let mut report = Report::new(machine::look(&bench)?, divide, bench.rounds());
    report.processor = args.processor;
    for row in picked {
        eprintln!("measuring {} ...", row.name);
        let row = (row.run)(&bench)?;
        eprintln!("  {}", row.line());
        report.rows.push(row);
    }
    let text = match (args.json, args.markdown) {
        (true, _) => report.json()?,
        (_, true) => report.markdown(),
        _ => report.text(),
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
