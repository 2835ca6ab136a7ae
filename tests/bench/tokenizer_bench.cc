// How fast a tokenizer encodes and decodes on one core.
//
// Usage: tokenizer_bench TOKENIZER_FOLDER TEXT_FILE
// Prints the best of several passes over the file, cut into paragraphs (as texts come in requests)
// and as one text, in MB/s (10^6 bytes) and tokens/s.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/text/load_tokenizer.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr double kSeconds = 2;  // for each measurement

// Paragraphs with the newlines behind them, so that joined they are the text.
std::vector<std::string_view> Paragraphs(std::string_view text) {
  std::vector<std::string_view> paragraphs;
  while (!text.empty()) {
    const size_t blank_line = text.find("\n\n");
    const size_t end = blank_line == std::string_view::npos ? text.size() : blank_line + 2;
    paragraphs.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return paragraphs;
}

// Runs `pass`, which returns tokens, several times; prints the fastest.
template <typename Pass>
void Report(const char* what, size_t bytes, const Pass& pass) {
  double best_seconds = 1e9;
  size_t tokens = 0;
  for (double total_seconds = 0; total_seconds < kSeconds;) {
    const Clock::time_point start = Clock::now();
    tokens = pass();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best_seconds = std::min(best_seconds, seconds);
    total_seconds += seconds;
  }
  std::printf("%-22s %9.2f MB/s %10.3f Mtokens/s  (%zu bytes, %zu tokens)\n", what,
              bytes / best_seconds / 1e6, tokens / best_seconds / 1e6, bytes, tokens);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s TOKENIZER_FOLDER TEXT_FILE\n", argv[0]);
    return 2;
  }
  const Clock::time_point start = Clock::now();
  const auto loaded = dyad::LoadTokenizer(argv[1]);
  if (!loaded.ok() || *loaded == nullptr) {
    std::fprintf(stderr, "%s: %s\n", argv[1], loaded.status().ToString().c_str());
    return 1;
  }
  const dyad::Tokenizer& tokenizer = **loaded;
  std::printf("load                   %9.3f s\n",
              std::chrono::duration<double>(Clock::now() - start).count());
  std::ifstream file(argv[2], std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const absl::StatusOr<dyad::Encoding> whole = tokenizer.Encode(text, {});
  if (!file || !whole.ok()) {
    std::fprintf(stderr, "%s: cannot be read, or %s\n", argv[2], whole.status().ToString().c_str());
    return 1;
  }
  Report("encode, by paragraph", text.size(), [&] {
    size_t tokens = 0;
    for (const std::string_view paragraph : Paragraphs(text)) {
      tokens += tokenizer.Encode(paragraph, {})->ids.size();
    }
    return tokens;
  });
  Report("encode, one text", text.size(), [&] { return tokenizer.Encode(text, {})->ids.size(); });
  Report("decode, one text", text.size(), [&] {
    tokenizer.Decode(whole->ids, dyad::DecodeSpecial::kKeep);
    return whole->ids.size();
  });
  return 0;
}
