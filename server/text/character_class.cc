// Unfolds the ranges into strips of 256 code points; equal strips are kept once (about 50 KB in
// all).
#include "server/text/character_class.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "server/text/character_ranges.h"

namespace dyad {
namespace {

constexpr char32_t kCodePoints = 0x110000;
constexpr int kStripBits = 8;
constexpr char32_t kStripSize = 1 << kStripBits;
using Strip = std::array<CharacterClass, kStripSize>;

class ClassTable {
 public:
  ClassTable() {
    std::vector<CharacterClass> all(kCodePoints, CharacterClass::kOther);
    for (const auto [first, last] : kLetters) Fill(all, first, last, CharacterClass::kLetter);
    for (const auto [first, last] : kNumbers) Fill(all, first, last, CharacterClass::kNumber);
    for (const auto [first, last] : kSpaces) Fill(all, first, last, CharacterClass::kSpace);
    std::map<Strip, uint16_t> known;
    for (char32_t start = 0; start < kCodePoints; start += kStripSize) {
      Strip strip;
      std::copy_n(all.begin() + start, kStripSize, strip.begin());
      const auto [entry, inserted] = known.emplace(strip, static_cast<uint16_t>(strips_.size()));
      if (inserted) strips_.push_back(strip);
      index_[start >> kStripBits] = entry->second;
    }
  }

  CharacterClass Of(char32_t code_point) const {
    if (code_point >= kCodePoints) return CharacterClass::kOther;
    return strips_[index_[code_point >> kStripBits]][code_point & (kStripSize - 1)];
  }

 private:
  static void Fill(std::vector<CharacterClass>& all, uint32_t first, uint32_t last,
                   CharacterClass value) {
    std::fill(all.begin() + first, all.begin() + last + 1, value);
  }

  std::array<uint16_t, (kCodePoints >> kStripBits)> index_;
  std::vector<Strip> strips_;
};

}  // namespace

CharacterClass ClassOf(char32_t code_point) {
  static const ClassTable& table = *new ClassTable;  // never destroyed: threads may outlive main
  return table.Of(code_point);
}

bool IsPythonSpace(char32_t code_point) {
  return ClassOf(code_point) == CharacterClass::kSpace ||
         (code_point >= 0x1C && code_point <= 0x1F);
}

bool IsWordCharacter(char32_t code_point) {
  constexpr char32_t kZeroWidthNonJoiner = 0x200C;
  constexpr char32_t kZeroWidthJoiner = 0x200D;
  if (code_point == kZeroWidthNonJoiner || code_point == kZeroWidthJoiner) return true;
  // Circled and squared letters are symbols by category, but alphabetic.
  if ((code_point >= 0x24B6 && code_point <= 0x24E9) ||
      (code_point >= 0x1F130 && code_point <= 0x1F149) ||
      (code_point >= 0x1F150 && code_point <= 0x1F169) ||
      (code_point >= 0x1F170 && code_point <= 0x1F189)) {
    return true;
  }
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

}  // namespace dyad
