// The well-formed byte sequences of the Unicode standard (its table 3-7), as ranges of the second
// byte.
#include "server/text/utf8.h"

#include <cstring>

namespace dyad {
namespace {

struct Lead {
  int length;          // of the whole character; 0: no character begins so
  uint8_t second_low;  // the second byte lies between these; all later ones in 80..BF
  uint8_t second_high;
  uint8_t payload;  // bits of the lead byte that belong to the code point
};

// The narrow ranges shut out overlong forms, surrogates and what lies above U+10FFFF.
Lead LeadOf(uint8_t byte) {
  if (byte < 0xC2) return {0, 0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF, 0x1F};
  if (byte == 0xE0) return {3, 0xA0, 0xBF, 0x0F};
  if (byte == 0xED) return {3, 0x80, 0x9F, 0x0F};
  if (byte < 0xF0) return {3, 0x80, 0xBF, 0x0F};
  if (byte == 0xF0) return {4, 0x90, 0xBF, 0x07};
  if (byte < 0xF4) return {4, 0x80, 0xBF, 0x07};
  if (byte == 0xF4) return {4, 0x80, 0x8F, 0x07};
  return {0, 0, 0, 0};
}

// How many bytes from `start` are ASCII, eight at a time; may stop up to seven early.
size_t AsciiRun(std::string_view bytes, size_t start) {
  size_t end = start;
  for (; end + 8 <= bytes.size(); end += 8) {
    uint64_t eight;
    std::memcpy(&eight, bytes.data() + end, sizeof(eight));
    if ((eight & 0x8080808080808080u) != 0) break;
  }
  return end - start;
}

}  // namespace

Utf8Step ReadUtf8(std::string_view bytes) {
  const uint8_t first = static_cast<uint8_t>(bytes[0]);
  if (first < 0x80) return {Utf8State::kValid, 1, first};
  const Lead lead = LeadOf(first);
  if (lead.length == 0) return {Utf8State::kInvalid, 1, 0};
  char32_t code_point = first & lead.payload;
  for (int i = 1; i < lead.length; ++i) {
    if (static_cast<size_t>(i) == bytes.size()) return {Utf8State::kIncomplete, i, 0};
    const uint8_t byte = static_cast<uint8_t>(bytes[i]);
    const uint8_t low = i == 1 ? lead.second_low : 0x80;
    const uint8_t high = i == 1 ? lead.second_high : 0xBF;
    if (byte < low || byte > high) return {Utf8State::kInvalid, i, 0};
    code_point = code_point << 6 | (byte & 0x3Fu);
  }
  return {Utf8State::kValid, lead.length, code_point};
}

std::optional<size_t> FirstInvalidByte(std::string_view bytes) {
  size_t position = 0;
  while (position < bytes.size()) {
    position += AsciiRun(bytes, position);
    if (position == bytes.size()) break;
    const Utf8Step step = ReadUtf8(bytes.substr(position));
    if (step.state != Utf8State::kValid) return position;
    position += step.length;
  }
  return std::nullopt;
}

ValidText ToValidText(std::string_view bytes) {
  ValidText result;
  result.text.reserve(bytes.size());
  size_t position = 0;
  while (position < bytes.size()) {
    const size_t ascii = AsciiRun(bytes, position);
    result.text += bytes.substr(position, ascii);
    position += ascii;
    if (position == bytes.size()) break;
    const Utf8Step step = ReadUtf8(bytes.substr(position));
    if (step.state == Utf8State::kIncomplete) break;
    if (step.state == Utf8State::kValid) {
      result.text += bytes.substr(position, step.length);
    } else {
      result.text += kReplacementCharacter;
    }
    position += step.length;
  }
  result.consumed = position;
  return result;
}

std::string EncodeUtf8(char32_t code_point) {
  const auto tail = [&](int shift) {
    return static_cast<char>(0x80 | ((code_point >> shift) & 0x3F));
  };
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  if (code_point < 0x800) return {static_cast<char>(0xC0 | code_point >> 6), tail(0)};
  if (code_point < 0x10000) return {static_cast<char>(0xE0 | code_point >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | code_point >> 18), tail(12), tail(6), tail(0)};
}

}  // namespace dyad
