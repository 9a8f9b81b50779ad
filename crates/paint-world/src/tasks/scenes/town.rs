//! Gardens, farms, harbors, streets and what is built outdoors.

use paint_data::Rng;

use super::super::noise::Noise;
use super::super::pen::Point;
use super::{Mood, land, prop, sky};
use crate::canvas::{Canvas, SIZE};
use crate::colour::{any, jitter, mix};

pub(super) fn garden(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(12.0, 18.0);
    let mut canvas = sky(mood, horizon, rng);
    let grass = jitter([96, 150, 70], 16.0, rng);
    land(
        &mut canvas,
        |_| horizon,
        (mix(grass, [50, 90, 40], 0.4), grass),
        rng,
    );
    let hedge = jitter([48, 96, 48], 12.0, rng);
    for i in 0..9 {
        canvas.circle(
            6.0 * i as f32,
            horizon + rng.range(-2.0, 1.0),
            rng.range(3.0, 5.0),
            jitter(hedge, 8.0, rng),
        );
    }
    if rng.chance(0.7) {
        let top = horizon + rng.range(0.0, 3.0);
        let paint = *rng.pick(&[[244, 244, 240], [160, 116, 76], [210, 200, 180]]);
        for i in 0..12 {
            let x = 4.2 * i as f32;
            canvas.polygon(
                &[
                    (x, top + 9.0),
                    (x, top + 1.5),
                    (x + 1.2, top),
                    (x + 2.4, top + 1.5),
                    (x + 2.4, top + 9.0),
                ],
                paint,
            );
        }
        canvas.rect(0.0, top + 3.0, SIZE, 1.2, mix(paint, [0, 0, 0], 0.15));
    }
    for row in 0..3 {
        let y = horizon + 15.0 + 7.5 * row as f32;
        let bloom = jitter(
            *rng.pick(&[
                [226, 60, 80],
                [250, 200, 60],
                [236, 120, 190],
                [150, 90, 200],
                [250, 250, 246],
            ]),
            20.0,
            rng,
        );
        for i in 0..8 {
            let (x, y) = (
                6.4 * i as f32 + rng.range(-1.0, 2.5),
                y + rng.range(-1.0, 1.0),
            );
            canvas.line((x, y), (x, y + 4.0), 0.9, mix(grass, [20, 60, 20], 0.6));
            let size = 1.2 + 0.4 * row as f32;
            canvas.circle(x, y, size, bloom);
            canvas.circle(x, y, 0.4 * size, [250, 230, 120]);
        }
    }
    if rng.chance(0.5) {
        let x = rng.range(8.0, 40.0);
        prop(
            &mut canvas,
            &["🌻", "🌷", "🌹", "🦋", "🌳"],
            (x, rng.range(36.0, 46.0)),
            rng.range(10.0, 18.0),
            rng,
        );
    }
    canvas
}

pub(super) fn farm(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(18.0, 24.0);
    let mut canvas = sky(mood, horizon, rng);
    let grass = jitter([130, 160, 80], 18.0, rng);
    land(
        &mut canvas,
        |_| horizon,
        (mix(grass, [90, 110, 60], 0.4), grass),
        rng,
    );
    let soil = jitter([140, 102, 66], 14.0, rng);
    let vanishing = rng.range(10.0, 38.0);
    for i in -7..=7 {
        let x = vanishing + 9.0 * i as f32;
        canvas.polygon(
            &[
                (vanishing + 0.9 * i as f32, horizon + 2.0),
                (x, SIZE),
                (x + 3.6, SIZE),
            ],
            soil,
        );
    }
    let (x, width, height) = (
        rng.range(4.0, 24.0),
        rng.range(15.0, 21.0),
        rng.range(9.0, 12.0),
    );
    let base = horizon + rng.range(3.0, 6.0);
    let wall = jitter([168, 44, 38], 16.0, rng);
    canvas.rect(x, base - height, width, height, wall);
    let roof = [
        (x - 1.5, base - height),
        (x + 0.2 * width, base - 1.6 * height),
        (x + 0.8 * width, base - 1.6 * height),
        (x + width + 1.5, base - height),
    ];
    canvas.polygon(&roof, jitter([96, 92, 94], 12.0, rng));
    let door = (x + 0.32 * width, base - 0.65 * height);
    canvas.rect(door.0, door.1, 0.36 * width, 0.65 * height, [240, 236, 226]);
    canvas.line(door, (door.0 + 0.36 * width, base), 0.9, wall);
    canvas.line((door.0 + 0.36 * width, door.1), (door.0, base), 0.9, wall);
    for _ in 0..1 + rng.below(2) {
        let at = (rng.range(8.0, 42.0), rng.range(38.0, 46.0));
        prop(
            &mut canvas,
            &["🐄", "🐖", "🐑", "🐓", "🚜", "🐎"],
            at,
            rng.range(9.0, 14.0),
            rng,
        );
    }
    canvas
}

pub(super) fn harbor(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(18.0, 24.0);
    let mut canvas = sky(mood, horizon, rng);
    let sea = mix(jitter([44, 96, 130], 16.0, rng), mood.sky.0, 0.3);
    let steel = jitter([120, 126, 140], 16.0, rng);
    for i in 0..6 {
        let (x, height) = (8.5 * i as f32 + rng.range(-2.0, 2.0), rng.range(3.0, 9.0));
        canvas.rect(
            x,
            horizon - height,
            rng.range(4.0, 8.0),
            height,
            mix(steel, mood.sky.1, 0.4),
        );
    }
    for _ in 0..1 + rng.below(2) {
        let (x, top) = (rng.range(4.0, 40.0), rng.range(3.0, 8.0));
        let paint = *rng.pick(&[[200, 80, 50], [230, 170, 60], [70, 90, 150]]);
        canvas.line((x, horizon), (x, top), 1.2, paint);
        canvas.line((x - 4.0, top + 1.0), (x + 11.0, top + 1.0), 1.1, paint);
        canvas.line(
            (x + 9.0, top + 1.0),
            (x + 9.0, top + 6.0),
            0.5,
            [60, 60, 64],
        );
    }
    land(
        &mut canvas,
        |_| horizon,
        (mix(sea, [180, 200, 210], 0.4), sea),
        rng,
    );
    for i in 0..3 + rng.below(3) {
        let (x, y) = (rng.range(4.0, 44.0), horizon + 3.0 + 3.2 * i as f32);
        let half = rng.range(4.0, 7.0);
        let hull = jitter(
            *rng.pick(&[[236, 236, 232], [170, 50, 44], [50, 70, 120], [70, 110, 90]]),
            12.0,
            rng,
        );
        canvas.line((x, y), (x, y - 11.0), 0.7, [110, 90, 70]);
        if rng.chance(0.5) {
            canvas.polygon(
                &[(x + 0.6, y - 10.5), (x + 0.6, y - 1.5), (x + 5.0, y - 1.5)],
                [244, 242, 234],
            );
        }
        canvas.polygon(
            &[
                (x - half, y - 1.0),
                (x + half, y - 1.0),
                (x + 0.7 * half, y + 2.0),
                (x - 0.7 * half, y + 2.0),
            ],
            hull,
        );
    }
    let quay = rng.range(40.0, 44.0);
    land(
        &mut canvas,
        |_| quay,
        ([150, 146, 140], [120, 116, 110]),
        rng,
    );
    for i in 0..4 {
        canvas.rect(13.0 * i as f32 + 3.0, quay - 2.0, 2.2, 3.5, [50, 48, 50]);
    }
    canvas
}

pub(super) fn city_street(mood: &Mood, rng: &mut Rng) -> Canvas {
    let vanishing = (SIZE / 2.0 + rng.range(-5.0, 5.0), rng.range(26.0, 31.0));
    let mut canvas = sky(mood, vanishing.1, rng);
    let g = rng.range(80.0, 120.0) as u8;
    land(
        &mut canvas,
        |_| vanishing.1,
        ([g + 40, g + 38, g + 36], [g + 30, g + 28, g + 26]),
        rng,
    );
    canvas.polygon(
        &[
            (4.0, SIZE),
            (vanishing.0 - 1.0, vanishing.1),
            (vanishing.0 + 1.0, vanishing.1),
            (44.0, SIZE),
        ],
        [g, g, g],
    );
    for side in [-1.0, 1.0] {
        for i in 0..5 {
            // From far to near; each facade runs along the lines to the vanishing point.
            let (far, near) = (2.0 + 4.6 * i as f32, 6.8 + 4.6 * i as f32);
            let height = rng.range(0.8, 2.4);
            let wall = jitter(
                *rng.pick(&[
                    [176, 120, 96],
                    [196, 186, 170],
                    [130, 136, 150],
                    [210, 196, 150],
                    [110, 100, 100],
                ]),
                18.0,
                rng,
            );
            let at = |d: f32, level: f32| {
                (
                    vanishing.0 + side * (d + 1.5),
                    vanishing.1 + 0.72 * d - level * d * 1.5,
                )
            };
            canvas.polygon(
                &[
                    at(far, 0.0),
                    at(far, height),
                    at(near, height),
                    at(near, 0.0),
                ],
                wall,
            );
            let dark = mix(wall, [24, 30, 44], 0.7);
            for floor in 0..4 {
                let low = 0.3 + 0.5 * floor as f32;
                if low + 0.25 < height {
                    for (a, b) in [(0.15, 0.42), (0.58, 0.85)] {
                        let (a, b) = (far + (near - far) * a, far + (near - far) * b);
                        canvas.polygon(
                            &[at(a, low), at(a, low + 0.26), at(b, low + 0.26), at(b, low)],
                            dark,
                        );
                    }
                }
            }
        }
    }
    for i in 0..4 {
        let y = vanishing.1 + 2.5 + 5.0 * i as f32;
        let x = vanishing.0 + (SIZE / 2.0 - vanishing.0) * (y - vanishing.1) / (SIZE - vanishing.1);
        canvas.rect(x - 0.4, y, 0.8, 2.0 + 0.5 * i as f32, [230, 228, 220]);
    }
    if rng.chance(0.6) {
        let at = (rng.range(14.0, 34.0), rng.range(38.0, 46.0));
        prop(
            &mut canvas,
            &["🚗", "🚕", "🚌", "🚶", "🚲", "🚦"],
            at,
            rng.range(7.0, 13.0),
            rng,
        );
    }
    canvas
}

pub(super) fn playground(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(16.0, 24.0);
    let mut canvas = sky(mood, horizon, rng);
    let lawn = jitter([120, 170, 80], 18.0, rng);
    land(
        &mut canvas,
        |_| horizon,
        (mix(lawn, [70, 110, 60], 0.4), lawn),
        rng,
    );
    let pit = jitter([226, 200, 150], 12.0, rng);
    canvas.ellipse(SIZE / 2.0, 43.0, 22.0, 6.0, 0.0, pit);
    let bright = |rng: &mut Rng| {
        jitter(
            *rng.pick(&[
                [226, 50, 50],
                [250, 190, 40],
                [50, 110, 210],
                [60, 170, 90],
                [240, 120, 40],
            ]),
            14.0,
            rng,
        )
    };
    let (slide, bars) = (bright(rng), bright(rng));
    let x = rng.range(5.0, 10.0);
    canvas.line((x, 44.0), (x, 20.0), 1.4, bars);
    canvas.line((x + 4.0, 44.0), (x + 4.0, 20.0), 1.4, bars);
    for rung in 0..5 {
        let y = 24.0 + 4.5 * rung as f32;
        canvas.line((x, y), (x + 4.0, y), 0.9, bars);
    }
    canvas.polygon(
        &[(x - 1.0, 20.0), (x + 2.0, 15.0), (x + 5.0, 20.0)],
        bright(rng),
    );
    canvas.polyline(
        &[
            (x + 4.5, 25.0),
            (x + 12.0, 38.0),
            (x + 17.0, 42.5),
            (x + 20.0, 43.0),
        ],
        2.6,
        slide,
    );
    let swing = rng.range(28.0, 33.0);
    let (frame, top) = (bright(rng), rng.range(17.0, 22.0));
    canvas.polyline(
        &[
            (swing - 3.0, 44.0),
            (swing, top),
            (swing + 12.0, top),
            (swing + 15.0, 44.0),
        ],
        1.3,
        frame,
    );
    for seat in [3.5, 8.5] {
        let lean = rng.range(-3.0, 3.0);
        canvas.line(
            (swing + seat, top),
            (swing + seat + lean, 36.0),
            0.6,
            [70, 70, 74],
        );
        canvas.line(
            (swing + seat + lean - 1.4, 36.5),
            (swing + seat + lean + 1.4, 36.5),
            1.5,
            slide,
        );
    }
    if rng.chance(0.5) {
        let at = (rng.range(16.0, 34.0), rng.range(42.0, 47.0));
        prop(
            &mut canvas,
            &["🧒", "👧", "👦", "🪁", "⚽", "🏃"],
            at,
            rng.range(8.0, 12.0),
            rng,
        );
    }
    canvas
}

pub(super) fn stadium(mood: &Mood, rng: &mut Rng) -> Canvas {
    let rim = rng.range(5.0, 10.0);
    let pitch = rng.range(26.0, 31.0);
    let mut canvas = sky(mood, rim + 3.0, rng);
    let noise = Noise::new(rng);
    let team = any(rng);
    let seats = jitter([120, 124, 136], 18.0, rng);
    canvas.map(|x, y, old| {
        let top = rim + 0.006 * (x - SIZE / 2.0).powi(2);
        if y < top || y > pitch {
            return old;
        }
        let head = noise.lattice((x * 0.9) as i32, (y * 0.9) as i32);
        let row = if (y * 0.5).fract() < 0.4 { 0.25 } else { 0.0 };
        let person = if head < 0.3 {
            team
        } else if head < 0.6 {
            [226, 200, 180]
        } else {
            seats
        };
        mix(person, [30, 32, 40], row + 0.2 * noise.at(x / 3.0, y / 3.0))
    });
    let board = any(rng);
    canvas.rect(
        0.0,
        pitch - 2.2,
        SIZE,
        2.4,
        mix(board, [240, 240, 240], 0.4),
    );
    let grass = jitter([66, 140, 62], 14.0, rng);
    land(
        &mut canvas,
        |_| pitch,
        (mix(grass, [40, 100, 40], 0.4), grass),
        rng,
    );
    let stripe = mix(grass, [160, 220, 120], 0.22);
    for i in 0..4 {
        let x = 14.0 * i as f32 - 4.0;
        canvas.polygon(
            &[
                (x + 4.0, pitch),
                (x + 9.0, pitch),
                (x + 6.0, SIZE),
                (x - 3.0, SIZE),
            ],
            stripe,
        );
    }
    let white = [240, 244, 238];
    canvas.line((-2.0, pitch + 2.5), (50.0, pitch + 2.5), 0.7, white);
    let goal = rng.range(14.0, 34.0);
    canvas.polygon_outline(
        &[
            (goal - 11.0, pitch + 2.5),
            (goal + 11.0, pitch + 2.5),
            (goal + 15.0, pitch + 11.0),
            (goal - 15.0, pitch + 11.0),
        ],
        0.7,
        white,
    );
    canvas.polyline(
        &[
            (goal - 4.0, pitch + 3.0),
            (goal - 4.0, pitch - 4.0),
            (goal + 4.0, pitch - 4.0),
            (goal + 4.0, pitch + 3.0),
        ],
        0.9,
        white,
    );
    for side in [3.0, 45.0] {
        if rng.chance(0.5) {
            canvas.line((side, rim + 6.0), (side, 1.5), 0.8, [90, 94, 100]);
            canvas.rect(side - 2.5, 0.5, 5.0, 2.4, [252, 250, 226]);
        }
    }
    canvas
}

pub(super) fn airport(mood: &Mood, rng: &mut Rng) -> Canvas {
    let horizon = rng.range(20.0, 27.0);
    let mut canvas = sky(mood, horizon, rng);
    let terminal = jitter([190, 196, 204], 14.0, rng);
    let (x, width) = (rng.range(-4.0, 16.0), rng.range(20.0, 32.0));
    canvas.rect(x, horizon - 6.0, width, 6.0, terminal);
    canvas.rect(x + 1.0, horizon - 4.6, width - 2.0, 2.0, [70, 96, 124]);
    let tower = rng.range(36.0, 43.0);
    canvas.rect(
        tower - 1.2,
        horizon - 13.0,
        2.4,
        13.0,
        mix(terminal, [150, 150, 150], 0.4),
    );
    canvas.polygon(
        &[
            (tower - 2.6, horizon - 13.0),
            (tower - 3.6, horizon - 17.0),
            (tower + 3.6, horizon - 17.0),
            (tower + 2.6, horizon - 13.0),
        ],
        [60, 84, 110],
    );
    let concrete = jitter([164, 164, 162], 14.0, rng);
    land(
        &mut canvas,
        |_| horizon,
        (mix(concrete, [110, 112, 114], 0.5), concrete),
        rng,
    );
    canvas.polyline(
        &[(-2.0, SIZE), (rng.range(14.0, 30.0), horizon)],
        0.8,
        [226, 190, 50],
    );
    plane(
        &mut canvas,
        (SIZE / 2.0 + rng.range(-7.0, 7.0), rng.range(33.0, 39.0)),
        rng.range(15.0, 20.0),
        rng,
    );
    if rng.chance(0.4) {
        prop(
            &mut canvas,
            &["✈", "🛫", "🛬"],
            (rng.range(8.0, 32.0), rng.range(9.0, 14.0)),
            rng.range(6.0, 9.0),
            rng,
        );
    }
    canvas
}

/// An airliner on the ground, seen from its side.
pub(super) fn plane(canvas: &mut Canvas, (x, y): Point, half: f32, rng: &mut Rng) {
    let body = jitter([240, 242, 244], 8.0, rng);
    let tail = any(rng);
    canvas.ellipse(x, y + 5.5, 0.9 * half, 1.6, 0.0, [80, 82, 84]);
    canvas.polygon(
        &[
            (x - half, y - 1.0),
            (x - 1.05 * half, y - 8.5),
            (x - 0.8 * half, y - 8.5),
            (x - 0.55 * half, y - 1.0),
        ],
        tail,
    );
    canvas.ellipse(x, y, half, 2.9, 0.0, body);
    for i in 0..9 {
        canvas.circle(
            x - 0.6 * half + 0.15 * half * i as f32,
            y - 0.8,
            0.5,
            [60, 80, 110],
        );
    }
    canvas.polygon(
        &[
            (x + 0.15 * half, y + 0.6),
            (x - 0.35 * half, y + 5.6),
            (x - 0.5 * half, y + 5.6),
            (x - 0.25 * half, y + 0.6),
        ],
        [176, 180, 186],
    );
    canvas.ellipse(
        x - 0.05 * half,
        y + 3.2,
        2.4,
        1.3,
        0.0,
        mix(tail, [120, 120, 120], 0.5),
    );
    for wheel in [-0.3, 0.65] {
        canvas.circle(x + wheel * half, y + 4.6, 1.1, [30, 30, 32]);
    }
}
