//! How near element-wise functions of floats are to the correctly rounded result, over all exponents: those of f64 against
//! `tests/fixtures/accuracy.txt`, which `tests/oracle/accuracy.py` makes with 70 digits, those of f32 too, and at many more
//! arguments against those of f64. `docs/accuracy.md` is made of what is measured.

use std::fmt::Write as _;
use std::path::Path;

use dormouse::prelude::*;
use dormouse::value::{BinaryOp, Op};

use crate::cases::rows;
use crate::names;

const FIXTURE: &str = include_str!("../fixtures/accuracy.txt");

/// What every function keeps to, in units of the last place of the correctly rounded result.
const BOUND: u64 = 2;

/// Functions that do not, with what they keep to in f32 and f64, and why.
const WIDER: &[(&str, [u64; 2], &str)] = &[
    ("igamma", [BOUND, 16], "less a fraction of many terms"),
    ("igammac", [BOUND, 32], "a fraction of many terms"),
    ("igamma_grad_a", [BOUND, 64], "a sum of terms of both signs"),
    ("random_gamma_grad", [BOUND, 64], "a sum of terms of both signs"),
    ("betainc", [BOUND, 256], "a fraction whose first terms cancel"),
];

const HEAD: &str = "\
# Accuracy

How far element-wise functions of floats are from the correctly rounded result, at most, in units of its last place: 0 is the
correctly rounded result itself. `UPDATE_PAGES=1 cargo test -p dormouse --release --test ops accuracy` measures and writes this
page; without the variable the test fails when the page is not what is measured, or a bound not kept.

Arguments are drawn from all exponents and both signs, subnormal numbers too, densely where the function is neither its
argument nor out of range; beside them are zeros, infinities, NaN, the ends of the range, and the neighbors of kinks, poles,
zeros and multiples of a quarter turn. Results are compared with ones rounded from 70 digits (`tests/oracle/accuracy.py`), and
those of f32, at many more arguments, with the f64 function's. The bits are the same with every number of threads, and on every machine with fused
multiply-add. TensorFlow's are those of 2.21 on an x86 CPU with the same arguments, but for subnormal arguments and results, which
it flushes to zero.

";

struct Function {
    name: &'static str,
    /// TensorFlow's errors in f32 and f64.
    theirs: [&'static str; 2],
    /// Each operand's numbers.
    arguments: Vec<Vec<f64>>,
    results: Vec<f64>,
    /// Each operand's numbers in f32, and the results of these.
    narrow: (Vec<Vec<f64>>, Vec<f64>),
}

fn float(word: &str) -> f64 {
    f64::from_bits(u64::from_str_radix(word, 16).unwrap())
}

/// The stream of bits that the script draws too.
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Numbers of all exponents, many of those in a range.
fn samples(low: i64, high: i64) -> Vec<f64> {
    let mut bits = Bits(0x9e37_79b9_7f4a_7c15);
    let mut all = Vec::new();
    for e in -1074..1024_i64 {
        let dense = (low..=high).contains(&e);
        for _ in 0..if dense { 12 } else { usize::from(e.rem_euclid(16) == 0) } {
            let drawn = bits.next();
            let (sign, rest) = (drawn >> 63, drawn & ((1 << 52) - 1));
            let number = if e >= -1022 {
                ((e + 1023) as u64) << 52 | rest
            } else {
                let below = -1022 - e;
                let leading = 1_u64 << (52 - below);
                leading | ((rest >> below) & (leading - 1))
            };
            all.push(f64::from_bits(sign << 63 | number));
        }
    }
    all
}

/// Numbers of f32 of all exponents, many of those in a range.
fn samples32(low: i64, high: i64) -> Vec<f64> {
    let mut bits = Bits(0xd1b5_4a32_d192_ed03);
    let mut all = Vec::new();
    for e in -149..128_i64 {
        let dense = (low..=high).contains(&e);
        for _ in 0..if dense { 6 } else { usize::from(e.rem_euclid(4) == 0) } {
            let drawn = bits.next();
            let (sign, rest) = ((drawn >> 63) as u32, drawn as u32 & ((1 << 23) - 1));
            let number = if e >= -126 {
                ((e + 127) as u32) << 23 | rest
            } else {
                let below = -126 - e;
                let leading = 1_u32 << (23 - below);
                leading | ((rest >> below) & (leading - 1))
            };
            all.push(f64::from(f32::from_bits(sign << 31 | number)));
        }
    }
    all
}

/// Words as many times as they are told.
fn unpacked(words: &'static str, number: impl Fn(&str) -> f64) -> Vec<f64> {
    let runs = words.split(' ').flat_map(|word| {
        let (times, word) = word.split_once('*').unwrap_or(("1", word));
        std::iter::repeat_n(number(word), times.parse().unwrap())
    });
    runs.collect()
}

/// The functions of the fixture.
fn functions() -> Vec<Function> {
    let lines: Vec<&str> = FIXTURE.lines().filter(|line| !line.starts_with('#')).collect();
    lines
        .chunks_exact(2)
        .map(|lines| {
            let (given, told) = lines[0].split_once(" : ").unwrap();
            let (name, told32) = lines[1].split_once(" f32 : ").unwrap();
            let words: Vec<&'static str> = given.split(' ').collect();
            assert_eq!(name, words[0]);
            let results = unpacked(told, float);
            let results32 = unpacked(told32, |w| f64::from(f32::from_bits(u32::from_str_radix(w, 16).unwrap())));
            let numbers = |words: &[&str]| -> Vec<f64> { words.iter().map(|w| float(w)).collect() };
            let (arguments, narrow) = if let Some((_, arity)) = several(name) {
                let numbers = numbers(&words[3..]);
                let of = |k: usize| -> Vec<f64> { numbers.iter().copied().skip(k).step_by(arity).collect() };
                let arguments: Vec<Vec<f64>> = (0..arity).map(of).collect();
                let narrow = arguments.iter().map(|a| a.iter().map(|x| f64::from(*x as f32)).collect()).collect();
                (arguments, narrow)
            } else {
                let (low, high) = (words[3].parse().unwrap(), words[4].parse().unwrap());
                let further = numbers(&words[5..]);
                let edges = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
                let mut numbers = samples(low, high);
                numbers.extend(further.iter().copied().chain(edges));
                let mut narrow = samples32(low, high);
                narrow.extend(further.into_iter().map(|x| f64::from(x as f32)).chain(edges));
                (vec![numbers], vec![narrow])
            };
            assert!(arguments.iter().all(|a| a.len() == results.len()), "{name}");
            assert!(narrow.iter().all(|a: &Vec<f64>| a.len() == results32.len()), "{name}");
            Function { name, theirs: [words[1], words[2]], arguments, results, narrow: (narrow, results32) }
        })
        .collect()
}

/// Functions of more than one number, and of how many.
fn several(name: &str) -> Option<(Op, usize)> {
    match name {
        "pow" => Some((Op::Binary(BinaryOp::Pow), 2)),
        "atan2" => Some((Op::Binary(BinaryOp::Atan2), 2)),
        "zeta" => Some((Op::Binary(BinaryOp::Zeta), 2)),
        "polygamma" => Some((Op::Binary(BinaryOp::Polygamma), 2)),
        "igamma" => Some((Op::Binary(BinaryOp::Igamma), 2)),
        "igammac" => Some((Op::Binary(BinaryOp::Igammac), 2)),
        "igamma_grad_a" => Some((Op::Binary(BinaryOp::IgammaGradA), 2)),
        "random_gamma_grad" => Some((Op::Binary(BinaryOp::RandomGammaGrad), 2)),
        "betainc" => Some((Op::Betainc, 3)),
        _ => None,
    }
}

/// A function's node: an operation of the table, or a method made of several.
fn build(name: &str, x: &[Tensor]) -> Option<Tensor> {
    if let Some((op, _)) = several(name) {
        return Some(x[0].graph().apply(op, x));
    }
    if name == "log_sigmoid" {
        return Some(x[0].log_sigmoid());
    }
    let row = rows().into_iter().find(|row| matches!(row.op, Op::Unary(_)) && names::of(&row.op) == name)?;
    Some(x[0].graph().apply(row.op, &x[..1]))
}

/// What a function gives in a dtype.
fn run(name: &str, dtype: DType, arguments: &[Vec<f64>]) -> Result<Vec<f64>, String> {
    let graph = Graph::new();
    let value = |numbers: &Vec<f64>| -> Value {
        let numbers = ndarray::ArrayD::from_shape_vec(ndarray::IxDyn(&[numbers.len()]), numbers.clone()).unwrap();
        crate::check::value_of(&numbers, dtype)
    };
    let feeds: Vec<(Tensor, Value)> =
        arguments.iter().map(|a| (graph.placeholder(dtype, Shape::of_rank(1)), value(a))).collect();
    let x: Vec<Tensor> = feeds.iter().map(|f| f.0).collect();
    let y = build(name, &x).ok_or_else(|| format!("no function {name}"))?;
    let session = Session::new(&graph).map_err(|e| e.to_string())?;
    let values = session.run(&[y], feeds).map_err(|e| e.to_string())?;
    Ok(crate::check::numbers_of(&values[0]).into_iter().collect())
}

/// How many floats of this dtype lie between two numbers of it; the sign of a zero does not count.
fn apart(a: f64, b: f64, dtype: DType) -> u64 {
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() && b.is_nan() { 0 } else { u64::MAX };
    }
    let place = |x: f64| -> i64 {
        let bits = if dtype == DType::F32 { i64::from((x.abs() as f32).to_bits()) } else { x.abs().to_bits() as i64 };
        if x < 0.0 { -bits } else { bits }
    };
    place(a).abs_diff(place(b))
}

/// Where a function is furthest from what it should be.
#[derive(Clone, Copy, Debug, Default)]
#[allow(dead_code, reason = "told where it is too far")]
struct Worst {
    apart: u64,
    at: [f64; 2],
    got: f64,
    want: f64,
}

fn worst(dtype: DType, arguments: &[Vec<f64>], got: &[f64], want: impl Fn(usize) -> f64) -> Worst {
    let mut worst = Worst::default();
    for (i, got) in got.iter().enumerate() {
        let apart = apart(*got, want(i), dtype);
        if apart > worst.apart {
            let at = [arguments[0][i], arguments.get(1).map_or(0.0, |a| a[i])];
            worst = Worst { apart, at, got: *got, want: want(i) };
        }
    }
    worst
}

/// The same arguments in f32, and many more of every exponent.
fn narrow(arguments: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut all: Vec<Vec<f64>> = arguments.iter().map(|a| a.iter().map(|x| f64::from(*x as f32)).collect()).collect();
    if let [numbers] = all.as_mut_slice() {
        let mut bits = Bits(0x2545_f491_4f6c_dd1d);
        for exponent in 0..255_u32 {
            for _ in 0..24 {
                let drawn = bits.next() as u32;
                numbers.push(f64::from(f32::from_bits((drawn & 0x807f_ffff) | exponent << 23)));
            }
        }
    }
    all
}

/// TensorFlow's error, where it is of use.
fn told(theirs: &str) -> String {
    match theirs.parse::<u64>() {
        Ok(n) if n <= 1000 => n.to_string(),
        _ => "> 1000".to_owned(),
    }
}

#[test]
fn accuracy_is_what_the_page_says() {
    let functions = functions();
    let mut page = HEAD.to_owned();
    page += "| function | f32 | f64 | TensorFlow's f32 | TensorFlow's f64 |\n|---|---|---|---|---|\n";
    let mut far = Vec::new();
    for function in &functions {
        let Function { name, theirs, arguments, results, narrow: (arguments32, results32) } = function;
        let double = run(name, DType::F64, arguments).unwrap();
        let double = worst(DType::F64, arguments, &double, |i| results[i]);
        let narrow = narrow(arguments);
        let (single, reference) = (run(name, DType::F32, &narrow).unwrap(), run(name, DType::F64, &narrow).unwrap());
        let single = worst(DType::F32, &narrow, &single, |i| f64::from(reference[i] as f32));
        let golden = worst(DType::F32, arguments32, &run(name, DType::F32, arguments32).unwrap(), |i| results32[i]);
        let single = if golden.apart > single.apart { golden } else { single };
        let [narrower, bound] = WIDER.iter().find(|w| w.0 == *name).map_or([BOUND; 2], |w| w.1);
        if single.apart > narrower || double.apart > bound {
            far.push(format!("{name}: f32 {single:?}, f64 {double:?}"));
        }
        let [their_single, their_double] = theirs.map(told);
        let _ = writeln!(page, "| {name} | {} | {} | {their_single} | {their_double} |", single.apart, double.apart);
    }
    assert!(far.is_empty(), "beyond their bounds:\n{}", far.join("\n"));
    page +=
        "\nEvery function keeps to 2, or is correctly rounded, but for these, of which TensorFlow's are further:\n\n";
    for (name, [single, double], why) in WIDER {
        let _ = writeln!(page, "- `{name}`, which keeps to {single} in f32 and {double} in f64: {why}.");
    }
    page += "\n`log_sigmoid` is made of several operations, as TensorFlow's is.\n";
    let missing: Vec<&str> = rows()
        .iter()
        .filter(|row| matches!(row.op, Op::Unary(_)) && row.dtypes.contains(&DType::F64))
        .map(|row| names::of(&row.op))
        .filter(|name| functions.iter().all(|f| f.name != *name))
        .collect();
    assert!(missing.is_empty(), "no numbers in tests/oracle/accuracy.py for {missing:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/accuracy.md");
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(&path, page).unwrap();
    } else {
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == page, "docs/accuracy.md is not what is measured: write it again, see its first lines\n{page}");
    }
}
