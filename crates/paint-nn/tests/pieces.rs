//! Work that is cut into pieces, one for each of three threads: values and gradients against the
//! plain candle formula and against slopes at single entries, and the same for one thread.
//!
//! Shapes lie above the size from which every pass is cut, with rows that three do not divide.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod seeded;

use candle_core::{D, DType, Device, Result, Tensor, Var};
use paint_nn::{
    Activation, AdamW, AdamWState, add, attention, cross_entropy, embed_with_class_token,
    layer_norm, linear, linear_activation,
};
use seeded::values;

fn on_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
    pool.unwrap().install(work)
}

type Op<'a> = &'a (dyn Fn(&[Tensor]) -> Result<Tensor> + Sync);

/// The result of `op`, then the gradient of a fixed projection of it for every input.
fn value_and_gradients(inputs: &[Tensor], op: Op<'_>) -> Vec<Tensor> {
    let vars: Vec<Var> = inputs
        .iter()
        .map(|t| Var::from_tensor(t).unwrap())
        .collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let out = op(&tensors).unwrap();
    let loss = (&out * projection(&out)).unwrap().sum_all().unwrap();
    let grads = loss.backward().unwrap();
    let gradient = |(i, var): (usize, &Var)| match grads.get(var) {
        Some(gradient) => gradient.clone(),
        None => panic!("input {i} has no gradient"),
    };
    let gradients = vars.iter().enumerate().map(gradient);
    std::iter::once(out.detach()).chain(gradients).collect()
}

fn projection(out: &Tensor) -> Tensor {
    let projection = values(out.dims(), 99);
    projection.to_dtype(out.dtype()).unwrap()
}

/// Whether `a` and `b` differ by at most `tolerance` of the largest value of `b`.
fn check_close(what: &str, a: &Tensor, b: &Tensor, tolerance: f64) {
    let largest = |x: &Tensor| {
        let x = x.to_dtype(DType::F64).unwrap().abs().unwrap();
        x.flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar::<f64>()
            .unwrap()
    };
    assert_eq!(a.dims(), b.dims(), "{what}");
    let difference =
        largest(&(a.to_dtype(DType::F64).unwrap() - b.to_dtype(DType::F64).unwrap()).unwrap());
    let bound = tolerance * largest(b);
    assert!(difference <= bound, "{what}: {difference} above {bound}");
}

fn check_equal(what: &str, a: &Tensor, b: &Tensor) {
    let bits = |t: &Tensor| -> Vec<u32> {
        let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    assert!(bits(a) == bits(b), "{what}: other bytes");
}

/// [`check_plain`], and the gradients against slopes at single entries.
fn check(shapes: &[&[usize]], op: Op<'_>, plain: Op<'_>) {
    let inputs = inputs(shapes);
    let gradients = &check_plain(&inputs, op, plain)[1..];
    for (i, gradient) in gradients.iter().enumerate() {
        check_slopes(i, &inputs, gradient, op);
    }
}

fn inputs(shapes: &[&[usize]]) -> Vec<Tensor> {
    (10..)
        .zip(shapes)
        .map(|(seed, s)| values(s, seed))
        .collect()
}

/// `op` on three threads against `plain` in f64, against itself, and against one thread.
fn check_plain(inputs: &[Tensor], op: Op<'_>, plain: Op<'_>) -> Vec<Tensor> {
    let three = on_threads(3, || value_and_gradients(inputs, op));
    let again = on_threads(3, || value_and_gradients(inputs, op));
    let one = on_threads(1, || value_and_gradients(inputs, op));
    let exact: Vec<Tensor> = inputs
        .iter()
        .map(|t| t.to_dtype(DType::F64).unwrap())
        .collect();
    let exact = value_and_gradients(&exact, plain);
    for (i, three) in three.iter().enumerate() {
        let what = match i {
            0 => "the result".to_owned(),
            _ => format!("the gradient of input {}", i - 1),
        };
        check_close(&format!("{what}, plain"), three, &exact[i], 2e-5);
        check_close(&format!("{what}, one thread"), &one[i], three, 1e-5);
        check_equal(&format!("{what}, again"), &again[i], three);
    }
    three
}

/// Entries in the first, the middle and the last piece.
fn check_slopes(i: usize, inputs: &[Tensor], gradient: &Tensor, op: Op<'_>) {
    let gradient = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let largest = gradient.iter().fold(0f32, |max, g| max.max(g.abs()));
    for entry in [0, gradient.len() / 2, gradient.len() - 1] {
        let h = 1e-2;
        let at = |step: f32| {
            let mut moved = inputs[i].flatten_all().unwrap().to_vec1::<f32>().unwrap();
            moved[entry] += step;
            let mut inputs = inputs.to_vec();
            inputs[i] = Tensor::from_vec(moved, inputs[i].shape(), &Device::Cpu).unwrap();
            let out = on_threads(3, || op(&inputs)).unwrap();
            // Summed in f64: the loss is large beside the change of one entry.
            let products = (out.to_dtype(DType::F64).unwrap()
                * projection(&out).to_dtype(DType::F64).unwrap())
            .unwrap();
            products.sum_all().unwrap().to_scalar::<f64>().unwrap()
        };
        let slope = (at(h) - at(-h)) / (2.0 * f64::from(h));
        let gradient = f64::from(gradient[entry]);
        let bound = 5e-3 * f64::from(largest).max(0.1);
        assert!(
            (slope - gradient).abs() < bound,
            "input {i}, entry {entry}: slope {slope}, gradient {gradient}"
        );
    }
}

fn softmax(x: &Tensor) -> Result<Tensor> {
    let e = x
        .broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?
        .exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

#[test]
fn layer_norm_in_pieces() {
    // Of many narrow rows the moments are cut as well.
    for shape in [[1_000, 37], [8_200, 5]] {
        let d = shape[1];
        check(
            &[&shape, &[d], &[d]],
            &|t| layer_norm(&t[0], &t[1], &t[2], 1e-2),
            &|t| {
                let centred = t[0].broadcast_sub(&t[0].mean_keepdim(D::Minus1)?)?;
                let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
                centred
                    .broadcast_div(&(variance + 1e-2)?.sqrt()?)?
                    .broadcast_mul(&t[1])?
                    .broadcast_add(&t[2])
            },
        );
    }
}

#[test]
fn linear_in_pieces() {
    let shapes: &[&[usize]] = &[&[7, 101, 24], &[33, 24], &[33]];
    let plain = |t: &[Tensor]| {
        let rows = t[0].flatten(0, 1)?.matmul(&t[1].t()?)?;
        rows.broadcast_add(&t[2])?.reshape((7, 101, 33))
    };
    check(shapes, &|t| linear(&t[0], &t[1], Some(&t[2])), &plain);
    check(
        shapes,
        &|t| linear_activation(&t[0], &t[1], &t[2], Activation::Gelu),
        &|t| plain(t)?.gelu_erf(),
    );
    check(
        shapes,
        &|t| linear_activation(&t[0], &t[1], &t[2], Activation::QuickGelu),
        &|t| {
            let x = plain(t)?;
            &x / ((&x * -1.702)?.exp()? + 1.0)?
        },
    );
}

/// Few rows and a large weight, and one row more than is few.
#[test]
fn linear_of_few_rows() {
    for rows in [1, 64, 65] {
        let shapes: [&[usize]; 3] = [&[rows, 601], &[440, 601], &[440]];
        check_plain(
            &inputs(&shapes[..2]),
            &|t| linear(&t[0], &t[1], None),
            &|t| t[0].matmul(&t[1].t()?),
        );
        check_plain(
            &inputs(&shapes),
            &|t| linear_activation(&t[0], &t[1], &t[2], Activation::QuickGelu),
            &|t| {
                let x = t[0].matmul(&t[1].t()?)?.broadcast_add(&t[2])?;
                let sigmoid = ((&x * -1.702)?.exp()? + 1.0)?.recip()?;
                x * sigmoid
            },
        );
    }
    let [none, weight, bias] = [&[0, 601][..], &[440, 601], &[440]].map(|s| values(s, 1));
    let out = linear(&none, &weight, Some(&bias)).unwrap();
    assert_eq!(out.dims(), [0, 440]);
}

#[test]
fn a_product_over_nothing_is_zero() {
    let zeros = |dims: [usize; 2]| Tensor::zeros(&dims, DType::F32, &Device::Cpu).unwrap();
    let out = linear(&zeros([5, 0]), &zeros([3, 0]), None).unwrap();
    assert_eq!(out.to_vec2::<f32>().unwrap(), [[0.0; 3]; 5]);
    let x = Var::from_tensor(&zeros([5, 3])).unwrap();
    let out = linear(&x, &zeros([0, 3]), None).unwrap();
    let grads = out.sum_all().unwrap().backward().unwrap();
    assert_eq!(
        grads.get(&x).unwrap().to_vec2::<f32>().unwrap(),
        [[0.0; 3]; 5]
    );
}

#[test]
fn attention_in_pieces() {
    let (batch, tokens, heads, head_width) = (7, 19, 3, 16);
    let shape: &[usize] = &[batch, tokens, heads * head_width];
    for causal in [false, true] {
        let mask: Vec<f64> = (0..tokens * tokens)
            .map(|i| match causal && i % tokens > i / tokens {
                true => -1e9,
                false => 0.0,
            })
            .collect();
        let mask = Tensor::from_vec(mask, (tokens, tokens), &Device::Cpu).unwrap();
        check(
            &[shape, shape, shape],
            &|t| attention(&t[0], &t[1], &t[2], heads, causal),
            &|t| {
                let apart = |x: &Tensor| {
                    x.reshape((batch, tokens, heads, head_width))?
                        .transpose(1, 2)?
                        .contiguous()
                };
                let scores = apart(&t[0])?.matmul(&apart(&t[1])?.t()?)?;
                let scores = (scores * (head_width as f64).powf(-0.5))?;
                softmax(&scores.broadcast_add(&mask)?)?
                    .matmul(&apart(&t[2])?)?
                    .transpose(1, 2)?
                    .reshape((batch, tokens, heads * head_width))
            },
        );
    }
}

#[test]
fn cross_entropy_in_pieces() {
    // Many rows, so that the losses are cut, and many classes, so that the gradient is.
    for (n, n_classes) in [(16_390, 3), (100, 331)] {
        let targets: Vec<u32> = (0..n).map(|i| (i * i % n_classes) as u32).collect();
        let smoothing = 0.1;
        let mut expected = vec![smoothing / n_classes as f64 / n as f64; n * n_classes];
        for (row, &target) in targets.iter().enumerate() {
            expected[row * n_classes + target as usize] += (1.0 - smoothing) / n as f64;
        }
        let expected = Tensor::from_vec(expected, (n, n_classes), &Device::Cpu).unwrap();
        // No slopes: the result is one number in f32, too coarse for one entry of thousands.
        check_plain(
            &inputs(&[&[n, n_classes]]),
            &|t| cross_entropy(&t[0], &targets, smoothing),
            &|t| (softmax(&t[0])?.log()? * &expected)?.sum_all()?.neg(),
        );
    }
}

#[test]
fn embedding_in_pieces() {
    let (batch, n, d) = (70, 16, 20);
    check(
        &[&[batch, n, d], &[d], &[n + 1, d]],
        &|t| embed_with_class_token(&t[0], &t[1], &t[2]),
        &|t| {
            let class = t[1].reshape((1, 1, d))?.broadcast_as((batch, 1, d))?;
            Tensor::cat(&[&class.contiguous()?, &t[0]], 1)?.broadcast_add(&t[2])
        },
    );
}

#[test]
fn addition_in_pieces() {
    let shape: &[usize] = &[163, 101];
    check(&[shape, shape], &|t| add(&t[0], &t[1]), &|t| &t[0] + &t[1]);
}

#[test]
fn adamw_in_pieces() {
    let n = 16_400;
    let adamw = AdamW {
        learning_rate: 0.1,
        beta1: 0.9,
        beta2: 0.98,
        eps: 1e-6,
        weight_decay: 0.1,
    };
    let run = |n_threads| {
        let theta = Var::from_tensor(&values(&[n], 1)).unwrap();
        let mut state = AdamWState::zeros(n);
        for step in 1..=3 {
            let gradient = values(&[n], 10 + step);
            on_threads(n_threads, || {
                adamw.step(theta.as_tensor(), &gradient, 0.5, &mut state, step)
            })
            .unwrap();
        }
        theta.as_detached_tensor()
    };
    // Entry by entry, so that the cut cannot show at all.
    check_equal("one thread", &run(1), &run(3));
    let gradients: Vec<Vec<f32>> = (11..=13)
        .map(|seed| values(&[n], seed).to_vec1().unwrap())
        .collect();
    let expected = values(&[n], 1).to_vec1::<f32>().unwrap();
    let expected = expected.iter().enumerate().map(|(i, &theta)| {
        let (mut theta, mut m, mut v) = (f64::from(theta), 0.0, 0.0);
        for (step, gradient) in (1..).zip(&gradients) {
            let g = 0.5 * f64::from(gradient[i]);
            m = 0.9 * m + 0.1 * g;
            v = 0.98 * v + 0.02 * g * g;
            let (m, v) = (
                m / (1.0 - 0.9f64.powi(step)),
                v / (1.0 - 0.98f64.powi(step)),
            );
            theta -= 0.1 * (m / (v.sqrt() + 1e-6) + 0.1 * theta);
        }
        theta
    });
    let expected = Tensor::from_iter(expected, &Device::Cpu).unwrap();
    check_close("the paper's formula", &run(3), &expected, 1e-5);
}
