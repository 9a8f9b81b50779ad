//! Writes the whole world to disk: all tasks, a caption corpus, and the tokenizer.
//!
//! `cargo run -p paint-world --example write_world -- ROOT 1000` writes 1,000 captioned images
//! beside the twelve tasks, in Hub layout below ROOT, with the time that each took.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use paint_world::{Recipe, Sizes, tasks, write_captions, write_task, write_tokenizer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, n_captions] = arguments.as_slice() else {
        return Err("usage: write_world ROOT N_CAPTIONS".into());
    };
    let (root, n_captions) = (Path::new(root), n_captions.parse()?);
    let mut out = std::io::stdout();
    for task in tasks() {
        let sizes = Sizes::of(task.role);
        let n = sizes.train + sizes.validation + sizes.test;
        let start = Instant::now();
        write_task(&task.task.name, root, sizes, &|_| ())?;
        writeln!(
            out,
            "{}: {n} images, {:.0}/s",
            task.task.name,
            rate(n, start)
        )?;
    }
    let start = Instant::now();
    write_captions(root, n_captions, 1, &Recipe::default(), &|_| ())?;
    writeln!(
        out,
        "captions: {n_captions} images, {:.0}/s",
        rate(n_captions, start)
    )?;
    let start = Instant::now();
    write_tokenizer(&root.join("tokenizer"), 48)?;
    writeln!(out, "tokenizer: {:.1} s", start.elapsed().as_secs_f64())?;
    Ok(())
}

fn rate(n: u64, start: Instant) -> f64 {
    n as f64 / start.elapsed().as_secs_f64()
}
