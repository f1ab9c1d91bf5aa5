//! Every operation against its definition: one table of rows in `cases`, one check a column here.
//!
//! `row` says what a row is, `reference` has the naive loops that rows are checked against, `names` ties the rows to
//! the enum of operations, `check` runs a row, `graphs` many together, and
//! `page` writes `docs/ops.md`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod accuracy;
mod cases;
mod check;
mod graphs;
mod names;
mod page;
mod reference;
mod row;

use cases::{large, rows};
use row::Row;

/// Checks every row of the table, and fails with what is wrong with each.
fn every_row(check: impl Fn(&Row) -> Result<(), String>) {
    every_row_of(rows(), check);
}

fn every_row_of(rows: Vec<Row>, check: impl Fn(&Row) -> Result<(), String>) {
    let told: Vec<String> = rows.iter().filter_map(|row| check(row).err().map(|e| format!("{row}: {e}"))).collect();
    assert!(told.is_empty(), "{} rows fail\n{}", told.len(), told.join("\n"));
}

#[test]
fn every_operation_has_a_row() {
    let rows: Vec<&str> = rows().iter().map(|row| names::of(&row.op)).collect();
    let missing: Vec<&&str> = names::ALL.iter().filter(|name| !rows.contains(*name)).collect();
    assert!(missing.is_empty(), "no row in tests/ops/cases.rs for {missing:?}");
}

#[test]
fn the_page_of_operations_is_what_the_table_says() {
    page::check(&rows()).unwrap_or_else(|told| panic!("{told}\nwrite it again: see its first lines"));
}

#[test]
fn values_are_the_references() {
    every_row(|row| row.dtypes.iter().try_for_each(|dtype| check::value(row, *dtype)));
}

#[test]
fn other_dtypes_are_mistakes() {
    every_row(check::refusals);
}

#[test]
fn inference_tells_what_runs_produce() {
    every_row(|row| row.dtypes.iter().try_for_each(|dtype| check::inference(row, *dtype)));
}

#[test]
fn gradients_are_central_differences() {
    every_row(check::gradient);
}

#[test]
fn second_gradients_are_central_differences() {
    every_row(check::second_gradient);
}

#[test]
fn threads_change_no_bit() {
    every_row(|row| row.dtypes.iter().try_for_each(|dtype| check::threads(row, *dtype)));
}

#[test]
fn threads_change_no_bit_of_large_arrays() {
    every_row_of(large(), |row| check::threads(row, row.dtypes[0]));
}

#[test]
fn the_compiler_changes_no_bit_where_it_is_to_be_exact() {
    every_row(|row| row.dtypes.iter().try_for_each(|dtype| check::compiled(row, *dtype)));
    every_row_of(large(), |row| check::compiled(row, row.dtypes[0]));
}

#[test]
fn files_change_no_bit() {
    every_row(|row| row.dtypes.iter().try_for_each(|dtype| check::files(row, *dtype)));
}
