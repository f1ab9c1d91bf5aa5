//! One line of the fixture, read.

use std::collections::HashMap;
use std::fmt::Debug;
use std::str::FromStr;

use dormouse::prelude::*;
use dormouse::value::Element;

/// What a case's results are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The method's.
    Value,
    /// The gradients of Σ w · y; w is the last operand.
    Gradient,
}

/// A method's operands and results.
pub(crate) struct Case {
    pub(crate) line: &'static str,
    pub(crate) kind: Kind,
    pub(crate) method: &'static str,
    pub(crate) attributes: Attributes,
    pub(crate) operands: Vec<Value>,
    /// `None` where the run fails.
    pub(crate) results: Option<Vec<Value>>,
}

impl Case {
    pub(crate) fn new(line: &'static str) -> Self {
        let (given, results) = line.split_once(" => ").unwrap();
        let (call, operands) = given.split_once(" | ").unwrap();
        let (kind, call) = call.strip_prefix("grad ").map_or((Kind::Value, call), |call| (Kind::Gradient, call));
        let (method, attributes) = call.split_once(' ').unwrap_or((call, ""));
        let values = |text: &str| text.split(" | ").map(value).collect();
        let results = (results != "error").then(|| values(results));
        Case { line, kind, method, attributes: Attributes::new(attributes), operands: values(operands), results }
    }
}

/// `key=value`, apart by spaces.
pub(crate) struct Attributes(HashMap<&'static str, &'static str>);

impl Attributes {
    pub(crate) fn new(text: &'static str) -> Self {
        Attributes(text.split_whitespace().map(|pair| pair.split_once('=').unwrap()).collect())
    }

    pub(crate) fn text(&self, key: &str) -> Option<&'static str> {
        self.0.get(key).copied()
    }

    /// A number, which must be there.
    pub(crate) fn number<T: FromStr<Err: Debug>>(&self, key: &str) -> T {
        self.text(key).unwrap().parse().unwrap()
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.text(key) == Some("1")
    }

    /// Numbers, apart by commas.
    pub(crate) fn list<T: FromStr<Err: Debug>>(&self, key: &str) -> Vec<T> {
        let text = self.text(key).unwrap();
        text.split(',').filter(|word| !word.is_empty()).map(|word| word.parse().unwrap()).collect()
    }

    pub(crate) fn pair<T: FromStr<Err: Debug> + Copy>(&self, key: &str) -> [T; 2] {
        self.list(key).try_into().unwrap_or_else(|_| panic!("{key} is a pair"))
    }

    pub(crate) fn dtype(&self, key: &str) -> DType {
        dtype(self.text(key).unwrap())
    }
}

fn dtype(name: &str) -> DType {
    DType::ALL.into_iter().find(|dtype| dtype.name() == name).unwrap()
}

/// `f32[2,3] 1 2.5 4*-0`.
pub(crate) fn value(text: &str) -> Value {
    let (kind, elements) = text.split_once(' ').unwrap_or((text, ""));
    let (name, dims) = kind.trim_end_matches(']').split_once('[').unwrap();
    let dims: Vec<usize> = dims.split(',').filter(|n| !n.is_empty()).map(|n| n.parse().unwrap()).collect();
    match dtype(name) {
        DType::F32 => array::<f32>(&dims, elements, |word| word.parse().unwrap()),
        DType::F64 => array::<f64>(&dims, elements, |word| word.parse().unwrap()),
        DType::I32 => array::<i32>(&dims, elements, |word| word.parse().unwrap()),
        DType::I64 => array::<i64>(&dims, elements, |word| word.parse().unwrap()),
        DType::U8 => array::<u8>(&dims, elements, |word| word.parse().unwrap()),
        DType::Bool => array::<bool>(&dims, elements, |word| word == "1"),
        DType::F16 => array::<f16>(&dims, elements, |word| f16::from_f64(word.parse().unwrap())),
        DType::Bf16 => array::<bf16>(&dims, elements, |word| bf16::from_f64(word.parse().unwrap())),
        DType::I8 => array::<i8>(&dims, elements, |word| word.parse().unwrap()),
        DType::I16 => array::<i16>(&dims, elements, |word| word.parse().unwrap()),
        DType::U16 => array::<u16>(&dims, elements, |word| word.parse().unwrap()),
        DType::U32 => array::<u32>(&dims, elements, |word| word.parse().unwrap()),
        DType::U64 => array::<u64>(&dims, elements, |word| word.parse().unwrap()),
    }
}

fn array<T: Element>(dims: &[usize], text: &str, parse: impl Fn(&str) -> T) -> Value {
    let mut elements = Vec::new();
    for word in text.split_whitespace() {
        let (times, number) = word.split_once('*').map_or((1, word), |(n, word)| (n.parse().unwrap(), word));
        elements.extend(std::iter::repeat_n(parse(number), times));
    }
    Value::from_elements(dims, elements).unwrap()
}
