//! `docs/ops.md`, made of the table: what each operation is called, takes and is held to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use dormouse::prelude::*;

use crate::check::node_name;
use crate::names;
use crate::row::{Gradient, Row};

const HEAD: &str = "\
# Operations

Every operation of the engine, as `tests/ops` checks it: `UPDATE_PAGES=1 cargo test -p dormouse --release --test ops`
writes this page, and without the variable the test fails when the page is not what the table says.

Each row of the table is an operation with its attributes and operands. All rows are held to the same: in every dtype listed,
the value is that of an f64 reference (floats within rounding, others exactly); every other dtype is a mistake; the dtype and
shape that inference tells are those of what runs; 1, 2 and 8 threads give the same bits; `Optimize::Exact` gives the bits of
`Optimize::None`; and saved and loaded, it gives the same bits. *Gradients*: `1` says that the first is checked against central
differences in f64 (relative error below 1e-6), `2` that its own gradient is too; `✓` that there is one, but the result is too
coarse for differences; `–` that there is none, and that asking for it is a mistake.

What TensorFlow gives is in `tests/fixtures`, made by `tests/oracle`, and checked by `tests/tensorflow`, `tests/arrays.rs` and
`tests/neural.rs`. Where we differ on purpose is at the end of [From TensorFlow](from-tensorflow.md). Methods that build
several of these operations (losses, normalizations, `einsum`, …) are on that page too.

| operation | node | dtypes | gradients | rows |
|---|---|---|---|---|
";

/// The page, of these rows.
fn page(rows: &[Row]) -> String {
    let mut of = BTreeMap::<&str, Vec<&Row>>::new();
    for row in rows {
        of.entry(names::of(&row.op)).or_default().push(row);
    }
    let mut text = HEAD.to_owned();
    // In the order of the enum, each name once.
    let mut seen = Vec::new();
    for name in names::ALL {
        let Some(rows) = of.get(name).filter(|_| !seen.contains(name)) else { continue };
        seen.push(name);
        let listed = |dtype: &&DType| rows.iter().any(|row| row.dtypes.contains(dtype));
        let dtypes: Vec<&str> = DType::ALL.iter().filter(listed).map(|d| d.name()).collect();
        let best = rows.iter().map(|row| match row.gradient {
            Gradient::Smooth => 3,
            Gradient::Fixed => 2,
            Gradient::Coarse => 1,
            Gradient::None => 0,
        });
        let gradients = ["–", "✓", "1", "1, 2"][best.max().unwrap_or(0)];
        let node = node_name(rows[0]);
        let _ = writeln!(text, "| {name} | `{node}` | {} | {gradients} | {} |", dtypes.join(", "), rows.len());
    }
    text
}

/// Writes the page where that is asked for; else says whether it is what the table says.
pub(crate) fn check(rows: &[Row]) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ops.md");
    let page = page(rows);
    if std::env::var_os("UPDATE_PAGES").is_some() {
        return std::fs::write(&path, page).map_err(|e| e.to_string());
    }
    let there = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
    match there.lines().zip(page.lines()).find(|(a, b)| a != b) {
        None if there == page => Ok(()),
        None => Err("docs/ops.md is shorter or longer than the table".to_owned()),
        Some((a, b)) => Err(format!("docs/ops.md says\n{a}\nand the table\n{b}")),
    }
}
