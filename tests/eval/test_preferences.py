"""Statistics of votes: published examples, laws, second implementations."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from eval.preferences import anytime, davidson, pairing, power
from eval.preferences.agreement import agreement, attention, attentive, nominal_alpha
from eval.preferences.davidson import Design
from eval.preferences.pairing import choose_pair, pair_values, widest
from eval.preferences.rates import clustered_mean, pair_rate, pair_rates, side_bias
from eval.preferences.ratings import Spread, bootstrap_strengths, count, rate
from eval.preferences.simulation import STUDY, World, recovery, simulate_votes, true_strengths, votes_until
from eval.preferences.table import COLUMNS, check_flags, check_votes, counted, empty_table
from eval.preferences.versus_metrics import calibrated_accuracy, flag_agreement, metric_agreement, standing_out
from eval.statistics.intervals import Interval

# brands i and j of chocolate pudding, how often each was preferred, and ties: example 2 of Davidson (1970), as the
# data set `pudding` of the R package PlackettLuce (commit 411b1ef) has it
PUDDING = [
    (1, 2, 19, 22, 16),
    (1, 3, 16, 19, 12),
    (2, 3, 19, 19, 10),
    (1, 4, 18, 23, 13),
    (2, 4, 23, 19, 9),
    (3, 4, 19, 20, 15),
    (1, 5, 13, 19, 18),
    (2, 5, 16, 20, 12),
    (3, 5, 16, 15, 17),
    (4, 5, 17, 14, 16),
    (1, 6, 18, 21, 12),
    (2, 6, 22, 20, 12),
    (3, 6, 13, 18, 10),
    (4, 6, 14, 19, 18),
    (5, 6, 11, 21, 12),
]
SYSTEMS = {"x:4:0": 0.9, "x:1:4": 0.2, "y:4:0": -0.1, "y:1:0": -1.0}


def votes_of(rows, **columns):
    """A vote table of (left, right, answer) or (left, right, answer, annotator, prompt)."""
    rows = [(*row, "ann", "prompt")[:5] for row in rows]
    table = {name: [row[k] for row in rows] for k, name in enumerate(("left_system", "right_system", "answer"))}
    size = len(rows)
    common = {
        "vote_id": [f"v{k}" for k in range(size)],
        "study": "s",
        "study_version": 1,
        "protocol_hash": "",
        "assignment": [f"s{k}" for k in range(size)],
        "annotator": [row[3] for row in rows],
        "prompt": [row[4] for row in rows],
        "seed": 0,
        "question": "overall",
        "check_kind": "",
        "watched_seconds": 4,
        "seconds": 7.5,
        "created_at": "2026-11-21T10:00:00+00:00",
        "undone": False,
        "app_version": "0.1.0",
        "left_clip": [f"{row[0]}-{row[4]}" for row in rows],
        "right_clip": [f"{row[1]}-{row[4]}" for row in rows],
    }
    return check_votes(pd.DataFrame(common | table | columns))


@pytest.fixture(scope="module")
def simulated():
    world = World(SYSTEMS, annotator_sd=0.3, side=0.3, bad=0.3)
    return simulate_votes(world, np.random.default_rng(7), votes=500, annotators=10, prompts=40)


# the table


def test_a_simulated_table_is_a_table(simulated):
    assert list(simulated.columns) == list(COLUMNS)
    pd.testing.assert_frame_equal(check_votes(simulated), simulated, check_dtype=False)


def test_a_table_survives_csv(simulated, tmp_path):
    simulated.to_csv(tmp_path / "votes.csv", index=False)
    again = check_votes(pd.read_csv(tmp_path / "votes.csv"))
    pd.testing.assert_frame_equal(again, check_votes(simulated))


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"answer": "maybe"}, "answer 'maybe' in row 1 is refused: choose one of a, b, tie, bad"),
        ({"winner": "right"}, "winner 'right' in row 1"),
        ({"check_kind": "trick"}, "check_kind 'trick'"),
        ({"seconds": "soon"}, "seconds 'soon' in row 1 is refused: give a finite number"),
        ({"seed": 1.5}, "seed '1.5' in row 1 is refused: give a whole number"),
        ({"undone": "perhaps"}, "write true or false"),
        ({"created_at": "yesterday"}, "created_at 'yesterday'"),
        ({"right_system": "x"}, "both sides are the same"),
        ({"annotator": ""}, "name vote and annotator"),
    ],
)
def test_a_bad_value_is_named(columns, message):
    with pytest.raises(ValueError, match=message):
        votes_of([("x", "y", "a")], **columns)


def test_missing_columns_and_contradictions_are_named():
    table = votes_of([("x", "y", "a"), ("x", "y", "b")])
    with pytest.raises(ValueError, match="no column 'prompt'"):
        check_votes(table.drop(columns="prompt"))
    with pytest.raises(ValueError, match="answers one question twice"):
        check_votes(table.assign(vote_id="v"))
    assert len(check_votes(pd.concat([table, table]))) == 2
    with pytest.raises(ValueError, match="side 'middle'"):
        check_flags(
            pd.DataFrame(
                [("v", "middle", 1, "freeze", "")], columns=["vote_id", "side", "time_seconds", "kind", "comment"]
            )
        )


def test_what_does_not_count_is_left_out():
    table = votes_of([("x", "y", "a")] * 3, undone=[True, False, False], check_kind=["", "degraded", ""])
    assert counted(table)["vote_id"].tolist() == ["v2"]
    assert counted(table, "motion").empty


# Bradley-Terry with ties


def pudding():
    design = Design(6, tuple((i - 1, j - 1) for i, j, *_ in PUDDING), side=False, ties=True)
    return design, np.array([row[2:] for row in PUDDING], float)


def test_davidsons_worked_example():
    """Worths and tie weight of Davidson (1970), standard errors of the vignette of PlackettLuce (411b1ef)."""
    design, counts = pudding()
    found = davidson.fit(design, counts, prior_sd=None)
    strengths, weight, _ = design.split(found)
    worth = np.exp(strengths) / np.exp(strengths).sum()
    assert worth == pytest.approx([0.1388, 0.1730, 0.1617, 0.1654, 0.1587, 0.2024], abs=5e-5)
    assert weight == pytest.approx(0.7468, abs=5e-5)
    assert strengths[1:] - strengths[0] == pytest.approx([0.2202, 0.1530, 0.1753, 0.1339, 0.3771], abs=2e-4)
    covariance = np.linalg.inv(davidson.information(design, counts, found, None))
    gaps = np.pad(design.basis[1:] - design.basis[0], ((0, 0), (0, 1)))
    errors = np.sqrt(np.einsum("cd,de,ce->c", gaps, covariance, gaps))
    assert errors == pytest.approx([0.1872, 0.1935, 0.1882, 0.1927, 0.1924], abs=5e-5)
    assert math.sqrt(covariance[-1, -1]) == pytest.approx(0.0825, abs=5e-5)


def test_the_prior_changes_nothing_that_is_shown():
    design, counts = pudding()
    plain, with_prior = (davidson.fit(design, counts, prior_sd=sd) for sd in (None, davidson.PRIOR_SD))
    assert with_prior == pytest.approx(plain, abs=1e-3)


def test_newton_agrees_with_scaling_by_hand():
    """Davidson's own fixed-point iteration: worth = (wins + ties / 2) / expected share per worth."""
    _, counts = pudding()
    worth, weight = np.full(6, 1 / 6), 1.0
    score = np.zeros(6)
    for (i, j, *_), (w, losses, t) in zip(PUDDING, counts, strict=True):
        score[i - 1] += w + t / 2
        score[j - 1] += losses + t / 2
    for _ in range(3000):
        down, ties = np.zeros(6), 0.0
        for i, j, w, losses, t in PUDDING:
            a, b, n = worth[i - 1], worth[j - 1], w + losses + t
            total = a + b + weight * math.sqrt(a * b)
            down[i - 1] += n * (1 + weight / 2 * math.sqrt(b / a)) / total
            down[j - 1] += n * (1 + weight / 2 * math.sqrt(a / b)) / total
            ties += n * math.sqrt(a * b) / total
        worth = score / down
        worth /= worth.sum()
        weight = counts[:, 2].sum() / ties
    design, counts = pudding()
    strengths, newton_weight, _ = design.split(davidson.fit(design, counts, prior_sd=None))
    assert np.exp(strengths) / np.exp(strengths).sum() == pytest.approx(worth, abs=1e-8)
    assert newton_weight == pytest.approx(weight, abs=1e-8)


def test_without_ties_it_is_bradley_terry():
    """Citations among four journals (Stigler 1994; Agresti 2002, p. 448): the known log odds to Biometrika."""
    wins = {
        (0, 1): (730, 33),
        (0, 2): (498, 320),
        (0, 3): (221, 284),
        (1, 2): (68, 813),
        (1, 3): (17, 276),
        (2, 3): (142, 325),
    }
    design = Design(4, tuple(wins), side=False, ties=False)
    strengths, _, _ = design.split(davidson.fit(design, np.array(list(wins.values()), float), prior_sd=None))
    assert strengths[1:] - strengths[0] == pytest.approx([-2.9491, -0.4796, 0.2690], abs=5e-5)


def test_many_data_sets_at_once_are_each_fitted_alone():
    design, counts = pudding()
    tables = np.random.default_rng(0).poisson(counts, size=(5, *counts.shape))
    together = davidson.fit(design, tables)
    assert together == pytest.approx(np.array([davidson.fit(design, table) for table in tables]), abs=1e-7)


# ratings


def swap_sides(votes):
    """The same votes as if every pair had been shown the other way round."""
    other = {"left": "right", "right": "left"}
    names = {
        name: f"{other[side]}_{rest}" for name in votes for side, _, rest in [name.partition("_")] if side in other
    }
    swapped = votes.rename(columns=names)[list(votes.columns)].copy()
    answers = votes["answer"].replace({"a": "b", "b": "a"})
    return swapped.assign(answer=answers, winner=votes["winner"].replace(other))


def test_swapping_sides_mirrors_everything(simulated):
    plain, swapped = rate(simulated), rate(swap_sides(simulated))
    for row in plain.rows:
        mirrored = swapped.of(row.system)
        assert (mirrored.strength, mirrored.low, mirrored.high) == pytest.approx(
            (row.strength, row.low, row.high), abs=1e-6
        )
    assert swapped.side.value == pytest.approx(-plain.side.value, abs=1e-6)
    assert side_bias(swap_sides(simulated)).left.value == pytest.approx(1 - side_bias(simulated).left.value)
    assert swap_sides(swap_sides(simulated)).equals(simulated)


def test_names_and_order_of_votes_do_not_matter(simulated):
    new = {name: f"z{k}" for k, name in enumerate(reversed(list(SYSTEMS)))}
    renamed = simulated.assign(**{c: simulated[c].map(new) for c in ("left_system", "right_system")})
    shuffled = rate(renamed.sample(frac=1, random_state=0).reset_index(drop=True))
    for row in rate(simulated).rows:
        assert shuffled.of(new[row.system]).strength == pytest.approx(row.strength, abs=1e-6)
        assert shuffled.of(new[row.system]).low == pytest.approx(row.low, abs=1e-6)


def test_strengths_balance_and_gaps_mirror(simulated):
    found = rate(simulated)
    assert sum(row.strength for row in found.rows) == pytest.approx(0, abs=1e-9)
    for a, b in itertools.permutations(SYSTEMS, 2):
        gap, back = found.gaps[a, b], found.gaps[b, a]
        assert (gap.value, gap.low, gap.high) == pytest.approx((-back.value, -back.high, -back.low))
        assert found.expected(a, b).value + found.expected(b, a).value == pytest.approx(1)


def test_clustered_errors_agree_with_statsmodels():
    """Without ties it is a logistic regression: errors of statsmodels 0.15.0, Logit(left won, +-1 columns).fit(
    cov_type="cluster", groups=annotator, use_correction=False), times sqrt(12 / 11)."""
    world = World({"x": 0.8, "y": 0.0, "z": -0.6}, tie_weight=0, annotator_sd=0.5)
    table = simulate_votes(world, np.random.default_rng(3), votes=400, annotators=12)
    numbers = count(table, side=False)
    found = davidson.fit(numbers.design, numbers.counts())
    strengths, _, _ = numbers.design.split(found)
    assert strengths[:2] - strengths[2] == pytest.approx([1.56489705, 0.5363389], abs=5e-4)
    by_annotator = Spread(numbers, found, 0.95)._kinds[1][0]
    gaps = numbers.design.basis[:2] - numbers.design.basis[2]
    errors = np.sqrt(np.einsum("cd,de,ce->c", gaps, by_annotator, gaps))
    assert errors == pytest.approx([0.2308626, 0.13832166], rel=5e-4)


def test_an_interval_clustered_by_hand():
    """Two systems: the log odds of the share, and pulls summed by annotator, with Student's t on 7."""
    generator = np.random.default_rng(5)
    who = np.repeat(np.arange(8), 25)
    won = generator.random(200) < 1 / (1 + np.exp(-(0.4 + generator.normal(0, 0.8, 8)[who])))
    rows = [("x", "y", "ba"[int(w)], f"a{k}", f"p{i}") for i, (w, k) in enumerate(zip(won, who, strict=True))]
    gap, share = rate(votes_of(rows), side=False).gaps["x", "y"], won.mean()
    error = math.sqrt((np.bincount(who, weights=won - share) ** 2).sum() * 8 / 7) / (200 * share * (1 - share))
    assert gap.value == pytest.approx(math.log(share / (1 - share)), abs=1e-3)
    assert (gap.high - gap.low) / 2 == pytest.approx(2.364624 * error, rel=2e-3)


def test_bootstrap_and_clustered_intervals_are_alike(simulated):
    systems, draws = bootstrap_strengths(simulated, resamples=300)
    found = rate(simulated)
    for k, system in enumerate(systems):
        row = found.of(system)
        assert draws[:, k].mean() == pytest.approx(row.strength, abs=0.15)
        low, high = np.quantile(draws[:, k], [0.025, 0.975])
        assert 0.6 < (high - low) / (row.high - row.low) < 1.6


def test_what_cannot_be_bounded_is_said():
    undefeated = rate(votes_of([("x", "y", "a"), ("y", "z", "a"), ("z", "y", "a"), ("y", "z", "tie")]))
    assert undefeated.of("x").high == np.inf and math.isfinite(undefeated.of("x").low)
    assert "x has no upper bound yet: it has never lost to or tied with y or z." in undefeated.notes
    beaten = rate(votes_of([("x", "y", "a")] * 2)).notes
    assert "y has no lower bound yet: it has never won against or tied with x." in beaten
    apart = rate(votes_of([("w", "x", "a"), ("w", "x", "b"), ("y", "z", "a"), ("y", "z", "b")]))
    assert apart.gaps["w", "y"].low == -np.inf and apart.gaps["w", "y"].high == np.inf
    assert math.isfinite(apart.gaps["w", "x"].low)
    assert any("cannot be placed" in note for note in apart.notes)


def test_the_smallest_tables():
    assert rate(counted(empty_table(COLUMNS))) is None
    one = rate(votes_of([("x", "y", "a")]))
    assert one.of("x").high == np.inf and [row.rank for row in one.rows] == [1, 1]
    ties = rate(votes_of([("x", "y", "tie"), ("y", "x", "bad")] * 10))
    assert ties.gaps["x", "y"].value == pytest.approx(0, abs=1e-9)
    assert ties.of("x").ties == 10 and ties.of("x").bad == 10


def test_known_strengths_are_recovered():
    """The command `votes recovery` does this for 100 runs."""
    found = recovery(World(STUDY), runs=12, votes=400)
    assert found.all_inside >= 11
    assert found.each > 0.9


def test_the_truth_of_different_minds_is_what_they_say_together():
    same, different = World(SYSTEMS), World(SYSTEMS, annotator_sd=1.0)
    middle = sum(SYSTEMS.values()) / 4
    assert true_strengths(same) == pytest.approx({k: v - middle for k, v in SYSTEMS.items()}, abs=1e-6)
    assert 0.5 < true_strengths(different)["x:4:0"] / true_strengths(same)["x:4:0"] < 0.95


# win rates


def test_counts_of_a_pair():
    table = votes_of(
        [("x", "y", "a"), ("y", "x", "b"), ("y", "x", "a"), ("x", "y", "tie"), ("x", "y", "bad"), ("x", "z", "b")]
    )
    found = pair_rate(table, "x", "y")
    assert (found.wins, found.losses, found.ties, found.bad) == (2, 1, 1, 1)
    assert found.decisive.value == pytest.approx(2 / 3)
    assert (found.decisive.low, found.decisive.high) == pytest.approx((0.2077, 0.9385), abs=5e-5)
    turned, other = found.turned(), pair_rate(table, "y", "x")
    assert (turned.first, turned.wins, turned.losses, turned.bad) == (other.first, other.wins, other.losses, other.bad)
    assert (turned.decisive.low, turned.decisive.high) == pytest.approx((other.decisive.low, other.decisive.high))
    assert turned.net.value == pytest.approx(other.net.value)
    assert [(one.first, one.second, one.votes) for one in pair_rates(table)] == [("x", "y", 5), ("x", "z", 1)]


def test_a_clustered_mean_of_equal_clusters_is_a_t_test():
    """Student's t interval of the clusters' means 1, 2, 4: 7/3 +- 4.3027 * sqrt(7/9)."""
    found = clustered_mean(np.repeat([1.0, 2.0, 4.0], 5), pd.Series(np.repeat(["a", "b", "c"], 5)))
    assert found.value == pytest.approx(7 / 3)
    assert found.high - found.value == pytest.approx(4.302653 * math.sqrt(7 / 9), abs=1e-5)
    assert clustered_mean(np.ones(4), pd.Series(["a"] * 4)).high == np.inf


def test_side_bias_is_found_and_not_invented():
    left = votes_of([("x", "y", "a"), ("y", "x", "a")] * 30)
    assert side_bias(left).p < 1e-9 and side_bias(left).left.value == 1
    assert rate(left).gaps["x", "y"].value == pytest.approx(0, abs=1e-6)
    fair = votes_of([("x", "y", "a"), ("y", "x", "b")] * 30)
    assert side_bias(fair).p == 1
    assert side_bias(votes_of([("x", "y", "tie")])) is None


# agreement


def columns(*rows):
    """Units of rows of observers, "." where nothing was said."""
    return [[value for value in unit if value != "."] for unit in zip(*rows, strict=True)]


# Krippendorff (2011), Computing Krippendorff's alpha-reliability: examples A, B and C (nominal)
@pytest.mark.parametrize(
    "units, alpha",
    [
        (columns("0100000010", "1110010000"), 0.095),
        (columns("aabbdcccedda", "babbbcccedda"[:11] + "d"), 0.692),
        (columns("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
    ],
)
def test_alpha_of_krippendorffs_examples(units, alpha):
    values = sorted({value for unit in units for value in unit})
    assert nominal_alpha(np.array([[unit.count(value) for value in values] for unit in units])) == pytest.approx(
        alpha, abs=5e-4
    )


def test_agreement_is_about_systems_and_not_sides():
    same = [
        ("x", "y", "a", "ann", "p"),
        ("y", "x", "b", "bob", "p"),
        ("x", "y", "b", "ann", "q"),
        ("y", "x", "a", "bob", "q"),
    ]
    assert agreement(votes_of(same)).alpha.value == 1 and agreement(votes_of(same)).raw == 1
    opposite = [(left, right, "ab"[(answer == "a") ^ (who == "ann")], who, p) for left, right, answer, who, p in same]
    assert agreement(votes_of(opposite)).raw == 0
    alone = agreement(votes_of([("x", "y", "a")]))
    assert alone.alpha is None and alone.units == 0


def test_chance_has_alpha_zero():
    generator = np.random.default_rng(0)
    counts = generator.multinomial(3, [1 / 3] * 3, size=3000)
    assert nominal_alpha(counts) == pytest.approx(0, abs=0.03)


def test_attention_checks_judge_annotators():
    rows = [
        ("x", "x", "tie", "good"),
        ("x", "x/degraded", "a", "good"),
        ("x/degraded", "x", "a", "bad"),
        ("x", "y", "a", "bad"),
        ("x", "y", "a", "new"),
    ]
    kinds = ["identical", "degraded", "degraded", "", ""]
    table = votes_of([(*row, "p") for row in rows], check_kind=kinds)
    assert [(row.annotator, row.shown, row.passed) for row in attention(table)] == [
        ("bad", 1, 0),
        ("good", 2, 2),
        ("new", 0, 0),
    ]
    assert set(attentive(table, least=0.5)["annotator"]) == {"good", "new"}


# looking early


def test_the_evidence_is_a_martingale():
    """Over all sequences of 10 fair votes its mean is 1, exactly."""
    total = Fraction(0)
    for wins in range(11):
        evidence = math.exp(float(anytime.log_evidence(np.array(wins), np.array(10 - wins), 0.5)))
        total += Fraction(math.comb(10, wins), 2**10) * Fraction(evidence)
    assert float(total) == pytest.approx(1, abs=1e-9)


def test_evidence_by_hand():
    """Three wins of three: B(3.5, .5) / B(.5, .5) * 8 = 5/16 * 8."""
    assert anytime.bar([True] * 3).evidence == pytest.approx(2.5)
    assert anytime.bar([]).evidence == 1 and anytime.bar([]).share.low == 0


def test_looking_after_every_vote_does_no_harm():
    generator = np.random.default_rng(1)
    reached = [anytime.bar(generator.random(400) < 0.5).reached is not None for _ in range(200)]
    assert sum(reached) <= 10
    found = anytime.bar(generator.random(400) < 0.7)
    assert found.reached is not None and found.share.low < 0.7 < found.share.high
    assert max(found.path) >= math.log(found.needed)


def test_the_sequence_holds_what_the_evidence_does_not_refute():
    share = anytime.confidence_sequence(30, 20)
    for edge in (share.low, share.high):
        assert float(anytime.log_evidence(np.array(30), np.array(20), edge)) == pytest.approx(math.log(20), abs=1e-6)
    mirrored = anytime.confidence_sequence(20, 30)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - share.high, 1 - share.low))
    assert anytime.confidence_sequence(5, 0).high == 1


# power


@pytest.mark.parametrize("share, votes", [(0.6, 199), (0.65, 90), (0.7, 49), (0.75, 30)])
def test_votes_for_the_sign_test(share, votes):
    assert power.decisive_votes(share) == votes
    assert power.decisive_votes(share) == power.decisive_votes(1 - share)
    assert power.sign_test_power(power.decisive_votes(share) - 1, share) < 0.8


def test_power_of_the_sign_test_by_enumeration():
    def rejects(wins, n):
        tail = sum(math.comb(n, k) for k in range(min(wins, n - wins) + 1)) / 2**n
        return tail <= 0.025

    n, share = 17, 0.8
    known = sum(math.comb(n, w) * share**w * (1 - share) ** (n - w) for w in range(n + 1) if rejects(w, n))
    assert power.sign_test_power(n, share) == pytest.approx(known)
    assert power.sign_test_power(3, 0.9) == 0


def test_more_votes_until_two_systems_separate():
    assert power.more_votes(Interval(0.5, 0.1, 0.9, 0), 100) == 0
    # standard error 0.25 at 100 votes; 2.8016 of them are 0.4 at 306.6 votes
    assert power.more_votes(Interval(0.4, 0.4 - 0.25 * 1.959964, 0.4 + 0.25 * 1.959964, 0), 100) == 207
    assert power.more_votes(Interval(0.5, -np.inf, 1, 0), 100) is None
    assert power.more_votes(Interval(0.0, -1, 1, 0), 100) is None
    with pytest.raises(ValueError, match="other than a half"):
        power.decisive_votes(0.5)


# which pair tells most


def test_close_and_unseen_pairs_tell_most():
    names = ["a", "b", "c"]
    unseen = pair_values(names, {("a", "b"): (30, 30, 5), ("a", "c"): (30, 30, 5)})
    assert max(unseen, key=unseen.get) == ("b", "c")
    lopsided = pair_values(names, {("a", "b"): (30, 0, 0), ("a", "c"): (30, 0, 0), ("b", "c"): (15, 15, 0)})
    assert lopsided["a", "b"] == pytest.approx(lopsided["a", "c"])
    assert all(value > 0 for value in unseen.values())


def test_a_pairs_value_is_what_a_vote_brings():
    """Second implementation: covariances with and without the vote, win rates differentiated by small steps."""
    names, counts = ["a", "b", "c"], {("a", "b"): (12, 5, 3), ("b", "c"): (7, 9, 2), ("a", "c"): (9, 3, 1)}
    design = Design(3, ((0, 1), (0, 2), (1, 2)), side=False, ties=True)
    table = np.array([counts[names[a], names[b]] for a, b in design.groups], float)
    found = davidson.fit(design, table + pairing.IMAGINED)

    def rates(coefficients):
        strengths, _, _ = design.split(coefficients)
        return np.array([1 / (1 + math.exp(strengths[b] - strengths[a])) for a, b in design.groups])

    steps = np.eye(design.size) * 1e-6
    slopes = np.array([(rates(found + step) - rates(found - step)) / 2e-6 for step in steps]).T
    before = davidson.information(design, table + pairing.IMAGINED / 3, found, davidson.PRIOR_SD)
    spread = slopes @ np.linalg.inv(before) @ slopes.T
    weights = (np.diag(spread) / np.diag(spread).max()) ** 3
    values = pair_values(names, counts)
    for k, (a, b) in enumerate(design.groups):
        vote = np.zeros((3, 3))
        vote[k] = davidson.probabilities(design.features, found)[k]
        gain = davidson.information(design, vote, found, None)
        after = slopes @ np.linalg.inv(before + gain) @ slopes.T
        assert values[names[a], names[b]] == pytest.approx(weights @ np.diag(spread - after), rel=1e-4)


def test_propensities_are_those_of_the_draw():
    generator, values = np.random.default_rng(0), {("a", "b"): 3.0, ("a", "c"): 1.0, ("b", "c"): 2.0}
    drawn = [choose_pair(values, generator, explore=0.3) for _ in range(3000)]
    for pair in values:
        share = sum(one[:2] == pair for one in drawn) / 3000
        told = next(one[2] for one in drawn if one[:2] == pair)
        assert share == pytest.approx(told, abs=0.03)
    assert sum(0.1 + 0.7 * (pair == ("a", "b")) for pair in values) == pytest.approx(1)


def test_telling_pairs_need_fewer_votes():
    """The command `votes pairing` does this for many runs."""
    found = {d: votes_until(World(STUDY), np.random.default_rng(0), driven=d, width=0.45) for d in (False, True)}
    assert found[True] <= 0.8 * found[False]
    assert widest(["a", "b"], {("a", "b"): (40, 40, 20)}) < widest(["a", "b"], {("a", "b"): (4, 4, 2)})


# metrics beside people


def test_a_metric_that_is_people_agrees():
    generator = np.random.default_rng(0)
    rows = [("x", "y", "a" if generator.random() < 0.5 else "b", "ann", f"p{k}") for k in range(40)]
    table = votes_of(rows)
    values = {clip: float(won) for won, clip in zip(table["winner"] == "left", table["left_clip"], strict=True)}
    values |= {clip: float(won) for won, clip in zip(table["winner"] == "right", table["right_clip"], strict=True)}
    good, turned = (metric_agreement(table, values, "m", higher_is_better=up, resamples=50) for up in (True, False))
    assert good.accuracy.value == 1 and good.tau.value == pytest.approx(1) and good.pairs == 40
    assert turned.accuracy.value == 0 and turned.tau.value == pytest.approx(-1)
    noise = {clip: generator.normal() for clip in values}
    found = metric_agreement(table, noise, "noise", resamples=200)
    assert found.tau.low < 0 < found.tau.high
    assert metric_agreement(table, {}, "none").accuracy is None


def test_a_threshold_makes_small_differences_ties():
    threshold, accuracy = calibrated_accuracy(np.array([0.1, -0.05, 0.9, -0.8]), np.array([0, 0, 1, -1]))
    assert accuracy == 1 and threshold == pytest.approx(0.1)


def test_flags_where_a_metric_jumps_stand_out():
    curve = np.zeros(48)
    curve[30:33] = 5
    assert standing_out(curve, 12, np.array([31 / 12]))[0] > 0.9
    assert standing_out(curve, 12, np.array([0.5]))[0] < 0.5
    assert np.isnan(standing_out([1.0, 2.0], 12, np.array([0.0]))[0])
    flags = pd.DataFrame({"clip": ["c", "d"], "time_seconds": [31 / 12, 31 / 12], "kind": ["freeze", "flicker"]})
    found = flag_agreement(flags, {"c": (curve, 12.0), "d": (curve, 12.0)}, "m")
    assert [(row.kind, row.flags) for row in found] == [("", 2), ("flicker", 1), ("freeze", 1)]
    assert found[0].share.value > 0.9


def test_flags_at_random_moments_do_not():
    generator = np.random.default_rng(0)
    curves = {f"c{k}": (generator.normal(size=60), 12.0) for k in range(100)}
    flags = pd.DataFrame({"clip": list(curves), "time_seconds": generator.random(100) * 4.9, "kind": "drift"})
    share = flag_agreement(flags, curves, "m")[0].share
    assert share.low < 0.5 < share.high and share.high - share.low < 0.2
