// The files of a tokenizer, cut at bytes 0, in the order of kFiles; an empty part is no file. What
// loads has to encode and to give the text back.
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/text/load_tokenizer.h"
#include "tests/fuzz/fuzz_input.h"

namespace dyad {
namespace {

using testing::FuzzFolder;
using testing::Require;

constexpr std::array<const char*, 6> kFiles = {
    "tokenizer.json",          "vocab.json",       "merges.txt", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json"};

constexpr std::array<const char*, 3> kTexts = {
    "hello world, he said  <end></s> in 2024\n",
    "\xed\x95\x9c\xea\xb8\x80 e\xcc\x81 \xf0\x9f\x98\x80", "aaaaaaa"};

void Use(const Tokenizer& tokenizer) {
  for (const char* text : kTexts) {
    for (const SpecialTokens special : {SpecialTokens::kParse, SpecialTokens::kLiteral}) {
      const auto encoding =
          tokenizer.Encode(text, {.frame = Frame::kDefault, .special_tokens = special});
      if (!encoding.ok()) continue;
      Require(encoding->ids.size() == encoding->offsets.size(), "an offset for each id");
      for (const int32_t id : encoding->ids) {
        Require(id >= 0 && id < tokenizer.vocab_size(), "an id is in the vocabulary");
        tokenizer.TokenBytes(id);
      }
      tokenizer.Decode(encoding->ids, DecodeSpecial::kSkip);
    }
  }
  const std::vector<int32_t> ids = {-1, 0, 255, 256, tokenizer.vocab_size(), INT32_MAX};
  tokenizer.Decode(ids, DecodeSpecial::kKeep);
}

}  // namespace
}  // namespace dyad

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyad;
  static const FuzzFolder folder;
  const auto parts = testing::Parts(testing::AsText(data, size), '\0', kFiles.size());
  for (size_t i = 0; i < kFiles.size(); ++i) {
    const bool is_there = i < parts.size() && !parts[i].empty();
    folder.Put(kFiles[i], is_there ? std::optional(parts[i]) : std::nullopt);
  }
  const auto tokenizer = LoadTokenizer(folder.path());
  if (tokenizer.ok() && *tokenizer != nullptr) Use(**tokenizer);
  return 0;
}
