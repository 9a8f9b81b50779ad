//! Writes the manifests of the world's tasks.
//!
//! `cargo run -p paint-world --example manifests -- data-manifests`

use std::fmt::Write;
use std::path::Path;

use paint_data::TaskSource;
use paint_world::{WorldTask, tasks};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args()
        .nth(1)
        .ok_or("usage: manifests DIRECTORY")?;
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory.join("tasks"))?;
    for task in tasks() {
        let path = directory.join(format!("tasks/{}.toml", task.task.name));
        std::fs::write(path, manifest(&task)?)?;
    }
    Ok(())
}

fn manifest(task: &WorldTask) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let TaskSource::Hub { id, .. } = &task.task.source else {
        return Ok(text);
    };
    writeln!(
        text,
        "# Part of the embedded world, which draws it; see crates/paint-world."
    )?;
    writeln!(text, "name = {:?}\nhub = {id:?}", task.task.name)?;
    list(&mut text, "templates", &task.task.templates)?;
    list(&mut text, "class_names", &task.task.class_names)?;
    Ok(text)
}

fn list(text: &mut String, key: &str, items: &[String]) -> std::fmt::Result {
    writeln!(text, "{key} = [")?;
    for item in items {
        writeln!(text, "    {item:?},")?;
    }
    writeln!(text, "]")
}
