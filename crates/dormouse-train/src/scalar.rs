//! Scalars: the numbers of optimizers, schedules and averages, which may be known when the graph is built or not.

use dormouse_graph::{Elementwise, Graph, Tensor, Variable};
use dormouse_value::{DType, Value, bf16, f16};

use crate::is_poisoned;

/// A learning rate, a decay or the like: a number, or a scalar tensor or variable that may differ from run to run.
///
/// Numbers are f32, as TensorFlow has them, also where they meet f64: a rate in full precision is a tensor of f64.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// A number.
    Number(f64),
    /// A scalar tensor.
    Tensor(Tensor),
    /// A scalar variable, read where it is used.
    Variable(Variable),
}

impl From<f64> for Scalar {
    fn from(number: f64) -> Self {
        Scalar::Number(number)
    }
}

impl From<f32> for Scalar {
    fn from(number: f32) -> Self {
        Scalar::Number(f64::from(number))
    }
}

impl From<i32> for Scalar {
    fn from(number: i32) -> Self {
        Scalar::Number(f64::from(number))
    }
}

impl From<Tensor> for Scalar {
    fn from(tensor: Tensor) -> Self {
        Scalar::Tensor(tensor)
    }
}

impl From<Variable> for Scalar {
    fn from(variable: Variable) -> Self {
        Scalar::Variable(variable)
    }
}

impl Scalar {
    /// The scalar as a tensor of `graph`, in a dtype of its own: f32 for numbers.
    #[track_caller]
    pub(crate) fn tensor(self, graph: &Graph, what: &str) -> Tensor {
        let tensor = match self {
            Scalar::Number(number) => return graph.constant(number as f32),
            Scalar::Tensor(tensor) => tensor,
            Scalar::Variable(variable) => variable.value(),
        };
        if is_poisoned(tensor) {
            tensor
        } else if tensor.graph().id() != graph.id() {
            graph.mistake(format!("{what}, {}, is of another graph", tensor.name()))
        } else if tensor.shape().rank().is_some_and(|rank| rank > 0) || tensor.dtype() == DType::Bool {
            let told = format!("{what}, {}, is {}{}; it is one number", tensor.name(), tensor.dtype(), tensor.shape());
            graph.mistake(told)
        } else {
            tensor
        }
    }

    /// The scalar in the dtype of what it is used with.
    #[track_caller]
    pub(crate) fn of(self, graph: &Graph, dtype: DType, what: &str) -> Tensor {
        match self {
            Scalar::Number(number) => graph.constant(rounded(number, dtype)),
            Scalar::Tensor(_) | Scalar::Variable(_) => self.tensor(graph, what).cast(dtype),
        }
    }

    /// 1 − the scalar, in the dtype of what it is used with.
    #[track_caller]
    pub(crate) fn rest(self, graph: &Graph, dtype: DType, what: &str) -> Tensor {
        match self {
            Scalar::Number(number) => graph.constant(rest(number, dtype)),
            Scalar::Tensor(_) | Scalar::Variable(_) => 1.0 - self.of(graph, dtype, what),
        }
    }
}

/// A number in f32, or that f32 in another float dtype.
fn rounded(number: f64, dtype: DType) -> Value {
    let number = f64::from(number as f32);
    Value::of_number(number, if dtype.is_float() { dtype } else { DType::F32 })
}

/// 1 less that, as the dtype's own arithmetic has it.
fn rest(number: f64, dtype: DType) -> Value {
    let number = number as f32;
    match dtype {
        DType::F64 => Value::from(1.0 - f64::from(number)),
        DType::F16 => Value::from(f16::ONE - f16::from_f32(number)),
        DType::Bf16 => Value::from(bf16::ONE - bf16::from_f32(number)),
        DType::F32
        | DType::I8
        | DType::I16
        | DType::I32
        | DType::I64
        | DType::U8
        | DType::U16
        | DType::U32
        | DType::U64
        | DType::Bool => Value::from(1.0 - number),
    }
}
