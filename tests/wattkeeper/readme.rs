//! What the pages for people promise: commands that exist, devices that are shipped, links that lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use wattkeeper::cli;
use wattkeeper::control::precedence;
use wattkeeper::device::definition::Definition;
use wattkeeper::device::library;
use wattkeeper::profile::{self, Overrides};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every Markdown page of the project.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The code blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside: Option<String> = None;
    for line in text.lines().map(str::trim) {
        match (&mut inside, line.strip_prefix("```")) {
            (Some(block), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (Some(_), Some(_)) => found.extend(inside.take()),
            (None, Some(opening)) if opening == language => inside = Some(String::new()),
            (None, _) => {}
        }
    }
    found
}

#[test]
fn the_first_command_shows_a_site_and_the_second_tests_it() {
    let blocks = blocks(&page("README.md"), "sh");
    let commands: Vec<&str> = blocks.iter().map(|block| block.trim()).take(2).collect();
    assert_eq!(commands, ["cargo run --release -- demo", "cargo test"]);
}

#[test]
fn every_shipped_definition_is_listed_with_what_it_takes() {
    let readme = page("README.md");
    let mut missing = Vec::new();
    for name in library::names() {
        let definition = Definition::parse(library::shipped(name).unwrap(), name).unwrap();
        let kinds: Vec<String> = definition.controls.iter().map(|control| control.kind.to_string()).collect();
        let takes = if kinds.is_empty() { "read only".to_owned() } else { kinds.join(", ") };
        let row = format!("| `{name}` | {} {} | {takes} |", definition.maker, definition.model);
        if !readme.contains(&row) {
            missing.push(row);
        }
        assert!(definition.is_unproven(), "{name} was recorded: README still says that nothing was");
    }
    assert!(missing.is_empty(), "README lacks these rows:\n{}", missing.join("\n"));
}

#[test]
fn every_subcommand_is_in_the_table_and_no_other() {
    let readme = page("README.md");
    let table = readme.split("## Commands").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut listed: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', ' ']).next()).collect();
    let command = cli::command();
    let mut known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known);
}

#[test]
fn every_wattkeeper_command_that_is_shown_is_understood() {
    for block in blocks(&page("README.md"), "sh") {
        for line in block.lines().filter(|line| line.starts_with("wattkeeper ")) {
            let words = line.split('#').next().unwrap().split_whitespace();
            cli::command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}

#[test]
fn the_profiles_that_are_shown_pass_the_check() {
    let blocks = blocks(&page("README.md"), "toml");
    let whole: Vec<&String> = blocks.iter().filter(|block| block.starts_with("schema")).collect();
    assert_eq!(whole.len(), 1, "one whole profile is shown");
    for text in whole {
        if let Err(mistakes) = profile::load_text("README.md", text, None, &Overrides::default()) {
            panic!("{}", profile::report::mistakes_text(&mistakes));
        }
    }
}

#[test]
fn the_ladder_of_the_readme_is_that_of_the_code() {
    let rows = precedence::rows();
    assert!(page("README.md").contains(&rows), "README.md, \"Who wins\", must have these rows:\n{rows}");
}

#[test]
fn the_page_of_precedence_is_that_of_the_code() {
    is_fresh("docs/precedence.md", &precedence::page());
}

#[test]
fn the_page_of_all_keys_is_that_of_the_code() {
    is_fresh("docs/profile.md", &format!("# Keys of a profile\n\n{}", profile::reference()));
}

/// A page that is made from the code is what the code makes now.
fn is_fresh(page: &str, fresh: &str) {
    let path = root().join(page);
    if std::env::var_os("WATTKEEPER_WRITE_DOCS").is_some() {
        fs::write(&path, fresh).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == fresh, "{page} is out of date: run WATTKEEPER_WRITE_DOCS=1 cargo test readme");
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut broken = Vec::new();
    for path in pages() {
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split("](").skip(1) {
            let link = part.split(')').next().unwrap();
            let target = link.split('#').next().unwrap();
            if target.is_empty() || link.contains("://") {
                continue;
            }
            if !path.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_picture_of_the_page_is_a_small_png() {
    let bytes = fs::read(root().join("docs/page.png")).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"), "docs/page.png is no PNG");
    assert!(bytes.len() < 200_000, "docs/page.png has {} bytes", bytes.len());
}
