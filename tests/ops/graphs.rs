//! Graphs drawn from the table: rows at random, whose operands are earlier results, brought into the row's domain and extents.
//! However such a graph is compiled, it gives the same; where it does not, fewer and fewer rows are tried.

use std::slice::from_ref;

use dormouse::prelude::*;
use proptest::prelude::*;

use crate::cases::rows;
use crate::check::{numbers_of, same_bits, value_of};
use crate::row::{Domain, Row};

/// One node: which row, in which of its dtypes, and what picks its operands.
type Draw = (usize, usize, u32);

struct Drawn {
    graph: OwnedGraph,
    /// What is fed, and a little else beside it.
    feeds: Vec<(Tensor, [Value; 2])>,
    /// The results of every row, with the row's place.
    results: Vec<(Tensor, usize)>,
    /// How near results are when rounding may change, in parts of the largest.
    tolerance: f64,
}

/// The row's numbers, or these a little changed.
fn fed(row: &Row, operand: usize, dtype: DType, change: f64) -> Value {
    let numbers = row.numbers(dtype).swap_remove(operand);
    let mut sign = 1.0;
    let changed = numbers.mapv(|x| {
        sign = -sign;
        if dtype.is_float() { x * (1.0 + sign * change) } else { x }
    });
    value_of(&changed, dtype)
}

/// As many elements as these extents have, again and again those of x.
fn shaped(x: Tensor, dims: &[usize]) -> Tensor {
    let count: usize = dims.iter().product();
    let own = x.shape().to_dims().map_or(0, |dims| dims.iter().product());
    if x.shape().to_dims().is_some_and(|own| own.as_slice() == dims) {
        return x;
    }
    let extents: Vec<i64> = dims.iter().map(|n| *n as i64).collect();
    let times = count.div_ceil(own) as u32;
    x.reshape([-1]).tile(&[times]).slice([0], [count as i64]).reshape(extents)
}

/// x in the numbers that a row takes.
fn within(x: Tensor, domain: Domain) -> Tensor {
    match (x.dtype().is_float(), domain) {
        (true, Domain::Signed) => x.tanh() * 2.0,
        (true, Domain::Positive) => x.sigmoid() * 0.9 + 0.3,
        (false, _) if x.dtype() == DType::Bool => x,
        (false, Domain::Signed) if x.dtype() == DType::U8 => x.floor_mod(11),
        (false, Domain::Signed) => x.floor_mod(11) - 5,
        (false, Domain::Positive) => x.floor_mod(7) + 1,
    }
}

fn drawn(recipe: &[Draw], table: &[Row], float: DType) -> Drawn {
    let graph = Graph::new();
    let tolerance = if float == DType::F32 { 1e-3 } else { 1e-7 };
    let mut all = Drawn { graph, feeds: Vec::new(), results: Vec::new(), tolerance };
    for (row, dtype, picks) in recipe {
        let place = row % table.len();
        let row = &table[place];
        let own: Vec<DType> = row.dtypes.iter().copied().filter(|d| !d.is_float() || *d == float).collect();
        let Some(dtype) = own.get(dtype % own.len().max(1)).copied() else { continue };
        let mut picks = *picks;
        let mut operands = Vec::new();
        for (index, operand) in row.operands.iter().enumerate() {
            let dtype = operand.dtype.unwrap_or(dtype);
            picks = picks.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pick = (picks >> 8) as usize;
            let fits = |x: &Tensor| {
                x.dtype() == dtype && x.shape().to_dims().is_some_and(|dims| dims.iter().product::<usize>() > 0)
            };
            let earlier: Vec<Tensor> = all.results.iter().map(|r| r.0).filter(fits).collect();
            let made = match (operand.domain(), earlier.is_empty() || pick.is_multiple_of(5)) {
                (Some(domain), false) => within(shaped(earlier[pick / 5 % earlier.len()], &operand.dims), domain),
                (Some(_), true) => {
                    let x = all.graph.placeholder(dtype, Shape::known(&operand.dims));
                    all.feeds.push((x, [0.0, tolerance * 1e-3].map(|change| fed(row, index, dtype, change))));
                    x
                }
                (None, _) => all.graph.constant(fed(row, index, dtype, 0.0)),
            };
            operands.push(made);
        }
        let first = all.graph.apply(row.op.clone(), &operands);
        all.results.extend((0..row.op.outputs()).map(|port| (first.port(port as u32), place)));
    }
    all
}

impl Drawn {
    /// The results from this one on, of what is fed or what is beside it.
    fn run(&self, optimize: Optimize, threads: usize, from: usize, beside: usize) -> Result<Vec<Value>, TestCaseError> {
        let told = |e: dormouse::Error| TestCaseError::fail(e.to_string());
        let options = SessionOptions { optimize, threads: Some(threads), ..SessionOptions::default() };
        let session = Session::with_options(&self.graph, options).map_err(|e| told(e.into()))?;
        let feeds: Vec<(Tensor, Value)> = self.feeds.iter().map(|(x, values)| (*x, values[beside].clone())).collect();
        let fetches: Vec<Tensor> = self.results[from..].iter().map(|r| r.0).collect();
        session.run(&fetches, feeds).map_err(|e| told(e.into()))
    }
}

/// The largest difference, and the largest number.
fn distance(a: &Value, b: &Value) -> (f64, f64) {
    let (a, b) = (numbers_of(a), numbers_of(b));
    let far = |(a, b): (&f64, &f64)| if a == b || a.is_nan() && b.is_nan() { 0.0 } else { (a - b).abs() };
    let most = a.iter().filter(|x| x.is_finite()).fold(0.0_f64, |most, x| most.max(x.abs()));
    (a.iter().zip(&b).map(far).fold(0.0, f64::max), most)
}

fn check(recipe: &[Draw], float: DType) -> Result<(), TestCaseError> {
    let table = rows();
    let drawn = drawn(recipe, &table, float);
    prop_assert!(drawn.graph.check().is_ok(), "{:?}", drawn.graph.check());
    let late = drawn.results.len().saturating_sub(3);
    let plain = drawn.run(Optimize::None, 1, 0, 0)?;
    let beside = drawn.run(Optimize::None, 1, 0, 1)?;
    for (threads, from) in [(1, 0), (2, 0), (1, late)] {
        let exact = drawn.run(Optimize::Exact, threads, from, 0)?;
        let other = exact.iter().zip(&plain[from..]).position(|(a, b)| !same_bits(from_ref(a), from_ref(b)));
        let row = other.map(|i| table[drawn.results[from + i].1].to_string());
        prop_assert!(row.is_none(), "Exact on {threads} threads has other bits of {row:?}");
    }
    for from in [0, late] {
        let full = drawn.run(Optimize::Full, 1, from, 0)?;
        for (i, value) in full.iter().enumerate() {
            let own = &plain[from + i];
            let (moved, most) = distance(own, &beside[from + i]);
            let bound = drawn.tolerance * most.max(1e-3);
            let (far, _) = distance(own, value);
            let row = &table[drawn.results[from + i].1];
            // Where a little more at the operands is much more here, rounding may be too.
            prop_assert!(far <= bound || moved > bound, "Full is {far:e} of {most} off in {row}");
        }
    }
    Ok(())
}

/// Rows in number, as small graphs show what large ones do.
fn recipes(fewest: usize, most: usize) -> impl Strategy<Value = Vec<Draw>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..8_usize, any::<u32>()), fewest..most).prop_map(|draws| {
        draws.into_iter().map(|(row, dtype, picks)| (row.index(rows().len()), dtype, picks)).collect()
    })
}

/// The same graphs every time: `PROPTEST_CASES` tries more.
fn config(cases: u32) -> ProptestConfig {
    let rng_seed = prop::test_runner::RngSeed::Fixed(5);
    let wanted = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { wanted.cases } else { cases };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..wanted }
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn random_graphs_of_rows_agree_in_f64(recipe in recipes(5, 60)) {
        check(&recipe, DType::F64)?;
    }

    #[test]
    fn random_graphs_of_rows_agree_in_f32(recipe in recipes(5, 60)) {
        check(&recipe, DType::F32)?;
    }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn large_random_graphs_of_rows_agree(recipe in recipes(100, 201), double in any::<bool>()) {
        check(&recipe, if double { DType::F64 } else { DType::F32 })?;
    }
}
