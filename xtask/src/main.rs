//! The runner of the paint workspace: `cargo xtask COMMAND`.
//!
//! It joins the crates and computes nothing of its own.

mod bench;
mod case_studies;
mod convert;
mod data;
mod delta;
mod embeddings;
mod examples;
mod findings;
mod groups;
mod hierarchy;
mod line;
mod logits;
mod machine;
mod many;
mod mirror;
mod model;
mod model_size;
mod models;
mod options;
mod patching;
mod plan;
mod prepared;
mod preset;
mod pretrain;
mod progress;
mod question;
mod rq1;
mod rq2;
mod rq3;
mod rq4;
mod rq5;
mod run_dir;
mod search;
mod side_effects;
mod subject;
mod tasks;
mod tested;
mod theta;
mod verify;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::progress::Console;

// Every tensor operation allocates: an allocator that keeps its pages saves the kernel from
// clearing them again and again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is told unless `PAINT_LOG` says otherwise; hf-hub's refusals are told by what asked it.
const WARNINGS: &str = "warn,hf_hub=off";

/// Patch open-vocabulary models by interpolating weights
#[derive(Parser)]
#[command(name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Rq1(rq1::Rq1Args),
    Rq2(rq2::Args),
    Rq3(rq3::Args),
    Rq4(rq4::Args),
    Rq5(rq5::Args),
    Patch(rq1::PatchArgs),
    Pretrain(pretrain::Args),
    Bench(bench::Args),
    Mirror(mirror::Args),
    Groups(groups::Args),
    Hierarchy(hierarchy::Args),
    Convert(convert::Args),
    Data(data::Args),
    Delta(delta::Args),
    Verify(verify::Args),
    Logits(logits::Args),
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("PAINT_LOG").unwrap_or_else(|_| EnvFilter::new(WARNINGS));
    let console = Console::new();
    let warnings = console.clone();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || warnings.clone())
        .without_time()
        .with_target(false)
        .init();
    let result = match Cli::parse().command {
        Command::Rq1(args) => rq1::rq1(&args, &console),
        Command::Rq2(args) => rq2::run(&args, &console),
        Command::Rq3(args) => rq3::run(&args, &console),
        Command::Rq4(args) => rq4::run(&args, &console),
        Command::Rq5(args) => rq5::run(&args, &console),
        Command::Patch(args) => rq1::patch_own(&args, &console),
        Command::Pretrain(args) => pretrain::run(&args, &console),
        Command::Bench(args) => bench::run(&args, &console),
        Command::Mirror(args) => mirror::run(&args, &console),
        Command::Groups(args) => groups::run(&args, &console),
        Command::Hierarchy(args) => hierarchy::run(&args, &console),
        Command::Convert(args) => convert::run(&args, &console),
        Command::Data(args) => data::run(&args, &console),
        Command::Delta(args) => delta::run(&args, &console),
        Command::Verify(args) => verify::run(&args, &console),
        Command::Logits(args) => logits::run(&args, &console),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.say(format!("error: {}", in_one_line(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, without those that the line already tells.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}
