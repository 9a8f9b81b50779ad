//! `cargo xtask data`: is a dataset what its manifest says, and what does a model see of it?

mod check;
mod sample;
mod show;

use anyhow::Result;
use paint_data::{Hub, Task};

use crate::progress::Console;
use crate::tasks::{hub_of, is_of_world, prepare_world};

/// Look at a task's data before a model is trained on it
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Check(check::Args),
    Show(show::Args),
}

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    match &args.command {
        Command::Check(args) => check::run(args, console),
        Command::Show(args) => show::run(args, console),
    }
}

/// Where a task's files are; the embedded world's are drawn unless they are there.
fn hub_for(task: &Task, dir: Option<&std::path::Path>, console: &Console) -> Result<Hub> {
    Ok(match is_of_world(task) {
        true => Hub::Directory(prepare_world(&[task], console)?),
        false => hub_of(dir, console),
    })
}
