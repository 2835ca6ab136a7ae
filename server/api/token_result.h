// A token with its log-probability, as a client reads it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "dyad/v1/common.pb.h"
#include "server/api/served_model.h"
#include "server/engine/model.h"

namespace dyad {

// Special tokens included; part of a character is U+FFFD. REQUIRES: the model has a tokenizer.
std::string TokenText(const ServedModel& model, int32_t id);

// Text and bytes are left empty for a model without tokenizer.
v1::TopToken ToTopToken(const ServedModel& model, const engine::TopToken& token);
v1::TokenLogprob ToTokenLogprob(const ServedModel& model, const engine::TopToken& token,
                                std::span<const engine::TopToken> top);

}  // namespace dyad
