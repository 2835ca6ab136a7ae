// The end of a step: rows of hidden states through the head, to scores of targets and drawn ids.
//
// One pass over the head serves all rows, tile by tile; a [rows, vocabulary] tensor exists only for
// rows whose draw is not greedy.
//
// Bits: log-sum-exp goes over fixed tiles of the vocabulary in order; a row's result does not
// depend on the other rows, on what else is asked of it, or on threads.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/answers.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/step.h"

namespace dyad::kernels {

// Answers the scores and draws of `input`. Shapes: head is a DenseSpec [vocabulary, hidden],
// vocabulary at most 2^24; hidden [rows, head.in_features()]; logits [SampledRows(draws),
// vocabulary], undefined afterwards.
void Finish(const PackedLinear& head, ConstRows hidden, const StepInput& input,
            std::span<float> logits, const Answers& answers, Workspace& workspace);

}  // namespace dyad::kernels
