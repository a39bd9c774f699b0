//! Seeded chance: independent streams by name, and values at places that need no memory.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// A stream of its own for everything that has a name, whatever else is drawn.
pub(super) fn stream(seed: u64, name: &str) -> StdRng {
    // FNV-1a
    let name = name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    StdRng::seed_from_u64(mix(seed, name as i64))
}

/// A well-mixed word from a seed and a place (splitmix64's finaliser).
pub(super) fn mix(seed: u64, place: i64) -> u64 {
    let mut word = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add((place as u64).wrapping_mul(0xD1B5_4A32_D192_ED03));
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// A nearly normal deviate from one word: the sum of four uniform ones, scaled to variance 1.
pub(super) fn gaussian(word: u64) -> f64 {
    let sum: f64 = (0..4)
        .map(|part| ((word >> (16 * part)) & 0xFFFF) as f64 / 65_536.0)
        .sum();
    (sum - 2.0) * 3.0_f64.sqrt()
}
