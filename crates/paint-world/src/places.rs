//! Places with a name that an object can be at.

use paint_data::Rng;

use crate::backgrounds::{ValueNoise, checks, clouds, gradient, stripes};
use crate::canvas::{Canvas, SIZE};
use crate::colour::{Colour, jitter, mix};

/// A background that captions can name.
pub(crate) struct Place {
    /// Phrases that follow a noun, e.g. "on grass".
    pub(crate) phrases: &'static [&'static str],
    /// Draws the place.
    pub(crate) draw: fn(&mut Rng) -> Canvas,
}

/// All places.
pub(crate) const PLACES: [Place; 22] = [
    Place {
        phrases: &["on grass", "in the grass", "on a green lawn", "on a meadow"],
        draw: grass,
    },
    Place {
        phrases: &["in the snow", "on snow", "on white snow"],
        draw: snow,
    },
    Place {
        phrases: &["on sand", "on the beach", "at the beach"],
        draw: beach,
    },
    Place {
        phrases: &["at the sea", "on water", "on the sea", "by the ocean"],
        draw: sea,
    },
    Place {
        phrases: &["in front of a brick wall", "by a brick wall", "near bricks"],
        draw: bricks,
    },
    Place {
        phrases: &["in the sky", "in front of clouds", "in the blue sky"],
        draw: sky,
    },
    Place {
        phrases: &["at night", "under the stars", "in the night sky"],
        draw: night,
    },
    Place {
        phrases: &["in a forest", "in the woods", "between trees"],
        draw: forest,
    },
    Place {
        phrases: &["on a road", "on the street", "on the highway"],
        draw: road,
    },
    Place {
        phrases: &["on a wooden floor", "on wood", "on wooden boards"],
        draw: boards,
    },
    Place {
        phrases: &["in the mountains", "in front of mountains", "by a mountain"],
        draw: mountains,
    },
    Place {
        phrases: &["in the desert", "in a dry desert", "on dunes"],
        draw: desert,
    },
    Place {
        phrases: &["in the city", "in front of buildings", "in a town"],
        draw: city,
    },
    Place {
        phrases: &["in a field", "on crop land", "on a farm field"],
        draw: field,
    },
    Place {
        phrases: &["in a room", "inside a room", "indoors"],
        draw: room,
    },
    Place {
        phrases: &["on a tiled floor", "in a kitchen", "on tiles"],
        draw: tiles,
    },
    Place {
        phrases: &["on a stone wall", "on stones", "on rocks"],
        draw: stones,
    },
    Place {
        phrases: &["at sunset", "in the evening", "at sunrise"],
        draw: sunset,
    },
    Place {
        phrases: &["on a carpet", "on a striped cloth", "on a rug"],
        draw: carpet,
    },
    Place {
        phrases: &["by a river", "near a river", "at the river"],
        draw: river,
    },
    Place {
        phrases: &["on a table", "on the table", "on a desk"],
        draw: table,
    },
    Place {
        phrases: &["in the rain", "in rainy weather", "on a rainy day"],
        draw: rain,
    },
];

fn two_tones(a: Colour, b: Colour, cells: f32, rng: &mut Rng) -> Canvas {
    let (a, b) = (jitter(a, 14.0, rng), jitter(b, 14.0, rng));
    clouds(a, b, cells, 3, rng)
}

fn horizon(rng: &mut Rng) -> f32 {
    rng.range(0.3, 0.6) * SIZE
}

/// `top` above the line y, `bottom` below it.
fn stack(top: &Canvas, bottom: &Canvas, y: f32) -> Canvas {
    Canvas::from_fn(|px, py| (if py < y { top } else { bottom }).get(px as i32, py as i32))
}

fn grass(rng: &mut Rng) -> Canvas {
    let mut canvas = two_tones([60, 140, 50], [104, 178, 70], 14.0, rng);
    for _ in 0..40 {
        let (x, y) = (rng.range(0.0, SIZE), rng.range(0.0, SIZE));
        let blade = mix([40, 110, 40], [140, 200, 90], rng.uniform());
        canvas.line(
            (x, y),
            (x + rng.range(-1.5, 1.5), y - rng.range(2.0, 5.0)),
            0.7,
            blade,
        );
    }
    canvas
}

fn snow(rng: &mut Rng) -> Canvas {
    let mut canvas = two_tones([226, 234, 244], [250, 252, 255], 4.0, rng);
    for _ in 0..14 {
        canvas.circle(
            rng.range(0.0, SIZE),
            rng.range(0.0, SIZE),
            rng.range(0.5, 1.4),
            [255; 3],
        );
    }
    canvas
}

fn beach(rng: &mut Rng) -> Canvas {
    let y = rng.range(0.15, 0.4) * SIZE;
    let water = two_tones([40, 140, 190], [80, 180, 210], 6.0, rng);
    let mut sand = two_tones([226, 204, 150], [240, 222, 176], 8.0, rng);
    sand.noise(5.0, rng);
    let mut canvas = stack(&water, &sand, y);
    canvas.line(
        (0.0, y),
        (SIZE, y + rng.range(-2.0, 2.0)),
        1.6,
        [250, 250, 246],
    );
    canvas
}

fn sea(rng: &mut Rng) -> Canvas {
    let sky = gradient(jitter([150, 200, 236], 15.0, rng), [214, 232, 242], 1.57);
    let mut water = two_tones([20, 84, 150], [44, 124, 184], 5.0, rng);
    for _ in 0..12 {
        let (x, y) = (rng.range(0.0, SIZE), rng.range(0.0, SIZE));
        water.polyline(
            &[(x - 3.0, y), (x, y - 1.2), (x + 3.0, y)],
            0.7,
            [150, 200, 226],
        );
    }
    stack(&sky, &water, rng.range(0.2, 0.45) * SIZE)
}

fn bricks(rng: &mut Rng) -> Canvas {
    let (brick, mortar) = (
        jitter([170, 84, 62], 24.0, rng),
        jitter([200, 190, 180], 16.0, rng),
    );
    let (w, h) = (rng.range(9.0, 14.0), rng.range(4.5, 7.0));
    let noise = ValueNoise::new(rng);
    let (dx, dy) = (rng.range(0.0, w), rng.range(0.0, h));
    Canvas::from_fn(|x, y| {
        let row = ((y + dy) / h).floor();
        let column = (x + dx) / w + 0.5 * (row % 2.0);
        let in_joint = (y + dy) / h - row < 0.9 / h || column - column.floor() < 0.9 / w;
        if in_joint {
            mortar
        } else {
            mix(brick, [90, 40, 34], noise.at(column.floor(), row) * 0.7)
        }
    })
}

fn sky(rng: &mut Rng) -> Canvas {
    let mut canvas = gradient(jitter([70, 150, 226], 20.0, rng), [180, 216, 244], 1.57);
    for _ in 0..2 + rng.below(3) {
        let (x, y) = (rng.range(0.0, SIZE), rng.range(0.0, SIZE));
        for i in -1..=1 {
            let r = rng.range(2.5, 5.5);
            canvas.ellipse(x + 4.0 * i as f32, y, r * 1.3, r, 0.0, [246, 250, 252]);
        }
    }
    canvas
}

fn night(rng: &mut Rng) -> Canvas {
    let mut canvas = gradient(jitter([8, 12, 36], 8.0, rng), [26, 34, 80], 1.57);
    for _ in 0..26 {
        canvas.circle(
            rng.range(0.0, SIZE),
            rng.range(0.0, SIZE),
            rng.range(0.3, 0.9),
            [246, 244, 214],
        );
    }
    canvas
}

fn forest(rng: &mut Rng) -> Canvas {
    let mut canvas = two_tones([22, 70, 34], [52, 112, 54], 8.0, rng);
    for _ in 0..6 {
        let x = rng.range(0.0, SIZE);
        canvas.rect(
            x,
            0.0,
            rng.range(2.0, 4.5),
            SIZE,
            jitter([84, 60, 40], 14.0, rng),
        );
    }
    canvas
}

fn road(rng: &mut Rng) -> Canvas {
    let y = horizon(rng) * 0.6;
    let top = two_tones([110, 160, 90], [150, 180, 120], 5.0, rng);
    let mut asphalt = two_tones([92, 94, 98], [112, 112, 116], 10.0, rng);
    let middle = (y + SIZE) / 2.0;
    for i in 0..4 {
        let x = i as f32 * 14.0 + rng.range(0.0, 3.0);
        asphalt.rect(x, middle, 8.0, 1.8, [238, 236, 226]);
    }
    stack(&top, &asphalt, y)
}

fn boards(rng: &mut Rng) -> Canvas {
    let wood = jitter([170, 120, 70], 26.0, rng);
    let height = rng.range(7.0, 12.0);
    let noise = ValueNoise::new(rng);
    Canvas::from_fn(|x, y| {
        let grain = noise.fractal(x / 14.0, y * 0.9, 2);
        let joint = (y / height).fract() * height < 0.9;
        if joint {
            mix(wood, [40, 24, 12], 0.7)
        } else {
            mix(wood, [90, 56, 30], grain * 0.7)
        }
    })
}

fn mountains(rng: &mut Rng) -> Canvas {
    let mut canvas = gradient(jitter([150, 196, 230], 15.0, rng), [220, 232, 240], 1.57);
    for _ in 0..3 {
        let (x, y, w) = (
            rng.range(0.0, SIZE),
            rng.range(8.0, 24.0),
            rng.range(14.0, 26.0),
        );
        canvas.polygon(
            &[(x - w, SIZE), (x, y), (x + w, SIZE)],
            jitter([104, 104, 116], 18.0, rng),
        );
        let cap = 0.2;
        let half = w * cap;
        let foot = y + (SIZE - y) * cap;
        canvas.polygon(
            &[(x - half, foot), (x, y), (x + half, foot)],
            [244, 246, 250],
        );
    }
    canvas
}

fn desert(rng: &mut Rng) -> Canvas {
    let y = horizon(rng);
    let sky = gradient([120, 180, 226], [230, 224, 200], 1.57);
    let mut sand = two_tones([214, 160, 90], [236, 190, 120], 3.0, rng);
    for _ in 0..3 {
        let (x, dy) = (rng.range(0.0, SIZE), rng.range(0.0, 20.0));
        sand.ellipse(
            x,
            y + dy + 8.0,
            rng.range(12.0, 24.0),
            5.0,
            0.0,
            jitter([224, 174, 104], 12.0, rng),
        );
    }
    stack(&sky, &sand, y)
}

fn city(rng: &mut Rng) -> Canvas {
    let mut canvas = gradient(jitter([170, 190, 210], 20.0, rng), [226, 226, 224], 1.57);
    let mut x = -2.0;
    while x < SIZE {
        let (w, top) = (rng.range(6.0, 12.0), rng.range(4.0, 26.0));
        canvas.rect(x, top, w, SIZE - top, jitter([112, 114, 126], 40.0, rng));
        for row in 0..7 {
            for column in 0..2 {
                let (wx, wy) = (
                    x + 1.5 + column as f32 * w / 2.0,
                    top + 2.0 + row as f32 * 5.0,
                );
                canvas.rect(wx, wy, 1.6, 2.0, [236, 224, 150]);
            }
        }
        x += w;
    }
    canvas
}

fn field(rng: &mut Rng) -> Canvas {
    let y = rng.range(0.15, 0.35) * SIZE;
    let sky = gradient([140, 190, 230], [210, 226, 236], 1.57);
    let (crop, soil) = (
        jitter([190, 180, 80], 24.0, rng),
        jitter([140, 110, 60], 14.0, rng),
    );
    stack(
        &sky,
        &stripes(crop, soil, rng.range(4.0, 7.0), rng.range(-0.5, 0.5)),
        y,
    )
}

fn room(rng: &mut Rng) -> Canvas {
    let wall = jitter([214, 200, 180], 36.0, rng);
    let floor = jitter([150, 104, 66], 22.0, rng);
    let y = rng.range(0.6, 0.78) * SIZE;
    let mut canvas = Canvas::filled(wall);
    canvas.rect(0.0, y, SIZE, SIZE - y, floor);
    canvas.rect(0.0, y - 1.5, SIZE, 1.5, mix(wall, [255; 3], 0.6));
    if rng.chance(0.6) {
        let x = rng.range(2.0, 32.0);
        canvas.rect(x, 5.0, 12.0, 12.0, [250, 250, 250]);
        canvas.rect(x + 1.0, 6.0, 10.0, 10.0, [150, 200, 236]);
        canvas.rect(x + 5.5, 6.0, 1.0, 10.0, [250, 250, 250]);
    }
    canvas
}

fn tiles(rng: &mut Rng) -> Canvas {
    let a = jitter([226, 228, 226], 18.0, rng);
    let b = jitter(
        *rng.pick(&[[60, 66, 72], [90, 130, 160], [150, 90, 70]]),
        16.0,
        rng,
    );
    checks(a, b, rng.range(6.0, 10.0), 0.0)
}

fn stones(rng: &mut Rng) -> Canvas {
    let mut canvas = Canvas::filled(jitter([90, 90, 88], 10.0, rng));
    for _ in 0..60 {
        let gray = jitter([150, 148, 142], 30.0, rng);
        let (x, y) = (rng.range(0.0, SIZE), rng.range(0.0, SIZE));
        canvas.ellipse(
            x,
            y,
            rng.range(2.5, 5.0),
            rng.range(2.0, 4.0),
            rng.range(0.0, 3.0),
            gray,
        );
    }
    canvas
}

fn sunset(rng: &mut Rng) -> Canvas {
    let mut canvas = gradient(jitter([80, 50, 120], 16.0, rng), [250, 160, 70], 1.57);
    let y = rng.range(30.0, 40.0);
    canvas.circle(
        rng.range(8.0, 40.0),
        y,
        rng.range(4.0, 8.0),
        [254, 226, 120],
    );
    canvas.rect(0.0, y, SIZE, SIZE - y, jitter([50, 36, 56], 8.0, rng));
    canvas
}

fn carpet(rng: &mut Rng) -> Canvas {
    let base = jitter(
        *rng.pick(&[[150, 40, 50], [40, 70, 130], [120, 90, 140]]),
        20.0,
        rng,
    );
    let angle = rng.range(-0.3, 0.3);
    let mut canvas = stripes(
        base,
        mix(base, [240, 220, 180], 0.5),
        rng.range(5.0, 11.0),
        angle,
    );
    canvas.noise(9.0, rng);
    canvas
}

fn river(rng: &mut Rng) -> Canvas {
    let mut canvas = two_tones([90, 150, 70], [120, 170, 90], 6.0, rng);
    let x = rng.range(12.0, 36.0);
    let bend = rng.range(-14.0, 14.0);
    let points = [
        (x, -4.0),
        (x + bend, 14.0),
        (x - bend / 2.0, 32.0),
        (x + bend, 54.0),
    ];
    canvas.polyline(
        &points,
        rng.range(9.0, 15.0),
        jitter([60, 130, 190], 14.0, rng),
    );
    canvas
}

fn table(rng: &mut Rng) -> Canvas {
    let y = rng.range(0.35, 0.55) * SIZE;
    let wall = Canvas::filled(jitter([190, 200, 206], 34.0, rng));
    stack(&wall, &boards(rng), y)
}

fn rain(rng: &mut Rng) -> Canvas {
    let mut canvas = gradient(jitter([104, 114, 126], 14.0, rng), [150, 158, 168], 1.57);
    for _ in 0..34 {
        let (x, y) = (rng.range(0.0, SIZE), rng.range(0.0, SIZE));
        canvas.line((x, y), (x - 1.4, y + 5.0), 0.6, [190, 206, 224]);
    }
    canvas
}
