//! Smooth random fields over the plane: value noise, its fractal sum, and cells.

use paint_data::Rng;

/// One random field; two fields with different seeds are unrelated.
pub(super) struct Noise {
    seed: u32,
}

/// The random point nearest to a place.
pub(super) struct Cell {
    /// Distance to the nearest point.
    pub(super) nearest: f32,
    /// Distance to the second nearest point, at least `nearest`.
    pub(super) second: f32,
    /// A number in [0, 1) that belongs to the nearest point.
    pub(super) tone: f32,
}

impl Noise {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            seed: rng.next_u64() as u32,
        }
    }

    /// A number in [0, 1) for each point of the integer lattice.
    pub(super) fn lattice(&self, x: i32, y: i32) -> f32 {
        let mut h = (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77);
        h = (h ^ self.seed).wrapping_mul(0xc2b2_ae3d);
        h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
        (h ^ (h >> 13)) as f32 / 4_294_967_296.0 * 0.999_999_9
    }

    /// Smooth noise in [0, 1] with features about one unit wide.
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let (x0, y0) = (x.floor(), y.floor());
        let (i, j) = (x0 as i32, y0 as i32);
        let (u, v) = (ease(x - x0), ease(y - y0));
        let top = blend(self.lattice(i, j), self.lattice(i + 1, j), u);
        let bottom = blend(self.lattice(i, j + 1), self.lattice(i + 1, j + 1), u);
        blend(top, bottom, v)
    }

    /// The sum of `octaves` fields, each twice as fine and half as strong, in [0, 1].
    pub(super) fn fractal(&self, x: f32, y: f32, octaves: usize) -> f32 {
        let (mut sum, mut weight, mut total, mut scale) = (0.0, 1.0, 0.0, 1.0);
        for octave in 0..octaves {
            // Octaves share one lattice; the offset keeps their features apart.
            let offset = 17.3 * octave as f32;
            sum += weight * self.at(x * scale + offset, y * scale - offset);
            total += weight;
            weight *= 0.5;
            scale *= 2.0;
        }
        sum / total
    }

    /// The cell of (x, y) in a pattern with one random point for each unit square.
    pub(super) fn cell(&self, x: f32, y: f32) -> Cell {
        let (i, j) = (x.floor() as i32, y.floor() as i32);
        let mut cell = Cell {
            nearest: f32::MAX,
            second: f32::MAX,
            tone: 0.0,
        };
        for (di, dj) in (-1..=1).flat_map(|di| (-1..=1).map(move |dj| (di, dj))) {
            let (ci, cj) = (i + di, j + dj);
            let px = ci as f32 + self.lattice(ci, cj);
            let py = cj as f32 + self.lattice(ci + 4001, cj - 977);
            let distance = (px - x).hypot(py - y);
            if distance < cell.nearest {
                cell.second = cell.nearest;
                cell.nearest = distance;
                cell.tone = self.lattice(ci - 3001, cj + 1201);
            } else {
                cell.second = cell.second.min(distance);
            }
        }
        cell
    }
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn step(low: f32, high: f32, x: f32) -> f32 {
    ease(((x - low) / (high - low)).clamp(0.0, 1.0))
}

fn ease(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

fn blend(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_meets_its_lattice_and_stays_in_range() {
        let noise = Noise::new(&mut Rng::new(3));
        assert_eq!(noise.at(4.0, -7.0), noise.lattice(4, -7));
        for i in 0..500 {
            let (x, y) = (i as f32 * 0.37 - 90.0, i as f32 * 0.11);
            assert!((0.0..=1.0).contains(&noise.fractal(x, y, 4)));
            let cell = noise.cell(x, y);
            assert!(cell.nearest <= cell.second && cell.nearest < 1.5);
        }
    }

    #[test]
    fn step_is_flat_outside_its_edges() {
        assert_eq!(
            [
                step(1.0, 2.0, 0.5),
                step(1.0, 2.0, 1.5),
                step(1.0, 2.0, 3.0)
            ],
            [0.0, 0.5, 1.0]
        );
    }
}
