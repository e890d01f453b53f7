import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from worldmodel.models.objective import coarse, energy_score
from worldmodel.validate.pictures import gradient_energy, texture_distance
from worldmodel.validate.video import _score

RNG = np.random.default_rng(0)


def scenery(count, rows=32, columns=48):
    """Smooth colours with small things on them, uint8."""
    land = gaussian_filter(RNG.normal(size=(count, rows, columns, 3)), (0, 6, 6, 0)) * 600 + 128
    things = gaussian_filter((RNG.uniform(size=(count, rows, columns, 1)) < 0.02) * 900.0, (0, 1, 1, 0))
    return np.clip(land + things, 0, 255).astype(np.uint8)


def blurred(frames, width):
    return gaussian_filter(frames.astype(np.float32), (0, width, width, 0))


def test_gradient_energy_is_that_of_a_plain_loop_and_blur_takes_it_away():
    frames = scenery(2, 5, 7)
    grey = frames.astype(float).mean(-1)
    across = np.mean([(grey[:, i, j + 1] - grey[:, i, j]) ** 2 for i in range(5) for j in range(6)], 0)
    down = np.mean([(grey[:, i + 1, j] - grey[:, i, j]) ** 2 for i in range(4) for j in range(7)], 0)
    np.testing.assert_allclose(gradient_energy(frames), across + down, rtol=1e-5)
    frames = scenery(8)
    energies = [gradient_energy(x).mean() for x in (frames, blurred(frames, 1), blurred(frames, 3))]
    assert energies[0] > 2 * energies[1] > 4 * energies[2]
    assert gradient_energy(np.full((4, 8, 8, 3), 200, np.uint8)).max() == 0


def test_equal_frames_look_alike_and_others_do_not():
    frames = scenery(8)
    np.testing.assert_allclose(texture_distance(frames, frames), 0, atol=1e-6)
    apart = texture_distance(frames, np.roll(frames, 1, 0))
    assert ((apart > 0.1) & (apart <= 1)).all()
    np.testing.assert_allclose(texture_distance(np.roll(frames, 1, 0), frames), apart, rtol=1e-5)  # symmetric


def test_what_is_blurred_looks_less_alike_than_what_stands_beside_its_place():
    """The error of pixels says the opposite."""
    frames = scenery(8)
    beside, fog = np.roll(frames, 2, 2), blurred(frames, 4)
    squares = [np.square(x - frames.astype(np.float32)).mean() for x in (beside, fog)]
    assert squares[0] > squares[1]
    assert texture_distance(beside, frames).mean() < 0.6 * texture_distance(fog, frames).mean()
    grades = [texture_distance(blurred(frames, width), frames).mean() for width in (0.7, 1.5, 3, 6)]
    assert grades == sorted(grades)


@pytest.mark.parametrize("shape", [(8, 8), (16, 24), (35, 61)])
def test_frames_of_any_size_have_a_texture(shape):
    frames = scenery(2, *shape)
    members = np.stack([frames, 255 - frames], 1)
    apart = texture_distance(members, frames[:, None])
    assert apart.shape == (2, 2)
    assert (apart[:, 0] < 1e-6).all()
    assert (apart[:, 1] > 0.05).all()


@pytest.mark.parametrize("shape", [(16, 32), (13, 21), (4, 9)])
def test_a_coarse_grid_holds_the_mean_of_each_cell(shape):
    frames = scenery(3, *shape)
    rows, columns = (np.array_split(np.arange(size), size) if size < 8 else _cut(size) for size in shape)
    expected = np.stack([frames[:, r][:, :, c].mean((1, 2)) for r in rows for c in columns], 1).reshape(3, -1) / 255
    np.testing.assert_allclose(coarse(frames), expected, rtol=1e-4)


def _cut(size):
    ends = [i * size // 8 for i in range(9)]
    return [np.arange(a, b) for a, b in itertools.pairwise(ends)]


def test_the_energy_score_equals_a_plain_loop():
    real, members = scenery(3), scenery(12).reshape(3, 4, 32, 48, 3)
    drawn, came = coarse(members).astype(float), coarse(real).astype(float)
    for row, score in enumerate(energy_score(members, real)):
        skill = np.mean([np.sqrt(np.mean((m - came[row]) ** 2)) for m in drawn[row]])
        pairs = [np.sqrt(np.mean((a - b) ** 2)) for i, a in enumerate(drawn[row]) for b in drawn[row][:i]]
        assert score == pytest.approx(skill - sum(pairs) / (4 * 3), rel=1e-4)
    one = energy_score(members[:, :1], real)
    np.testing.assert_allclose(one, np.sqrt(np.square(drawn[:, 0] - came).mean(-1)), rtol=1e-4)


def test_members_that_are_what_may_come_score_better_than_their_mean_and_than_too_bold_ones():
    """Frames of one random colour: members drawn as the truth is, all at their mean, or twice as far from it."""
    colours = RNG.normal(128, 25, size=(2000, 5, 1, 1, 1)) * np.ones((8, 8, 3))
    real, members = colours[:, 0], colours[:, 1:]
    even, mean, bold = (energy_score(x, real).mean() for x in (members, 0 * members + 128, 2 * members - 128))
    assert even < 0.8 * mean
    assert even < 0.9 * bold


def test_a_mean_is_scored_by_its_pixels_and_members_by_their_looks():
    """At the first horizon all is known, at the second nothing is."""
    real = np.stack([scenery(4)] * 2, 1)
    members = np.stack([real, np.roll(real, 1, 0)], 1)
    known = np.tile([True, False], (4, 1))
    own, fog = (_score(members, mean, real, known) for mean in (real, None))
    assert [own.psnr[0], own.psnr_frames[0]] == pytest.approx([60, 60])
    assert own.ssim[0] == pytest.approx(1)
    assert fog.psnr[0] < 25
    for score in (own, fog):
        assert score.sharpness[0] == pytest.approx(1)
        assert score.texture_distance[0] == pytest.approx(texture_distance(np.roll(real, 1, 0), real)[:, 0].mean() / 2)
        assert score.energy_score[0] == pytest.approx(energy_score(members.swapaxes(1, 2), real)[:, 0].mean(), rel=1e-5)
        assert np.isnan([values[1] for values in score]).all()
