//! The invariants of the workspace's structure: which crate may depend on which, and that the three dispatch matches
//! name every operation.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// The edges that the architecture allows, beyond the crates of the registry.
const EDGES: &[(&str, &[&str])] = &[
    ("dormouse-value", &[]),
    ("dormouse-graph", &["dormouse-value"]),
    ("dormouse-gradient", &["dormouse-value", "dormouse-graph"]),
    ("dormouse-kernels", &["dormouse-value"]),
    ("dormouse-session", &["dormouse-value", "dormouse-graph", "dormouse-kernels"]),
    ("dormouse-data", &["dormouse-value"]),
    ("dormouse-io", &["dormouse-value", "dormouse-graph", "dormouse-session"]),
    ("dormouse-bench", &["dormouse"]),
    ("dormouse-train", &["dormouse-value", "dormouse-graph", "dormouse-gradient", "dormouse-session"]),
    (
        "dormouse",
        &[
            "dormouse-value",
            "dormouse-graph",
            "dormouse-gradient",
            "dormouse-session",
            "dormouse-data",
            "dormouse-train",
            "dormouse-io",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn manifests_have_the_allowed_edges_only() {
    let mut crates: Vec<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    crates.sort();
    let mut known: Vec<&str> = EDGES.iter().map(|e| e.0).collect();
    known.sort_unstable();
    assert_eq!(crates, known);
    for (name, allowed) in EDGES {
        let manifest = fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).unwrap();
        for dependency in dependencies.keys().filter(|d| d.starts_with("dormouse")) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_dispatch_matches_have_no_wildcard() {
    for file in ["dormouse-graph/src/infer.rs", "dormouse-gradient/src/rules.rs", "dormouse-kernels/src/dispatch.rs"] {
        let path = root().join("crates").join(file);
        let Ok(text) = fs::read_to_string(&path) else {
            assert!(file.contains("rules"), "{file} is missing");
            continue;
        };
        assert!(!text.lines().any(|line| line.trim_start().starts_with("_ =>")), "{file} has a wildcard arm");
    }
}
