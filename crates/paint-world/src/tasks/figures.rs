//! What the ten figures are called and what they look like.

/// The names of the figures 0 to 9, in words so that a text tower can tell them apart.
pub(super) const NAMES: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];

/// What is to be seen of each figure, in whatever hand or face it is written.
pub(super) const SHAPES: [&[&str]; 10] = [
    &[
        "a single closed oval",
        "a round empty ring",
        "a closed loop as tall as the figure",
    ],
    &[
        "a single upright stroke",
        "a straight stroke with no loop",
        "a narrow upright bar",
    ],
    &[
        "an arch at the top and a flat line at the bottom",
        "a curve that ends in a flat foot",
    ],
    &[
        "bows that open to the left",
        "a pair of bumps on the right side",
    ],
    &[
        "crossing straight strokes",
        "an angle with an upright stroke through it",
    ],
    &[
        "a flat line at the top and a bow at the bottom",
        "a flag at the top right and a round belly",
    ],
    &[
        "a closed loop at the bottom",
        "a curved stroke falling into a loop",
    ],
    &[
        "a flat line at the top and a slanted stroke",
        "a sharp corner at the top right",
    ],
    &[
        "a loop above another loop",
        "a pair of closed loops",
        "a narrow waist between loops",
    ],
    &[
        "a closed loop at the top",
        "a loop with a tail hanging down",
    ],
];
