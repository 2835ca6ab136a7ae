// Decompose, order marks, compose. The tables are utf8proc's; the ordering is ours, because
// utf8proc's takes quadratic time on a long run of marks, and texts come from strangers.
#include "server/text/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "server/text/utf8.h"

namespace dyad {
namespace {

using CodePoint = utf8proc_int32_t;

// U+0300 is the first character that NFC can change or combine; its lead byte is 0xCC.
constexpr unsigned char kFirstLeadThatMayChange = 0xCC;
// The longest canonical decomposition has 4 characters.
constexpr int kLongestDecomposition = 8;

constexpr auto kNfc = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

std::vector<CodePoint> Decompose(std::string_view text) {
  std::vector<CodePoint> result;
  result.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const Utf8Char character = CharAt(text, position);
    position += character.length;
    const auto code_point = static_cast<CodePoint>(character.code_point);
    CodePoint parts[kLongestDecomposition];
    int last_boundary_class = UTF8PROC_BOUNDCLASS_START;
    const utf8proc_ssize_t count = utf8proc_decompose_char(code_point, parts, kLongestDecomposition,
                                                           kNfc, &last_boundary_class);
    if (count < 0 || count > kLongestDecomposition) {
      result.push_back(code_point);
    } else {
      result.insert(result.end(), parts, parts + count);
    }
  }
  return result;
}

int CombiningClass(CodePoint code_point) {
  return utf8proc_get_property(code_point)->combining_class;
}

// Sorts each run of marks by combining class; marks of one class keep their order.
void OrderMarks(std::vector<CodePoint>& code_points) {
  const auto is_mark = [](CodePoint code_point) { return CombiningClass(code_point) != 0; };
  auto run = code_points.begin();
  while ((run = std::find_if(run, code_points.end(), is_mark)) != code_points.end()) {
    const auto end = std::find_if_not(run, code_points.end(), is_mark);
    std::stable_sort(
        run, end, [](CodePoint a, CodePoint b) { return CombiningClass(a) < CombiningClass(b); });
    run = end;
  }
}

// utf8proc takes U+11A7 for a trailing consonant and drops it after a syllable. It composes with
// nothing, so what stands before it and after it is composed apart.
constexpr CodePoint kBeforeTrailingConsonants = 0x11A7;

// Composes what lies in order; the text gets shorter or stays as long.
void Compose(std::vector<CodePoint>& code_points) {
  auto out = code_points.begin();
  for (auto part = code_points.begin(); part != code_points.end();) {
    auto end = std::find(part, code_points.end(), kBeforeTrailingConsonants);
    const utf8proc_ssize_t count = utf8proc_normalize_utf32(&*part, end - part, kNfc);
    out = std::copy_n(part, std::max<utf8proc_ssize_t>(count, 0), out);
    if (end != code_points.end()) *out++ = *end++;
    part = end;
  }
  code_points.erase(out, code_points.end());
}

}  // namespace

std::optional<std::string> ToNfc(std::string_view text) {
  const bool may_change = std::any_of(text.begin(), text.end(), [](char byte) {
    return static_cast<unsigned char>(byte) >= kFirstLeadThatMayChange;
  });
  if (!may_change) return std::nullopt;
  std::vector<CodePoint> code_points = Decompose(text);
  OrderMarks(code_points);
  Compose(code_points);
  std::string result;
  result.reserve(text.size());
  for (const CodePoint code_point : code_points) result += EncodeUtf8(code_point);
  return result;
}

}  // namespace dyad
