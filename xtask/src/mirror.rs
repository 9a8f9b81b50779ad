//! `cargo xtask mirror`: a Hub over a directory.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::Result;
use paint_mirror::Mirror;

use crate::progress::{Console, answer};

/// Serve a directory as the Hub does, for machines that cannot reach it
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directory with {models,datasets}/ORG/NAME/FILE
    #[arg(long)]
    dir: PathBuf,
    /// Address to listen on; 0.0.0.0 is every network of this machine, unencrypted
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Port to listen on; 0 is any free one
    #[arg(long, default_value_t = 8300)]
    port: u16,
}

pub(crate) fn run(args: &Args, console: &Console) -> Result<()> {
    let mirror = Mirror::start(&args.dir, SocketAddr::new(args.bind, args.port))?;
    let mut n = 0;
    mirror.index(|kind, id, commit| {
        n += 1;
        console.say(format!("{commit} {kind}/{id}"));
    })?;
    console.say(format!("{n} repositories at {}", args.dir.display()));
    print_endpoint(&mirror.endpoint());
    mirror.serve()
}

/// The one line of output, so that a script can read it once all is ready.
fn print_endpoint(endpoint: &str) {
    answer(format!("HF_ENDPOINT={endpoint}"));
}
