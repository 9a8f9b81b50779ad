//! Every operation against the plain candle formula (values) and against central
//! differences along random directions (gradients), on odd shapes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use candle_core::{D, Device, Result, Tensor, Var};
use paint_nn::{
    Activation, add, attention, cross_entropy, embed_with_class_token, layer_norm, linear,
    linear_activation,
};

/// Seeded values in [-1, 1), from SplitMix64.
fn values(shape: &[usize], seed: u64) -> Tensor {
    let n: usize = shape.iter().product();
    let mut state = seed;
    let values: Vec<f32> = (0..n)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b)
        .unwrap()
        .abs()
        .unwrap()
        .flatten_all()
        .unwrap()
        .max(0)
        .unwrap()
        .to_scalar()
        .unwrap()
}

/// Checks `f` on inputs of the given shapes: gradient of a random projection of its result
/// with respect to every input, against central differences.
fn check_gradients(shapes: &[&[usize]], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let inputs: Vec<Tensor> = (0..).zip(shapes).map(|(i, s)| values(s, 10 + i)).collect();
    let vars: Vec<Var> = inputs
        .iter()
        .map(|t| Var::from_tensor(t).unwrap())
        .collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let out = f(&tensors).unwrap();
    let projection = values(out.dims(), 99);
    let loss = |out: Tensor| -> f64 {
        let products = (out * &projection).unwrap().flatten_all().unwrap();
        products
            .to_vec1::<f32>()
            .unwrap()
            .iter()
            .map(|&x| f64::from(x))
            .sum()
    };
    let grads = (out * &projection)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    for (i, var) in vars.iter().enumerate() {
        let grad = grads
            .get(var)
            .unwrap_or_else(|| panic!("input {i} has no gradient"));
        for direction_seed in 0..3 {
            let direction = values(var.dims(), 1_000 + direction_seed);
            let h = 1e-2;
            let at = |sign: f64| {
                let mut moved = inputs.clone();
                moved[i] = (&inputs[i] + (&direction * (sign * h)).unwrap()).unwrap();
                loss(f(&moved).unwrap())
            };
            let expected = (at(1.0) - at(-1.0)) / (2.0 * h);
            let actual = f64::from(
                (grad * &direction)
                    .unwrap()
                    .sum_all()
                    .unwrap()
                    .to_scalar::<f32>()
                    .unwrap(),
            );
            let scale = expected.abs().max(actual.abs()).max(0.1);
            assert!(
                (expected - actual).abs() / scale < 5e-3,
                "input {i}, direction {direction_seed}: differences {expected}, gradient {actual}"
            );
        }
    }
}

fn plain_softmax(x: &Tensor) -> Result<Tensor> {
    let e = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

#[test]
fn layer_norm_equals_the_formula() -> Result<()> {
    for shape in [&[1, 1, 7][..], &[3, 5, 48], &[130, 192]] {
        let d = shape[shape.len() - 1];
        let (x, w, b) = (values(shape, 1), values(&[d], 2), values(&[d], 3));
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let plain = centred.broadcast_div(&(variance + 1e-5)?.sqrt()?)?;
        let plain = plain.broadcast_mul(&w)?.broadcast_add(&b)?;
        assert!(largest_difference(&layer_norm(&x, &w, &b, 1e-5)?, &plain) < 2e-6);
    }
    Ok(())
}

#[test]
fn layer_norm_gradients() {
    for shape in [[1, 1, 19], [4, 3, 33]] {
        let d = shape[2];
        check_gradients(&[&shape, &[d], &[d]], |t| {
            layer_norm(&t[0], &t[1], &t[2], 1e-5)
        });
    }
}

#[test]
fn linear_equals_the_formula() -> Result<()> {
    let (x, w, b) = (
        values(&[3, 5, 31], 1),
        values(&[17, 31], 2),
        values(&[17], 3),
    );
    let plain = x
        .reshape((15, 31))?
        .matmul(&w.t()?)?
        .broadcast_add(&b)?
        .reshape((3, 5, 17))?;
    assert!(largest_difference(&linear(&x, &w, Some(&b))?, &plain) < 1e-5);
    let gelu = linear_activation(&x, &w, &b, Activation::Gelu)?;
    assert!(largest_difference(&gelu, &plain.gelu_erf()?) < 1e-5);
    let quick = linear_activation(&x, &w, &b, Activation::QuickGelu)?;
    let sigmoid = ((&plain * -1.702)?.exp()? + 1.0)?.recip()?;
    assert!(largest_difference(&quick, &(&plain * sigmoid)?) < 1e-5);
    Ok(())
}

#[test]
fn linear_gradients() {
    for rows in [1, 6] {
        check_gradients(&[&[rows, 3, 13], &[9, 13], &[9]], |t| {
            linear(&t[0], &t[1], Some(&t[2]))
        });
        check_gradients(&[&[rows, 13], &[9, 13]], |t| linear(&t[0], &t[1], None));
        for activation in [Activation::Gelu, Activation::QuickGelu] {
            check_gradients(&[&[rows, 3, 13], &[9, 13], &[9]], |t| {
                linear_activation(&t[0], &t[1], &t[2], activation)
            });
        }
    }
}

#[test]
fn attention_equals_the_formula() -> Result<()> {
    let (batch, tokens, heads, head_width) = (3, 11, 4, 6);
    let qkv: Vec<Tensor> = (0..3)
        .map(|i| values(&[batch, tokens, heads * head_width], i))
        .collect();
    for causal in [false, true] {
        let apart: Vec<Tensor> = qkv
            .iter()
            .map(|x| {
                x.reshape((batch, tokens, heads, head_width))?
                    .transpose(1, 2)?
                    .contiguous()
            })
            .collect::<Result<_>>()?;
        let scores = (apart[0].matmul(&apart[1].t()?)? * (head_width as f64).powf(-0.5))?;
        let mask: Vec<f32> = (0..tokens * tokens)
            .map(|i| {
                if causal && i % tokens > i / tokens {
                    f32::NEG_INFINITY
                } else {
                    0.0
                }
            })
            .collect();
        let mask = Tensor::from_vec(mask, (tokens, tokens), &Device::Cpu)?;
        let plain = plain_softmax(&scores.broadcast_add(&mask)?)?.matmul(&apart[2])?;
        let plain = plain
            .transpose(1, 2)?
            .reshape((batch, tokens, heads * head_width))?;
        let ours = attention(&qkv[0], &qkv[1], &qkv[2], heads, causal)?;
        assert!(largest_difference(&ours, &plain) < 1e-6);
    }
    Ok(())
}

#[test]
fn attention_gradients() {
    for (batch, causal) in [(1, false), (3, false), (2, true)] {
        let shape: &[usize] = &[batch, 7, 15];
        check_gradients(&[shape, shape, shape], |t| {
            attention(&t[0], &t[1], &t[2], 3, causal)
        });
    }
}

#[test]
fn cross_entropy_equals_the_formula() -> Result<()> {
    let logits = (values(&[5, 7], 1) * 4.0)?;
    let targets = [0, 6, 3, 3, 1];
    let log_p = plain_softmax(&logits)?.log()?.to_vec2::<f32>()?;
    for smoothing in [0.0, 0.1] {
        let plain: f64 = log_p
            .iter()
            .zip(targets)
            .map(|(row, t)| {
                let uniform: f64 = row.iter().map(|&x| f64::from(x)).sum::<f64>() / 7.0;
                -(1.0 - smoothing) * f64::from(row[t as usize]) - smoothing * uniform
            })
            .sum::<f64>()
            / 5.0;
        let ours = cross_entropy(&logits, &targets, smoothing)?.to_scalar::<f32>()?;
        assert!((f64::from(ours) - plain).abs() < 1e-6);
    }
    Ok(())
}

#[test]
fn cross_entropy_gradients() {
    for smoothing in [0.0, 0.1] {
        check_gradients(&[&[5, 7]], |t| {
            cross_entropy(&t[0], &[0, 6, 3, 3, 1], smoothing)
        });
    }
}

#[test]
fn add_and_embed_gradients() {
    check_gradients(&[&[3, 5], &[3, 5]], |t| add(&t[0], &t[1]));
    for batch in [1, 3] {
        check_gradients(&[&[batch, 4, 6], &[6], &[5, 6]], |t| {
            embed_with_class_token(&t[0], &t[1], &t[2])
        });
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let x = values(&[2, 3], 1);
    assert!(linear(&x, &values(&[4, 5], 2), None).is_err());
    assert!(linear(&x, &values(&[4, 3], 2), Some(&values(&[3], 3))).is_err());
    assert!(layer_norm(&x, &values(&[2], 2), &values(&[3], 3), 1e-5).is_err());
    assert!(add(&x, &values(&[3, 2], 2)).is_err());
    let qkv = values(&[1, 2, 6], 1);
    assert!(attention(&qkv, &qkv, &values(&[1, 3, 6], 1), 2, false).is_err());
    assert!(attention(&qkv, &qkv, &qkv, 4, false).is_err());
    assert!(cross_entropy(&x, &[0, 3], 0.0).is_err());
    assert!(cross_entropy(&x, &[0], 0.0).is_err());
}
