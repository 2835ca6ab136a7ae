// Intervals, tests and correlations of what a task measures. Formulas and sources:
// docs/linguists.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dyad::client {

struct Interval {
  double low = 0, high = 0;
};

// "0.6062 to 0.6136".
std::string IntervalText(const Interval& interval);

// Wilson's 95 % interval of a share of `successes` in `n`; n > 0. Halves count as they are.
Interval WilsonInterval(double successes, int64_t n);

// Items of one row, and how much the row's mean counts in the whole.
struct Stratum {
  std::vector<double> scores;  // at least one
  double weight = 0;
};

// Σ weight · mean, over the strata in their order.
double WeightedMean(const std::vector<Stratum>& strata);

inline constexpr int kBootstrapDraws = 10'000;

// Stratified bootstrap: the 95 % interval of WeightedMean over kBootstrapDraws draws; each takes as
// many items of a stratum as it has, with replacement. Only how many items of each score it takes
// counts, so that is what is drawn: stage j, from 0, draws the number of items of the j-th smallest
// score, binomially among the items not drawn by then; the largest score gets the rest. The number
// is the smallest whose cumulative probability is above u, a function of stratum r and draw d: the
// upper 53 bits of words 2 (j mod 2) and the next of Philox({j / 2, r, d, 0}, {0, 0}), less than 1.
// The same interval on every machine, and whatever the order of the items. The ends are the draws
// at 2.5 % and 97.5 % (numbers 250 and 9749 of 10,000, in order).
Interval BootstrapInterval(const std::vector<Stratum>& strata);

// Spearman's rank correlation, the mean rank where values are equal; NaN if all of x or of y are.
double SpearmanCorrelation(const std::vector<double>& x, const std::vector<double>& y);

// McNemar's exact test, two-sided: the probability, if each of the b + c items on which two runs
// differ is as likely to fall either way, of a division as uneven as this or more. 1 if b + c is 0.
double McNemarP(int64_t b, int64_t c);

// Holm's correction: the adjusted p of each test, in the order given.
std::vector<double> HolmAdjusted(const std::vector<double>& p);

}  // namespace dyad::client
