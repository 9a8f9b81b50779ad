//! A whole layer against the same layer made of the single operations, which have their own
//! checks: values and the gradient of every tensor, by candle's backward pass and by ours.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod seeded;

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use paint_nn::{
    Activation, Affine, TransformerLayer, add, attention, backward, layer_norm, linear,
    linear_activation,
};
use seeded::values;

const NAMES: [&str; 8] = [
    "layer_norm1",
    "q_proj",
    "k_proj",
    "v_proj",
    "out_proj",
    "layer_norm2",
    "fc1",
    "fc2",
];

struct Case {
    batch: usize,
    tokens: usize,
    width: usize,
    hidden: usize,
    n_heads: usize,
    activation: Activation,
    causal: bool,
}

impl Case {
    fn x(&self) -> Tensor {
        values(&[self.batch, self.tokens, self.width], 1)
    }

    /// Weight, bias, weight, … in the order of [`NAMES`].
    fn parameters(&self) -> Vec<Tensor> {
        let (d, hidden) = (self.width, self.hidden);
        let shapes = NAMES.map(|name| match name {
            "layer_norm1" | "layer_norm2" => [vec![d], vec![d]],
            "fc1" => [vec![hidden, d], vec![hidden]],
            "fc2" => [vec![d, hidden], vec![d]],
            _ => [vec![d, d], vec![d]],
        });
        let shapes = shapes.concat();
        let scaled = |(i, shape): (usize, &Vec<usize>)| {
            // Products of the size of their inputs.
            let scale = (3.0 / *shape.last().unwrap() as f64).sqrt();
            (values(shape, 10 + i as u64) * if shape.len() == 2 { scale } else { 1.0 }).unwrap()
        };
        shapes.iter().enumerate().map(scaled).collect()
    }

    fn layer(&self, parameters: &[Tensor]) -> TransformerLayer {
        let mut parts = parameters.chunks(2).map(|part| Affine {
            weight: part[0].clone(),
            bias: part[1].clone(),
        });
        let mut next = || parts.next().unwrap();
        TransformerLayer {
            layer_norm1: next(),
            q_proj: next(),
            k_proj: next(),
            v_proj: next(),
            out_proj: next(),
            layer_norm2: next(),
            fc1: next(),
            fc2: next(),
            n_heads: self.n_heads,
            activation: self.activation,
            causal: self.causal,
            eps: 1e-5,
        }
    }

    /// The same of single operations.
    fn plain(&self, x: &Tensor, p: &[Tensor]) -> Result<Tensor> {
        let part = |i: usize, u: &Tensor| linear(u, &p[2 * i], Some(&p[2 * i + 1]));
        let u = layer_norm(x, &p[0], &p[1], 1e-5)?;
        let (q, k, v) = (part(1, &u)?, part(2, &u)?, part(3, &u)?);
        let u = attention(&q, &k, &v, self.n_heads, self.causal)?;
        let y = add(x, &part(4, &u)?)?;
        let u = layer_norm(&y, &p[10], &p[11], 1e-5)?;
        let u = linear_activation(&u, &p[12], &p[13], self.activation)?;
        add(&y, &part(7, &u)?)
    }
}

fn cases() -> [Case; 3] {
    let case = |batch, tokens, width, hidden, n_heads, activation, causal| Case {
        batch,
        tokens,
        width,
        hidden,
        n_heads,
        activation,
        causal,
    };
    [
        case(1, 1, 6, 10, 3, Activation::QuickGelu, false),
        case(3, 7, 12, 31, 2, Activation::Gelu, true),
        // Several blocks on one thread as on three, and rows that three does not divide.
        case(23, 37, 64, 200, 4, Activation::QuickGelu, false),
    ]
}

/// A token of each sequence.
fn some_tokens(case: &Case) -> Vec<usize> {
    (0..case.batch).map(|i| (5 * i + 2) % case.tokens).collect()
}

/// Those tokens of `[batch, tokens, d]`: `[batch, d]`.
fn picked(out: &Tensor, tokens: &[usize]) -> Tensor {
    let token = |(i, token): (usize, &usize)| out.get(i).unwrap().get(*token).unwrap();
    let rows: Vec<Tensor> = tokens.iter().enumerate().map(token).collect();
    Tensor::stack(&rows, 0).unwrap()
}

fn on_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
    pool.unwrap().install(work)
}

fn variables(tensors: &[Tensor]) -> Vec<Var> {
    let variable = |t| Var::from_tensor(t).unwrap();
    tensors.iter().map(variable).collect()
}

fn inputs(variables: &[Var]) -> Vec<Tensor> {
    variables.iter().map(|v| v.as_tensor().clone()).collect()
}

/// A scalar in which every value of `out` has its own weight.
fn loss(out: &Tensor) -> Tensor {
    let projection = values(out.dims(), 99);
    (out * projection).unwrap().sum_all().unwrap()
}

/// Equal within 2e-5 of the largest value; the bias of keys has a gradient of zero, up to rounding.
fn check_close(what: &str, actual: &Tensor, expected: &Tensor) {
    assert_eq!(actual.dims(), expected.dims(), "{what}");
    let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (actual, expected) = (flat(actual), flat(expected));
    let largest = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
    for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
        assert!(
            (a - e).abs() <= 2e-5 * largest.max(0.5),
            "{what}[{i}]: {a} against {e}"
        );
    }
}

fn bits(x: &Tensor) -> Vec<u32> {
    let values = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn equals_the_single_operations() {
    for case in cases() {
        let (x, parameters) = (case.x(), case.parameters());
        let expected = case.plain(&x, &parameters).unwrap();
        for threads in [1, 3] {
            let out = on_threads(threads, || case.layer(&parameters).forward(&x).unwrap());
            check_close("without gradients", &out, &expected);
        }
        let tracked = inputs(&variables(&parameters));
        check_close(
            "with",
            &case.layer(&tracked).forward(&x).unwrap(),
            &expected,
        );
    }
}

#[test]
fn every_gradient_equals_that_of_the_single_operations() {
    type Backward = fn(&Tensor) -> Result<GradStore>;
    let ways: [(&str, Backward); 2] = [("candle's", |l| l.backward()), ("ours", |l| backward(l))];
    for case in cases() {
        let x = Var::from_tensor(&case.x()).unwrap();
        let variables = variables(&case.parameters());
        let parameters = inputs(&variables);
        let expected = loss(&case.plain(&x, &parameters).unwrap());
        let expected = expected.backward().unwrap();
        for (whose, way) in ways {
            for threads in [1, 3] {
                let grads = on_threads(threads, || {
                    way(&loss(&case.layer(&parameters).forward(&x).unwrap())).unwrap()
                });
                let check = |what: &str, variable: &Var| {
                    let what = format!("{whose} backward, {threads} threads, {what}");
                    let Some(grad) = grads.get(variable) else {
                        panic!("{what} has no gradient")
                    };
                    check_close(&what, grad, expected.get(variable).unwrap());
                };
                check("x", &x);
                for (i, variable) in variables.iter().enumerate() {
                    check(&format!("{} {}", NAMES[i / 2], i % 2), variable);
                }
            }
        }
    }
}

#[test]
fn one_token_of_each_sequence_equals_that_of_all_and_so_does_every_gradient() {
    type Backward = fn(&Tensor) -> Result<GradStore>;
    let ways: [(&str, Backward); 2] = [("candle's", |l| l.backward()), ("ours", |l| backward(l))];
    for case in cases() {
        let tokens = some_tokens(&case);
        let x = Var::from_tensor(&case.x()).unwrap();
        let variables = variables(&case.parameters());
        let parameters = inputs(&variables);
        let all = case.plain(&x, &parameters).unwrap();
        let expected = picked(&all, &tokens);
        let expected_grads = loss(&expected).backward().unwrap();
        for (whose, way) in ways {
            for threads in [1, 3] {
                let run = || {
                    let out = case.layer(&parameters).forward_token(&x, &tokens).unwrap();
                    let grads = way(&loss(&out)).unwrap();
                    (out, grads)
                };
                let (out, grads) = on_threads(threads, run);
                let (again, grads_again) = on_threads(threads, run);
                check_close("a token", &out, &expected);
                assert_eq!(bits(&out), bits(&again), "{threads} threads");
                let check = |what: &str, variable: &Var| {
                    let what = format!("{whose} backward, {threads} threads, {what}");
                    let grad = grads.get(variable).unwrap();
                    check_close(&what, grad, expected_grads.get(variable).unwrap());
                    assert_eq!(
                        bits(grad),
                        bits(grads_again.get(variable).unwrap()),
                        "{what}"
                    );
                };
                check("x", &x);
                for (i, variable) in variables.iter().enumerate() {
                    check(&format!("{} {}", NAMES[i / 2], i % 2), variable);
                }
            }
        }
        let frozen = case.layer(&case.parameters());
        let out = frozen.forward_token(&case.x(), &tokens).unwrap();
        check_close("without gradients", &out, &expected);
    }
}

#[test]
fn tokens_that_are_not_there_are_refused() {
    let case = &cases()[1];
    let layer = case.layer(&case.parameters());
    for tokens in [&[0, 1][..], &[0, 7, 1]] {
        let error = layer.forward_token(&case.x(), tokens).unwrap_err();
        assert!(error.to_string().contains("of 3 sequences of 7"), "{error}");
    }
}

#[test]
fn gradients_are_slopes() {
    let case = &cases()[1];
    let (x, parameters) = (case.x(), case.parameters());
    let variables = variables(&parameters);
    let grads = backward(&loss(&case.layer(&inputs(&variables)).forward(&x).unwrap())).unwrap();
    for (i, variable) in variables.iter().enumerate() {
        let direction = values(variable.dims(), 1_000);
        let at = |h: f64| {
            let mut moved = parameters.clone();
            moved[i] = (&parameters[i] + (&direction * h).unwrap()).unwrap();
            let out = case.layer(&moved).forward(&x).unwrap();
            f64::from(loss(&out).to_scalar::<f32>().unwrap())
        };
        let slope = (at(5e-3) - at(-5e-3)) / 1e-2;
        let along = (grads.get(variable).unwrap() * &direction).unwrap();
        let along = f64::from(along.sum_all().unwrap().to_scalar::<f32>().unwrap());
        let scale = slope.abs().max(along.abs()).max(0.1);
        assert!(
            (slope - along).abs() / scale < 1e-2,
            "{i}: {slope} against {along}"
        );
    }
}

#[test]
fn parameters_used_twice_and_made_of_others_have_their_gradients() {
    let case = &cases()[1];
    let x = case.x();
    let variables = variables(&case.parameters());
    let mut parameters = inputs(&variables);
    // A weight that is no variable, as in low-rank adaptation.
    parameters[2] = (&parameters[2] * 0.5).unwrap();
    let twice = |out: &dyn Fn(&Tensor) -> Tensor| loss(&out(&out(&x)));
    let expected = twice(&|x| case.plain(x, &parameters).unwrap());
    let expected = expected.backward().unwrap();
    let grads = backward(&twice(&|x| case.layer(&parameters).forward(x).unwrap())).unwrap();
    for (i, variable) in variables.iter().enumerate() {
        let what = format!("{} {}", NAMES[i / 2], i % 2);
        check_close(
            &what,
            grads.get(variable).unwrap(),
            expected.get(variable).unwrap(),
        );
    }
}

#[test]
fn what_is_frozen_has_no_gradient_and_the_rest_has() {
    let case = &cases()[1];
    let parameters = case.parameters();
    let bias = Var::from_tensor(&parameters[13]).unwrap();
    let mut mixed = parameters.clone();
    mixed[13] = bias.as_tensor().clone();
    for way in [Tensor::backward, backward] {
        let grads = way(&loss(&case.layer(&mixed).forward(&case.x()).unwrap())).unwrap();
        assert!(grads.get(&bias).is_some());
        assert!(grads.get(&parameters[12]).is_none());
    }
}

#[test]
fn nothing_comes_of_nothing_and_a_width_of_nothing_is_refused() {
    let case = &cases()[1];
    let layer = case.layer(&case.parameters());
    for dims in [(0, 7, 12), (3, 0, 12)] {
        let x = Tensor::zeros(dims, candle_core::DType::F32, &Device::Cpu).unwrap();
        assert_eq!(layer.forward(&x).unwrap().dims3().unwrap(), dims);
    }
    // Weights of other sizes go other ways.
    let wide = Case {
        width: 600,
        hidden: 600,
        ..cases()[0]
    };
    for case in [case, &wide] {
        let none = (0, 7, case.width);
        let none = Tensor::zeros(none, candle_core::DType::F32, &Device::Cpu).unwrap();
        let out = case.layer(&case.parameters()).forward_token(&none, &[]);
        assert_eq!(out.unwrap().dims(), [0, case.width]);
    }
    let x = Tensor::zeros((1, 1, 0), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(layer.forward(&x).is_err());
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let case = &cases()[1];
    let mut parameters = case.parameters();
    parameters[12] = values(&[31, 13], 1);
    let error = case.layer(&parameters).forward(&case.x()).unwrap_err();
    assert!(error.to_string().contains("fc1 is [31, 13]"), "{error}");
}
