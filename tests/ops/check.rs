//! The columns of the table: what is checked of a row. Each says in one line what is wrong.

use dormouse::io::{decode_graph, encode_graph};
use dormouse::prelude::*;
use dormouse::value::Op;
use ndarray::IxDyn;

use crate::row::{Gradient, Numbers, Row};

/// The row's node in a graph of its own.
struct Site {
    graph: OwnedGraph,
    inputs: Vec<Tensor>,
    /// One tensor a result.
    outputs: Vec<Tensor>,
}

/// What is known of the operands' shapes when the graph is built.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Extents,
    Ranks,
    Nothing,
}

impl Site {
    fn new(row: &Row, dtype: DType, told: Told) -> Self {
        let graph = Graph::new();
        let inputs: Vec<Tensor> = row
            .operands
            .iter()
            .map(|operand| {
                let shape = match told {
                    Told::Extents => Shape::known(&operand.dims),
                    Told::Ranks => Shape::of_rank(operand.dims.len()),
                    Told::Nothing => Shape::unknown(),
                };
                graph.placeholder(operand.dtype.unwrap_or(dtype), shape)
            })
            .collect();
        let first = graph.apply(row.op.clone(), &inputs);
        let outputs = (0..row.op.outputs()).map(|port| first.port(port as u32)).collect();
        Site { graph, inputs, outputs }
    }

    fn session(&self) -> Result<Session, String> {
        Session::new(&self.graph).map_err(|e| e.to_string())
    }

    /// Runs fetches on these operands.
    fn run(&self, session: &Session, fetches: &[Tensor], operands: &[Numbers]) -> Result<Vec<Value>, String> {
        let values: Vec<(Tensor, Value)> =
            self.inputs.iter().zip(operands).map(|(x, numbers)| (*x, value_of(numbers, x.dtype()))).collect();
        session.run(fetches, values).map_err(|e| e.to_string())
    }

    /// Σ w · y² over all results of floats, for weights without a pattern: a scalar whose gradient depends on everything.
    fn objective(&self) -> Tensor {
        let terms: Vec<Tensor> = self
            .outputs
            .iter()
            .filter(|y| y.dtype().is_float())
            .map(|y| (weights(&self.graph, *y, 0) * y.square()).sum())
            .collect();
        self.graph.add_n(&terms)
    }
}

/// Weights in a tensor's shape, as far as it is known: by position in it.
fn weights(graph: &Graph, y: Tensor, salt: usize) -> Tensor {
    let position = y.ones_like().reshape([-1]).cumsum(0, Running { exclusive: true, reverse: false });
    let weight = (position * 5.0 + (salt as f64 + 1.0)).floor_mod(7.0) / 7.0 + 0.5;
    graph.apply(dormouse::value::Op::ReshapeLike, &[weight, y])
}

fn weight(position: usize, salt: usize) -> f64 {
    ((position * 5 + salt + 1) % 7) as f64 / 7.0 + 0.5
}

pub(crate) fn value_of(numbers: &Numbers, dtype: DType) -> Value {
    match dtype {
        DType::F64 => numbers.into(),
        DType::F32 => numbers.mapv(|x| x as f32).into(),
        DType::I32 => numbers.mapv(|x| x as i32).into(),
        DType::I64 => numbers.mapv(|x| x as i64).into(),
        DType::U8 => numbers.mapv(|x| x as u8).into(),
        DType::F16 => numbers.mapv(f16::from_f64).into(),
        DType::Bf16 => numbers.mapv(bf16::from_f64).into(),
        DType::I8 => numbers.mapv(|x| x as i8).into(),
        DType::I16 => numbers.mapv(|x| x as i16).into(),
        DType::U16 => numbers.mapv(|x| x as u16).into(),
        DType::U32 => numbers.mapv(|x| x as u32).into(),
        DType::U64 => numbers.mapv(|x| x as u64).into(),
        DType::Bool => numbers.mapv(|x| x != 0.0).into(),
    }
}

pub(crate) fn numbers_of(value: &Value) -> Numbers {
    match value {
        Value::F64(a) => a.mapv(|x| x),
        Value::F32(a) => a.mapv(f64::from),
        Value::I32(a) => a.mapv(f64::from),
        Value::I64(a) => a.mapv(|x| x as f64),
        Value::U8(a) => a.mapv(f64::from),
        Value::F16(a) => a.mapv(f64::from),
        Value::Bf16(a) => a.mapv(f64::from),
        Value::I8(a) => a.mapv(f64::from),
        Value::I16(a) => a.mapv(f64::from),
        Value::U16(a) => a.mapv(f64::from),
        Value::U32(a) => a.mapv(f64::from),
        Value::U64(a) => a.mapv(|x| x as f64),
        Value::Bool(a) => a.mapv(|x| f64::from(u8::from(x))),
    }
}

/// What a number is in a dtype: whole where that is, and wrapped.
fn in_dtype(x: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F32 | DType::F64 | DType::F16 | DType::Bf16 => x,
        DType::I32 | DType::I64 => x.trunc(),
        DType::U8 => f64::from(x as i64 as u8),
        DType::I8 => f64::from(x as i64 as i8),
        DType::I16 => f64::from(x as i64 as i16),
        DType::U16 => f64::from(x as i64 as u16),
        DType::U32 => f64::from(x as i64 as u32),
        DType::U64 => x as i64 as u64 as f64,
        DType::Bool => f64::from(u8::from(x != 0.0)),
    }
}

fn near(got: &Numbers, expected: &Numbers, tolerance: f64) -> Result<(), String> {
    if got.shape() != expected.shape() {
        return Err(format!("shape {:?}, not {:?}", got.shape(), expected.shape()));
    }
    for ((index, a), b) in got.indexed_iter().zip(expected) {
        if (a - b).abs() > tolerance * b.abs().max(1.0) || a.is_nan() != b.is_nan() {
            return Err(format!("{a} at {:?}, not {b}", ndarray::Dimension::slice(&index)));
        }
    }
    Ok(())
}

/// The name that the row's node gets in an empty graph.
pub(crate) fn node_name(row: &Row) -> String {
    let site = Site::new(row, row.dtypes[0], Told::Extents);
    let node = site.graph.node(site.outputs[0].output().node);
    node.map_or_else(String::new, |node| node.name.to_string())
}

/// The results are the reference's.
pub(crate) fn value(row: &Row, dtype: DType) -> Result<(), String> {
    let operands = row.numbers(dtype);
    let site = Site::new(row, dtype, Told::Extents);
    let values = site.run(&site.session()?, &site.outputs, &operands)?;
    let expected = row.results(&operands);
    assert_eq!(values.len(), expected.len(), "{row}");
    for (port, (value, expected)) in values.iter().zip(&expected).enumerate() {
        let tolerance = match value.dtype() {
            DType::F64 => 1e-12,
            DType::F32 => 4e-6,
            // Half of a last bit, and what f32 is off.
            DType::F16 => f64::from(f16::EPSILON) / 2.0 + 4e-6,
            DType::Bf16 => f64::from(bf16::EPSILON) / 2.0 + 4e-6,
            DType::I8
            | DType::I16
            | DType::I32
            | DType::I64
            | DType::U8
            | DType::U16
            | DType::U32
            | DType::U64
            | DType::Bool => 0.0,
        };
        // Indices beside values have a dtype of their own.
        if value.dtype() != row.gives.unwrap_or(dtype) && !(port > 0 && value.dtype() == DType::I32) {
            return Err(format!("{dtype} gives {}", value.dtype()));
        }
        let expected = expected.mapv(|x| in_dtype(x, value.dtype()));
        near(&numbers_of(value), &expected, tolerance).map_err(|e| format!("{dtype}: {e}"))?;
    }
    Ok(())
}

/// Dtypes that the row does not have are mistakes of the builder.
pub(crate) fn refusals(row: &Row) -> Result<(), String> {
    // Bits are bits of any numbers.
    if row.operands.iter().all(|operand| operand.dtype.is_some()) || matches!(row.op, Op::Bitcast { .. }) {
        return Ok(());
    }
    for dtype in DType::ALL.into_iter().filter(|dtype| !row.dtypes.contains(dtype)) {
        if Site::new(row, dtype, Told::Extents).graph.check().is_ok() {
            return Err(format!("takes {dtype}"));
        }
    }
    Ok(())
}

/// Inferred dtypes and shapes are those produced, whatever is known when the graph is built; so are the bits.
pub(crate) fn inference(row: &Row, dtype: DType) -> Result<(), String> {
    let operands = row.numbers(dtype);
    let mut bits: Option<Vec<Value>> = None;
    for told in [Told::Extents, Told::Ranks, Told::Nothing] {
        let site = Site::new(row, dtype, told);
        let at = |e: String| format!("{dtype}, {told:?} told: {e}");
        let values = site.run(&site.session().map_err(at)?, &site.outputs, &operands).map_err(at)?;
        for (tensor, value) in site.outputs.iter().zip(&values) {
            let (shape, produced) = (tensor.shape(), value.shape());
            if tensor.dtype() != value.dtype() {
                return Err(at(format!("inferred {}, produced {}", tensor.dtype(), value.dtype())));
            }
            let exact = shape == Shape::known(produced);
            if !(exact || told != Told::Extents && shape.accepts(produced)) {
                return Err(at(format!("inferred {shape}, produced {produced:?}")));
            }
        }
        match &bits {
            None => bits = Some(values),
            Some(bits) if same_bits(bits, &values) => {}
            Some(_) => return Err(at("other bits".to_owned())),
        }
    }
    Ok(())
}

pub(crate) fn same_bits(a: &[Value], b: &[Value]) -> bool {
    let bytes = |v: &Value| v.to_standard_layout().as_bytes().map(<[u8]>::to_vec);
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.shape() == b.shape() && bytes(a) == bytes(b))
}

/// Calls `f` for each element of each varied operand: with which of these it is of, its index, and the operands with it a
/// little more and a little less.
fn moved(
    row: &Row,
    operands: &[Numbers],
    mut f: impl FnMut(usize, &[usize], [&[Numbers]; 2]) -> Result<(), String>,
) -> Result<(), String> {
    let mut all = [operands.to_vec(), operands.to_vec()];
    let varied = (0..operands.len()).filter(|n| row.operands[*n].varies());
    for (order, number) in varied.enumerate() {
        for (index, x) in operands[number].indexed_iter() {
            all[0][number][&index] = x + STEP;
            all[1][number][&index] = x - STEP;
            f(order, ndarray::Dimension::slice(&index), [&all[0], &all[1]])?;
            all[0][number][&index] = *x;
            all[1][number][&index] = *x;
        }
    }
    Ok(())
}

/// How far operands are moved for a difference.
const STEP: f64 = 1e-5;

fn close(what: &str, symbolic: f64, numeric: f64) -> Result<(), String> {
    if (symbolic - numeric).abs() <= 1e-6 * numeric.abs().max(1.0) {
        Ok(())
    } else {
        Err(format!("{what} is {symbolic} by rule, {numeric} by differences"))
    }
}

/// The operands that gradients are taken by.
fn varied(row: &Row, site: &Site) -> Vec<Tensor> {
    let all = row.operands.iter().zip(&site.inputs);
    all.filter(|(operand, _)| operand.varies()).map(|(_, x)| *x).collect()
}

/// The symbolic gradient in f64 is the reference's central difference; with shapes unknown too. A row without one is an
/// error, not zeros.
pub(crate) fn gradient(row: &Row) -> Result<(), String> {
    match row.gradient {
        Gradient::Smooth | Gradient::Fixed => {}
        Gradient::Coarse => return Ok(()),
        Gradient::None => return refused(row),
    }
    let operands = row.numbers(DType::F64);
    for told in [Told::Extents, Told::Ranks, Told::Nothing] {
        let site = Site::new(row, DType::F64, told);
        let gradients = gradients(site.objective(), varied(row, &site));
        for (x, gradient) in varied(row, &site).iter().zip(&gradients) {
            if gradient.dtype() != x.dtype() || gradient.shape().unify(&x.shape()).is_none() {
                return Err(format!("{told:?} told: the gradient of {} is {}", x.shape(), gradient.shape()));
            }
        }
        let values = site.run(&site.session()?, &gradients, &operands).map_err(|e| format!("{told:?} told: {e}"))?;
        let symbolic: Vec<Numbers> = values.iter().map(numbers_of).collect();
        let varied = row.operands.iter().filter(|o| o.varies());
        if let Some((o, g)) = varied.zip(&symbolic).find(|(o, g)| g.shape() != o.dims) {
            return Err(format!("{told:?} told: the gradient of {:?} is {:?}", o.dims, g.shape()));
        }
        moved(row, &operands, |operand, index, [more, less]| {
            let objective = |operands: &[Numbers]| -> f64 {
                let weighed = |y: &Numbers| y.iter().enumerate().map(|(i, y)| weight(i, 0) * y * y).sum::<f64>();
                row.results(operands).iter().map(weighed).sum()
            };
            let numeric = (objective(more) - objective(less)) / (2.0 * STEP);
            let at = format!("{told:?} told: the gradient by operand {operand} at {index:?}");
            close(&at, symbolic[operand][IxDyn(index)], numeric)
        })?;
    }
    Ok(())
}

/// Asking for the gradient of what has none is a mistake.
fn refused(row: &Row) -> Result<(), String> {
    let dtype = row.dtypes[0];
    let site = Site::new(row, dtype, Told::Extents);
    let sources = varied(row, &site);
    if !dtype.is_float() || sources.is_empty() {
        return Ok(());
    }
    let y = site.outputs[0].cast(DType::F64).sum();
    let _ = gradients(y, sources);
    if site.graph.check().is_ok() { Err("has a gradient".to_owned()) } else { Ok(()) }
}

/// The symbolic gradient of a weighted sum of the symbolic gradients is that sum's central difference.
pub(crate) fn second_gradient(row: &Row) -> Result<(), String> {
    if row.gradient != Gradient::Smooth {
        return Ok(());
    }
    let operands = row.numbers(DType::F64);
    let site = Site::new(row, DType::F64, Told::Extents);
    let first = gradients(site.objective(), varied(row, &site));
    let terms: Vec<Tensor> =
        first.iter().enumerate().map(|(i, g)| (weights(&site.graph, *g, i + 1) * *g).sum()).collect();
    let z = site.graph.add_n(&terms);
    let second = gradients(z, varied(row, &site));
    let session = site.session()?;
    let symbolic: Vec<Numbers> = site.run(&session, &second, &operands)?.iter().map(numbers_of).collect();
    moved(row, &operands, |operand, index, [more, less]| {
        let at = |operands: &[Numbers]| -> Result<f64, String> {
            site.run(&session, &[z], operands)?[0].scalar::<f64>().map_err(|e| e.to_string())
        };
        let numeric = (at(more)? - at(less)?) / (2.0 * STEP);
        let what = format!("the second gradient by operand {operand} at {index:?}");
        close(&what, symbolic[operand][IxDyn(index)], numeric)
    })
}

/// The row's node and, where it has a gradient, that.
fn with_gradient(row: &Row, dtype: DType) -> (Site, Vec<Tensor>) {
    let site = Site::new(row, dtype, Told::Extents);
    let mut fetches = site.outputs.clone();
    if row.gradient != Gradient::None && dtype.is_float() {
        fetches.extend(gradients(site.objective(), varied(row, &site)));
    }
    (site, fetches)
}

/// Gives the bits that the first of these options gives, whichever of them a session has.
fn same_under(row: &Row, dtype: DType, options: &[SessionOptions]) -> Result<(), String> {
    let operands = row.numbers(dtype);
    let (site, fetches) = with_gradient(row, dtype);
    let mut bits: Option<Vec<Value>> = None;
    for options in options {
        let session = Session::with_options(&site.graph, *options).map_err(|e| e.to_string())?;
        let values = site.run(&session, &fetches, &operands)?;
        match &bits {
            None => bits = Some(values),
            Some(bits) if same_bits(bits, &values) => {}
            Some(_) => return Err(format!("{dtype}: other bits with {options:?}")),
        }
    }
    Ok(())
}

/// Any number of threads gives the same bits, of the gradient too.
pub(crate) fn threads(row: &Row, dtype: DType) -> Result<(), String> {
    let of = |threads| SessionOptions { threads: Some(threads), ..SessionOptions::default() };
    same_under(row, dtype, &[of(1), of(2), of(8)])
}

/// The compiler gives the bits of node by node where it is to be exact, of the gradient too.
pub(crate) fn compiled(row: &Row, dtype: DType) -> Result<(), String> {
    let of = |optimize| SessionOptions { optimize, ..SessionOptions::default() };
    same_under(row, dtype, &[of(Optimize::None), of(Optimize::Exact)])
}

/// A graph that was saved and loaded gives the same bits, of the gradient too.
pub(crate) fn files(row: &Row, dtype: DType) -> Result<(), String> {
    let operands = row.numbers(dtype);
    let (site, fetches) = with_gradient(row, dtype);
    let before = site.run(&site.session()?, &fetches, &operands)?;
    let bytes = encode_graph(&site.graph).map_err(|e| e.to_string())?;
    let graph = decode_graph(&bytes).map_err(|e| e.to_string())?;
    let again = |x: &Tensor| graph.tensor(&x.name()).ok_or_else(|| format!("{} is lost", x.name()));
    let find = |tensors: &[Tensor]| tensors.iter().map(again).collect::<Result<Vec<_>, _>>();
    let (inputs, outputs, found) = (find(&site.inputs)?, find(&site.outputs)?, find(&fetches)?);
    let loaded = Site { graph, inputs, outputs };
    let after = loaded.run(&loaded.session()?, &found, &operands)?;
    if same_bits(&before, &after) { Ok(()) } else { Err(format!("{dtype}: other bits after loading")) }
}
