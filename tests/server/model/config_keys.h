// Every key of a published config.json has its effect, or is one that README.md says is ignored.
#pragma once

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace dyad::testing {

// parse(json) gives a config. `read`: keys with values that are no defaults. `ignored`: those of
// this architecture alone.
template <typename Parse>
void ExpectEveryKeyIsReadOrIgnored(const Parse& parse, const nlohmann::json& read,
                                   nlohmann::json ignored) {
  const auto plain = parse(nlohmann::json::object());
  for (const auto& [key, value] : read.items()) EXPECT_NE(parse({{key, value}}), plain) << key;
  ignored.update({{"attention_dropout", 0.5},
                  {"use_cache", false},
                  {"pad_token_id", 3},
                  {"torch_dtype", "int"},
                  {"dtype", "float16"},
                  {"architectures", nlohmann::json::array()},
                  {"transformers_version", "1"}});
  for (const auto& [key, value] : ignored.items()) EXPECT_EQ(parse({{key, value}}), plain) << key;
}

}  // namespace dyad::testing
