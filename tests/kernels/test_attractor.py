"""Known motions get their class, whatever their units; nothing else is called chaotic."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import attractor
from kernels.attractor import Kind, analyze
from tests.kernels import systems
from tests.kernels.strategies import checked, compiled_only, in_other_clothes

T = np.arange(4000)
GOLDEN = (math.sqrt(5) - 1) / 2


def noise(seed=0, size=2048):
    return np.random.default_rng(seed).normal(size=size)


MOTIONS = {
    "constant": (np.full(500, 3.7), Kind.POINT),
    "contraction": (0.9 ** T[:500], Kind.POINT),
    "damped oscillation": (np.exp(-0.005 * T[:1024]) * np.cos(0.2 * T[:1024]), Kind.POINT),
    "relaxation": (5 - np.exp(-0.01 * T[:2000]), Kind.POINT),
    "logistic r=2.9": (np.concatenate([[0.9], systems.logistic(999, 2.9)]), Kind.POINT),
    "sine": (np.sin(0.1 * T[:1024]), Kind.LIMIT_CYCLE),
    "sine of whole period": (np.sin(2 * np.pi * T[:1000] / 50), Kind.LIMIT_CYCLE),
    "fast sine": (np.sin(2.3 * T[:1024]), Kind.LIMIT_CYCLE),
    "square wave": (np.sign(np.sin(0.1 * T[:2000] + 0.01)), Kind.LIMIT_CYCLE),
    "sawtooth": ((T[:2000] / 37.3) % 1, Kind.LIMIT_CYCLE),
    "pulses": (np.exp(-(((T[:2000] / 41.7) % 1 - 0.5) ** 2) * 400), Kind.LIMIT_CYCLE),
    "logistic r=3.5": (systems.logistic(1024, 3.5), Kind.LIMIT_CYCLE),
    "van der Pol": (systems.van_der_pol(2048), Kind.LIMIT_CYCLE),
    "noisy sine": (np.sin(0.1 * T[:2048]) + 0.3 * noise(), Kind.LIMIT_CYCLE),
    "two tones": (np.sin(0.1 * T[:2048]) + np.sin(0.1 * 2**0.5 * T[:2048]), Kind.QUASI_PERIODIC),
    "modulated tone": (
        (1 + 0.5 * np.sin(0.23 * T[:2048])) * np.cos(0.1 * 5**0.5 * T[:2048]),
        Kind.QUASI_PERIODIC,
    ),
    "circle map": (
        np.cos(2 * np.pi * GOLDEN * T[:2048]) + 0.3 * np.cos(2 * np.pi * 2**0.5 * T[:2048]),
        Kind.QUASI_PERIODIC,
    ),
    "logistic r=4": (systems.logistic(1024), Kind.STRANGE),
    "logistic r=3.7": (systems.logistic(1024, 3.7), Kind.STRANGE),
    "Hénon": (systems.henon(1024), Kind.STRANGE),
    "Lorenz": (systems.lorenz(5000), Kind.STRANGE),
    "Lorenz, coarse": (systems.lorenz(2048, every=5), Kind.STRANGE),
    "Rössler": (systems.rossler(4000), Kind.STRANGE),
    "white noise": (noise(), Kind.STOCHASTIC),
    "uniform noise": (np.random.default_rng(1).random(1024), Kind.STOCHASTIC),
    "coin tosses": (np.random.default_rng(1).integers(0, 2, 1024), Kind.STOCHASTIC),
    "autoregressive": (systems.autoregressive(2048, 0.9), Kind.STOCHASTIC),
    "noisy oscillator": (systems.autoregressive(4000, 1.6, -0.81), Kind.STOCHASTIC),
    "smooth noise": (np.convolve(noise(4, 4040), np.hanning(40), "valid"), Kind.STOCHASTIC),
    "line": (2.0 * T[:1024] + 5, Kind.UNKNOWN),
    "line of rounded steps": (np.linspace(1, -5, 100) * 1e-6, Kind.UNKNOWN),
    "line in single precision": (np.linspace(100, 106, 1000, dtype=np.float32), Kind.UNKNOWN),
    "parabola": ((T[:1024] - 3.0) ** 2, Kind.UNKNOWN),
    "exponential growth": (1.01 ** T[:1024], Kind.UNKNOWN),
}
MODES = ["fast", pytest.param("normal", marks=compiled_only)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MOTIONS)
def test_a_known_motion_gets_its_class(name, mode):
    series, kind = MOTIONS[name]

    assert analyze(series, mode).kind is kind


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MOTIONS)
def test_scale_offset_and_units_change_neither_class_nor_exponent(name, mode):
    series, kind = MOTIONS[name]
    plain = analyze(series, mode, 0.5)

    for scaled in (series * -3e6, series * 1e-9, series * 40.0 + 100.0):
        report = analyze(scaled, mode, 0.5)
        assert report.kind is kind
        assert (report.exponent is None) == (plain.exponent is None)
        if plain.exponent:
            assert report.exponent == pytest.approx(plain.exponent, rel=0.03)


@compiled_only
@pytest.mark.parametrize(
    "name", ["sine", "line", "contraction", "constant", "two tones", "van der Pol"]
)
def test_what_is_not_chaotic_has_no_positive_exponent(name):
    exponent = analyze(MOTIONS[name][0]).exponent

    assert exponent is None or exponent <= 1e-3


@compiled_only
@pytest.mark.parametrize("seed", range(12))
def test_noise_is_never_called_strange(seed):
    random = np.random.default_rng(seed)
    walks = (
        random.normal(size=1024),
        systems.autoregressive(1024, 0.99, seed=seed),
        np.cumsum(random.normal(size=1024)),
        np.convolve(random.normal(size=1063), np.hanning(40), "valid"),
        np.exp(systems.autoregressive(1024, 0.9, seed=seed) / 2),
        random.integers(0, 5, 1024),
    )

    assert all(analyze(walk).kind is not Kind.STRANGE for walk in walks)


@compiled_only
def test_the_exponent_is_per_time_unit():
    slow = analyze(systems.henon(3000), "normal", 1.0)
    fast = analyze(systems.henon(3000), "normal", 0.001)

    assert fast.exponent == pytest.approx(1000 * slow.exponent)
    assert fast.fit_window[1] == pytest.approx(slow.fit_window[1] / 1000)


def test_the_decay_of_a_contraction_is_its_exponent():
    report = analyze(0.9 ** np.arange(400), "fast", 2.0)

    assert report.exponent == pytest.approx(math.log(0.9) / 2)


@compiled_only
def test_the_interval_holds_the_exponent_and_the_window_is_inside_the_series():
    report = analyze(systems.logistic(5000), "normal")

    assert report.exponent_low < report.exponent < report.exponent_high
    assert 0 <= report.fit_window[0] < report.fit_window[1] < report.samples


@compiled_only
def test_deep_mode_asks_surrogates():
    chaos = analyze(systems.lorenz(3000, every=2), "deep", 0.02)
    random = analyze(noise(), "deep")

    assert chaos.kind is Kind.STRANGE
    assert chaos.measures["surrogate_p"] == pytest.approx(0.05)
    assert random.kind is Kind.STOCHASTIC
    assert random.measures["surrogate_p"] > 0.05


@pytest.mark.parametrize("name", MOTIONS)
def test_a_report_is_json_with_evidence(name):
    report = analyze(MOTIONS[name][0], "fast")
    document = json.loads(json.dumps(report.as_dict(), allow_nan=False))

    assert document["kind"] == report.kind.value
    assert document["evidence"]
    assert 0 <= document["entropy"] <= 1


@compiled_only
@checked
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=64, max_size=120),
    st.sampled_from(["fast", "normal"]),
)
def test_any_finite_series_gets_a_report(values, mode):
    report = analyze(values, mode)

    json.dumps(report.as_dict(), allow_nan=False)


@compiled_only
@checked
@given(st.integers(64, 200), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_coarse_values_get_a_report(count, levels, seed):
    values = np.random.default_rng(seed).integers(0, levels, count)

    assert analyze(values).kind is not Kind.STRANGE or levels > 1


def test_dtype_and_layout_do_not_matter():
    x = np.round(systems.henon(300) * 64)
    expected = analyze(x)

    assert all(analyze(other) == expected for other in in_other_clothes(x))
    assert analyze(x.astype(np.float32)) == expected
    assert analyze(x.astype(np.int32)) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: analyze([]), "at least 64"),
        (lambda: analyze(np.zeros(63)), "at least 64"),
        (lambda: analyze([*range(100), math.nan]), "nan at index 100"),
        (lambda: analyze(np.zeros((100, 2))), r"shape \(100, 2\)"),
        (lambda: analyze(["x"] * 100), "real numbers"),
        (lambda: analyze([None] * 100), "real numbers"),
        (lambda: analyze(np.ma.masked_less(np.arange(100), 3)), "masked"),
        (lambda: analyze([[1], [1, 2]]), "ragged"),
        (lambda: analyze(np.arange(100), "slow"), "fast, normal, deep"),
        (lambda: analyze(np.arange(100), "fast", 0), "sample_interval is 0"),
        (lambda: analyze(np.arange(100), "fast", "second"), "sample_interval is 'second'"),
        (lambda: attractor.delay_embed([1.0, 2.0], 3, 1), "too few"),
        (lambda: attractor.delay_embed([1.0, 2.0], 0, 1), "at least 1"),
        (lambda: attractor.choose_lag([1.0]), "at least 2"),
        (lambda: attractor.choose_lag([1.0, 2.0], 0), "maximum is 0"),
    ],
)
def test_bad_input_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_spikes_over_a_flat_line_are_told_as_what_they_are():
    random = np.random.default_rng(0)
    series = np.full(1000, 3.0)
    series[random.choice(1000, 10, replace=False)] += 4 + random.normal(size=10)

    report = analyze(series, "fast")

    assert report.kind is Kind.UNKNOWN
    assert "nine of ten samples have the same value" in report.evidence[0]


def test_the_lag_is_where_the_autocorrelation_has_fallen():
    # The autocorrelation of a sine is a cosine: 1 - 1/e is reached at 0.887 rad.
    assert attractor.choose_lag(np.sin(0.01 * np.arange(20_000))) == 89
    assert attractor.choose_lag(noise()) == 1
    assert attractor.choose_lag(np.ones(100)) == 1
    assert attractor.choose_lag(np.arange(1000), maximum=7) == 7
